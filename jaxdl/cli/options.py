"""From a command line to knobs and options: one flat set of flags, typed by the signature of `config`."""

import inspect
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, make_dataclass
from functools import wraps
from types import MappingProxyType
from typing import Annotated, Any, Literal

import tyro

from jaxdl.experiment import ExperimentError, override_types
from jaxdl.setup import Config, as_typed, refuse_reserved
from jaxdl.shipped import commands_here

LATEST = "latest"


@dataclass(frozen=True)
class RunOptions:
    """How a run is carried out. None of these changes its result beyond rounding."""

    device: Literal["cpu", "gpu", "tpu"] | None = None
    """Where to compute; by default whatever JAX finds (or JAX_PLATFORMS says)."""
    mesh: str | None = None
    """Devices by axis: data=N, fsdp=N, model=N, as in data=4,model=2; by default all devices take part of the data."""
    strategy: Literal["jit", "pmap"] = "jit"
    """How several devices are programmed; pmap takes data parallelism only."""
    devices: int | None = None
    """Split the CPU into so many virtual devices, to try a mesh."""
    run: str = "runs"
    """Folder under which <experiment>/<date-time>-s<seed>/ is made."""
    resume: str | None = None
    """Continue this run folder; without a value the latest run of this experiment."""
    log_every: int | None = None
    """Steps between lines of metrics.jsonl."""
    checkpoint_every: int | None = None
    """Steps between checkpoints; by default at every best evaluation, each minute and at the end."""
    stop_at: int | None = None
    """Pause after this step with a checkpoint; `--resume` goes on."""
    max_bad_steps: int = 10
    """Give up after so many steps in a row whose loss or gradient is not finite."""
    deterministic: bool = False
    """The same bits at every run on a GPU too (slower); a CPU's are anyway."""
    debug_nans: bool = False
    """Stop at the operation that makes the first NaN (slow)."""
    profile: bool = False
    """Write a trace of a few chunks of steps into the run folder, for TensorBoard or ui.perfetto.dev."""
    coordinator: str | None = None
    """Several processes: host:port of the first one. (Slurm, Open MPI, Kubernetes and Cloud TPU need no flags.)"""
    num_processes: int | None = None
    """How many processes there are."""
    process_id: int | None = None
    """Which of them this is, from 0."""
    watchdog: float | None = None
    """End the process after so many seconds without progress (10 times as long while something compiles); by default
    300 where there are several processes."""
    quiet: bool = False
    """No progress bar."""


DOCS = {
    "eval_every": "Steps between evaluations.",
    "precision": "Precision of the computation; parameters stay float32.",
    "remat": "Recompute activations in the backward pass: less memory, more time.",
    "accumulate": "Cut the batch into so many micro-batches.",
    "ema": "Evaluate an exponential moving average of the parameters and their statistics, of this decay.",
    "init_from": "Start from the weights of a run folder, or of a folder of import-weights; the head may differ.",
    "data_seed": "Seed of the data order alone.",
}


def overrides_type(taken: Sequence[str]) -> type:
    """A dataclass of the recorded fields of an Experiment, each None unless given; without the names of knobs."""
    shown = {name: hint for name, hint in override_types().items() if name not in taken}
    made = make_dataclass("Recorded", [(name, hint | None, None) for name, hint in shown.items()])
    lines = "\n".join(f"    {name}: {DOCS[name]} By default what the experiment says." for name in shown)
    made.__doc__ = f"Recorded with the knobs.\n\nArgs:\n{lines}"
    return made


def parse(
    config: Config,
    args: Sequence[str],
    *,
    prog: str,
    options: type = RunOptions,
    defaults: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[dict[str, Any], Any]:
    """(knobs and those recorded fields that were given, options). Exits with 2 and a readable message at a mistake.

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
    recorded = overrides_type(list(signature.parameters))

    def command(
        knobs: Annotated[Any, tyro.conf.arg(constructor=knobs, name="")],
        recorded: Annotated[Any, tyro.conf.arg(constructor=recorded, name="")],
        options: Annotated[Any, tyro.conf.arg(constructor=options, name="")],
    ) -> tuple[dict[str, Any], Any]:
        given = {name: value for name, value in vars(recorded).items() if value is not None}
        return {**given, **knobs}, options

    module = sys.modules.get(config.__module__)
    description = commands_here((module and module.__doc__) or config.__doc__ or "")
    return tyro.cli(command, args=with_value(args), prog=prog, description=description)


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
    hints = typing.get_type_hints(config)
    for name, parameter in inspect.signature(config).parameters.items():
        if name in {field.name for field in fields(options)}:
            raise ExperimentError(
                f"knob {name!r} of config has the name of an option of every run: call it something else"
            )
        if name not in hints or parameter.default is inspect.Parameter.empty:
            raise ExperimentError(f"knob {name!r} of config needs a type and a default, as in `{name}: float = 0.1`")
