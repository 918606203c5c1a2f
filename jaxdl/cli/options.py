"""From a command line to knobs and options: one flat set of flags, typed by the signature of `config`."""

import inspect
import shutil
import sys
import textwrap
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, make_dataclass, replace
from functools import wraps
from pathlib import Path
from types import MappingProxyType, UnionType
from typing import Annotated, Any, Literal

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from jaxdl import runtime
from jaxdl.engine.loop import Limits
from jaxdl.experiment import ExperimentError, load_config, override_types
from jaxdl.record.run import LATEST, newest
from jaxdl.runs.members import load
from jaxdl.runs.run import Run
from jaxdl.setup import Config, Setup, as_typed, knob_types, refuse_reserved
from jaxdl.shipped import commands_here

FLAT = tyro.conf.OmitArgPrefixes
"""Groups of flags are titles in the help, not prefixes of the flags."""


@dataclass(frozen=True, kw_only=True)
class TrainedOptions:
    """A trained run, and which of its weights to use."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """The run folder."""
    checkpoint: Literal["best", "last"] = "best"
    """Take the weights of the best evaluation or of the last checkpoint."""
    member: int | None = None
    """Number of the member, if the folder is that of a sweep."""
    trust: bool = False
    """Use a run folder whose config.json or experiment.py was changed after the run wrote it."""
    device: Literal["cpu", "gpu", "tpu"] | None = None
    """Where to compute. None: what JAX_PLATFORMS says, else the fastest that JAX finds."""

    def load(self) -> Run:
        """The run."""
        return load(self.run, self.checkpoint, member=self.member, trust=self.trust)


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """What `train` and `sweep` have in common. None of these changes a result beyond rounding."""

    device: Literal["cpu", "gpu", "tpu"] | None = None
    """Where to compute. None: what JAX_PLATFORMS says, else the fastest that JAX finds."""
    devices: int | None = None
    """Number of virtual devices to split the CPU into, to try a mesh."""
    run: str = "runs"
    """Folder in which a folder for the experiment and in it the run folder <date-time>-s<seed> are made."""
    log_every: int | None = None
    """Steps between lines of metrics.jsonl. None: 50, or a fiftieth of a shorter run."""
    checkpoint_every: int | None = None
    """Steps between checkpoints. None: at every best evaluation, every minute and at the end."""
    stop_at: int | None = None
    """Pause after this step with a checkpoint; `--resume` continues."""
    max_bad_steps: int = 10
    """Give up after this many steps in a row with a loss or a gradient that is not finite."""
    deterministic: bool = False
    """Give the same bits at every run on a GPU, too (slower). A CPU always does."""
    quiet: bool = False
    """Show no progress."""

    def limits(self, **more: Any) -> Limits:
        """The limits of the training loop."""
        names = ("log_every", "stop_at", "checkpoint_every")
        counts = {name: positive(name, getattr(self, name)) for name in names}
        return Limits(**counts, max_bad=positive("max_bad_steps", self.max_bad_steps), **more)


def positive(name: str, value: Any) -> Any:
    """The value of a flag that must be None or at least 1."""
    if value is not None and not value >= 1:
        raise ExperimentError(f"--{name.replace('_', '-')} {value}: must be 1 or more")
    return value


@dataclass(frozen=True, kw_only=True)
class RunOptions(TrainingOptions):
    """How the run is carried out. None of these changes its result beyond rounding."""

    mesh: str | None = None
    """Devices by axis: data=N, fsdp=N, model=N, as in data=4,model=2. None: all devices share the batch."""
    strategy: Literal["jit", "pmap"] = "jit"
    """How several devices are programmed; pmap is for data parallelism only."""
    resume: str | None = None
    """Continue this run folder; without a value, the latest run of this experiment. Executes the folder's experiment.py."""
    trust: bool = False
    """Resume a run folder whose config.json or experiment.py was changed after the run wrote it."""
    debug_nans: bool = False
    """Stop at the operation that produces the first NaN (slow)."""
    profile: bool = False
    """Write a trace of a few chunks of steps into the run folder, for TensorBoard or ui.perfetto.dev."""
    coordinator: str | None = None
    """Several processes: host:port of the first one. Slurm, Open MPI, Kubernetes and Cloud TPU need no flags."""
    num_processes: int | None = None
    """Several processes: how many."""
    process_id: int | None = None
    """Several processes: the number of this one, from 0."""
    watchdog: float | None = None
    """Seconds without progress after which the process ends (10 times as many while it compiles). None: 300 if there are
    several processes, else never."""


DOCS = {
    "eval_every": "Steps between evaluations.",
    "precision": "Precision of the computation; parameters stay float32.",
    "remat": "Recompute activations in the backward pass: less memory, more time.",
    "accumulate": "Cut each batch into this many micro-batches: less memory, the same gradient.",
    "ema": "Decay of an exponential moving average of the parameters, which is then evaluated.",
    "init_from": "Start from the weights of a run folder or of a folder of import-weights; the head may differ.",
    "data_seed": "Seed of the order of the data; by default the knob `seed`.",
}


def overrides_type(taken: Sequence[str]) -> type:
    """A dataclass of the recorded fields of an Experiment that no knob is named like, each None unless given."""
    shown = {name: hint for name, hint in override_types().items() if name not in taken}
    made = make_dataclass("Recorded", [(name, hint | None, None) for name, hint in shown.items()])
    lines = "\n".join(f"    {name}: {DOCS[name]}" for name in shown)
    made.__doc__ = (
        f"Fields of the Experiment. None: what `config` says. They are recorded with the knobs.\n\nArgs:\n{lines}"
    )
    return made


registry = ConstructorRegistry()


@registry.primitive_rule
def optional(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """`int | None` is shown as INT, not as {None}|INT; the word None still gives None."""
    parts = typing.get_args(info.type) if typing.get_origin(info.type) in (typing.Union, UnionType) else ()
    if type(None) not in parts or len(parts) != 2:
        return None
    (inner,) = set(parts) - {type(None)}
    spec = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(inner, info.markers))
    if not isinstance(spec, PrimitiveConstructorSpec) or spec.nargs != 1:
        return None
    return replace(
        spec,
        choices=None if spec.choices is None else (*spec.choices, "None"),
        instance_from_str=lambda words: None if words == ["None"] else spec.instance_from_str(words),
        is_instance=lambda value: value is None or spec.is_instance(value),
        str_from_instance=lambda value: ["None"] if value is None else spec.str_from_instance(value),
    )


def read_flags(options: Callable[..., Any], args: Sequence[str], *, prog: str, text: str | None = None) -> Any:
    """Build `options` from a command line. --help and a mistake end the process, with exit code 0 and 2.

    `text`: what --help prints first, line by line as it is; None: the docstring of `options`, in the width of the terminal.
    """
    text = in_width(inspect.cleandoc(options.__doc__ or "")) if text is None else text
    if text and {"-h", "--help"} & set(args):
        print(f"{text.rstrip()}\n")
    with registry:
        found = tyro.cli(options, args=args, prog=prog, description="", config=(FLAT,))
    return replace(found, run=newest(found.run)) if isinstance(getattr(found, "run", None), Path) else found


def in_width(text: str) -> str:
    """Fill paragraphs to the width of the terminal; those that are indented stay as they are.

    >>> in_width("Predict for files.\\n\\n    a,b,c    a list")
    'Predict for files.\\n\\n    a,b,c    a list'
    """
    width = shutil.get_terminal_size().columns
    return "\n\n".join(
        part if part[:1] == " " else textwrap.fill(part, width, break_on_hyphens=False) for part in text.split("\n\n")
    )


def parse(
    config: Config,
    args: Sequence[str],
    *,
    prog: str,
    options: type = RunOptions,
    defaults: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[dict[str, Any], Any]:
    """(knobs and those recorded fields that were given, options).

    `defaults`: values of knobs in place of their own defaults, such as those of a run that is resumed.
    """
    check_signature(config, options)
    signature = inspect.signature(config)

    @wraps(config)
    def knobs(**values: Any) -> dict[str, Any]:
        return values

    known = signature.parameters.values()
    knobs.__signature__ = signature.replace(
        parameters=[p.replace(default=as_typed(defaults[p.name])) if p.name in defaults else p for p in known]
    )
    overrides = overrides_type(list(signature.parameters))

    def command(
        knobs: Annotated[Any, tyro.conf.arg(constructor=knobs, help="Arguments of `config`, recorded in config.json.")],
        recorded: Annotated[Any, tyro.conf.arg(constructor=overrides)],
        run: Annotated[Any, tyro.conf.arg(constructor=options)],
    ) -> tuple[dict[str, Any], Any]:
        given = {name: value for name, value in vars(recorded).items() if value is not None}
        if "init_from" in given:
            given["init_from"] = str(newest(given["init_from"]))  # now: the run to come will be the newest
        return {**given, **knobs}, run

    module = sys.modules.get(config.__module__)
    text = inspect.cleandoc((module and module.__doc__) or config.__doc__ or "")
    return read_flags(command, with_value(args), prog=prog, text=commands_here(text))


def open_experiment(args: Sequence[str], command: str, options: type) -> tuple[Setup, Any]:
    """What `python -m jaxdl COMMAND EXPERIMENT [flags]` asks for: the setup and the options; the device is configured."""
    if not args:
        raise ExperimentError(
            f"{command} needs an experiment, by its name or file: python -m jaxdl {command} EXPERIMENT"
        )
    if args[0] in ("-h", "--help"):
        about = in_width(inspect.cleandoc(options.__doc__ or ""))
        print(
            f"usage: python -m jaxdl {command} EXPERIMENT [flags]\n\n{about}\n\n"
            "EXPERIMENT is a name that `python -m jaxdl list` prints, or a file.\nIts knobs and the options of this command:\n"
            f"    python -m jaxdl {command} EXPERIMENT --help"
        )
        sys.exit(0)
    config = load_config(args[0])
    values, read = parse(config, args[1:], prog=f"python -m jaxdl {command} {args[0]}", options=options)
    names = ("device", "deterministic", "devices")
    runtime.configure(**{name: getattr(read, name) for name in names if hasattr(read, name)})
    return Setup.of(config, values), read


def with_value(args: Sequence[str]) -> list[str]:
    """`--resume` without a value means the latest run."""
    out: list[str] = []
    for i, arg in enumerate(args):
        out.append(arg)
        if arg == "--resume" and (i + 1 == len(args) or args[i + 1].startswith("-")):
            out.append(LATEST)
    return out


def check_signature(config: Callable[..., Any], options: type = RunOptions) -> None:
    """Every knob needs a type and a default, and a name that no option has: they are the command line."""
    refuse_reserved(config)
    hints = knob_types(config)
    for name, parameter in inspect.signature(config).parameters.items():
        if name in {field.name for field in fields(options)}:
            raise ExperimentError(
                f"knob {name!r} of config has the name of an option of every run: call it something else"
            )
        if name not in hints or parameter.default is inspect.Parameter.empty:
            raise ExperimentError(f"knob {name!r} of config needs a type and a default, as in `{name}: float = 0.1`")
