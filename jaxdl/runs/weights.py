"""Fine-tuning: a run that starts from the weights of another run, or from imported weights, with its own head.

python -m experiments.finetune_digits --digits high --init-from runs/finetune_digits/2026-01-31_12-00-00-s0     a run folder
python -m jaxdl import-weights resnet18 FILE -o W;  python -m experiments.finetune_folder --folder PHOTOS --init-from W

All parameters but the head must match by name and shape. The head is initialised anew if its shapes differ (other classes), or if
`Experiment(fresh=("^head/",))` says so. Which parameters are trained is decided by the optimizer: `freeze`, `scale_stages` of
`jaxdl.optim.groups`.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdl.data import prepare
from jaxdl.engine import average
from jaxdl.engine.program import Program
from jaxdl.engine.step import select
from jaxdl.experiment import ExperimentError
from jaxdl.pretrained.folder import open_weights
from jaxdl.record.run import open_run
from jaxdl.runs.open import open_at
from jaxdl.types import Batch, TrainState, UserError, Variables

HEAD = r"(^|/)head(_\w+)?/|^aux\d*/"
"""Parameters that depend on the classes of a task: `head`, `head_distilled`, auxiliary heads."""
SHOWN = 6


# -- where weights come from -------------------------------------------------------------------------------------------


def is_weights(path: str | Path) -> bool:
    """Whether `import-weights` made this folder."""
    return (Path(path) / "weights.json").is_file()


def check_source(path: str | Path) -> None:
    """Raise UserError unless the path is a run folder or a folder of imported weights."""
    if not is_weights(path):
        try:
            open_run(path)
        except ValueError as error:
            raise UserError(f"init_from: {error}, and it holds no weights.json of import-weights") from None


def described_weights(path: str | Path) -> dict[str, Any]:
    """Read `weights.json` of imported weights: `name`, `options`, `preprocess`, `labels`, ..."""
    if not is_weights(path):
        raise FileNotFoundError(f"{path}: no folder of imported weights; make one with import-weights NAME FILE -o DIR")
    return json.loads((Path(path) / "weights.json").read_text(encoding="utf-8"))


class Source(NamedTuple):
    """Arrays by "collection/path" on the host, their description, the images they expect ("" if unknown), and what they lack."""

    leaves: dict[str, Any]
    what: str
    images: str = ""
    absent: tuple[str, ...] = ()


def weights_of(path: str | Path) -> Source:
    """The weights of a run folder or of a folder of imported weights."""
    if is_weights(path):
        imported = open_weights(path)
        p = imported.weights.preprocess
        images = f"{p.crop}x{p.crop} pixels, {_scaling(p)}" if p else ""
        return Source(flat(imported.weights.variables), f"{imported.name} weights", images, imported.weights.absent)
    params, model_state = open_at(path).weights
    return Source(flat(jax.device_get({"params": params, **model_state})), "run")


# -- what fits ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fit:
    """The leaves ("collection/path") that are taken, those that are initialised anew, and problems."""

    taken: tuple[str, ...]
    fresh: tuple[str, ...]
    problems: tuple[str, ...]


def match_leaves(ours: Mapping[str, Any], theirs: Mapping[str, Any], fresh: Sequence[str] = ()) -> Fit:
    """Compare the leaves of a model with given ones, by name and shape.

    `fresh` are regular expressions for paths of the model (without the collection). If one leaf of the head differs, the whole
    head is initialised anew; a head that only the given weights have is ignored.

    >>> ones = jax.numpy.ones
    >>> match_leaves({"params/head/kernel": ones((4, 3))}, {"params/head/kernel": ones((4, 1000))}).fresh
    ('params/head/kernel',)
    """
    head = head_of({*ours, *theirs})

    def shape(leaves: Mapping[str, Any], name: str) -> tuple | None:
        return (tuple(leaves[name].shape), str(leaves[name].dtype)) if name in leaves else None

    def named(name: str) -> bool:
        return any(re.search(pattern, name.partition("/")[2]) for pattern in fresh)

    same = {name: shape(ours, name) == shape(theirs, name) for name in (*ours, *theirs)}
    other = {name.rpartition("/")[0] for name in same if head(name) and not same[name]}
    new = tuple(n for n in ours if named(n) or (head(n) and n.rpartition("/")[0] in other))
    rest = [n for n in same if n not in new and not same[n] and not (n not in ours and (head(n) or named(n)))]
    kinds = {
        "missing there": [n for n in rest if n not in theirs],
        "left over there": [n for n in rest if n not in ours],
        "of another shape": [
            f"{n} ({_sizes(theirs[n])} there, {_sizes(ours[n])} here)" for n in rest if n in ours and n in theirs
        ],
    }
    problems = tuple(f"{kind}: {_some(names)}" for kind, names in kinds.items() if names)
    return Fit(tuple(n for n in ours if n in theirs and same[n] and n not in new), new, problems)


def head_of(names: Iterable[str]) -> Callable[[str], bool]:
    """Whether a leaf belongs to the head: by `HEAD`, or, in a model without such names, to its last dense layer."""
    paths = [name.partition("/")[2] for name in names]
    if any(re.search(HEAD, path) for path in paths):
        return lambda name: re.search(HEAD, name.partition("/")[2]) is not None
    numbers = [int(found.group(1)) for path in paths if (found := re.match(r"Dense_(\d+)/", path))]
    last = f"Dense_{max(numbers, default=0)}/"
    return lambda name: name.partition("/")[2].startswith(last)


def initialised_from(program: Program, state: TrainState, say: Callable[[str], None] = lambda line: None) -> TrainState:
    """Return the first state of a run with `init_from`; `say` gets a line on what was taken and what is initialised anew."""
    exp = program.exp
    if exp.init_from is None:
        return state
    theirs, what, images, absent = weights_of(exp.init_from)
    ours = flat({"params": state.params, **state.model_state})
    for pattern in exp.fresh:
        if not any(re.search(pattern, name.partition("/")[2]) for name in ours):
            raise ExperimentError(f"fresh = {pattern!r} matches no parameter of this model")
    lacking = tuple(f"^{re.escape(name.partition('/')[2])}$" for name in absent)
    found = match_leaves(ours, theirs, (*exp.fresh, *lacking))
    if found.problems:
        hint = "" if found.taken else " (nothing fits: is it another architecture?)"
        raise ExperimentError(
            f"init_from = {exp.init_from}: its parameters do not fit this model; {'; '.join(found.problems)}{hint}"
        )
    chosen = {name: theirs[name] if name in found.taken else jax.device_get(ours[name]) for name in ours}
    tree = jax.tree.unflatten(jax.tree.structure((state.params, state.model_state)), list(chosen.values()))
    count = sum(int(theirs[name].size) for name in found.taken if name.startswith("params/"))
    rest = f"{_some(sorted({n.split('/', 1)[1].rpartition('/')[0] for n in found.fresh}))} from seed {exp.seed}"
    say(f"{count:,} parameters from {exp.init_from} ({what})" + (f", {rest}" if found.fresh else ", head included"))
    standardise = exp.data.standardise
    if images and not isinstance(standardise, AsSeen):
        say(f"note: these weights were trained on images of {images}; this data set does otherwise")
    return with_weights(program, state, tree)


def with_weights(program: Program, state: TrainState, weights: Variables) -> TrainState:
    """Return a first state with given weights from the host.

    The optimizers are initialised with them too, because some keep a copy of the parameters (schedule-free, look-ahead).
    """

    def begin(knobs: Any, weights: Variables) -> Any:
        built, (params, model_state) = program.build(knobs), jax.tree.map(jnp.copy, weights)
        phases = built.task.phases
        opt_state = {p.optimizer: built.optimizers[p.optimizer].init(select(params, p.params)) for p in phases}
        ema = average.first_average(built, params, model_state)
        return {"params": params, "model_state": model_state, "opt_state": opt_state, "ema": ema}

    plan = program.plan
    kept = {name: getattr(program.shapes, name) for name in ("params", "model_state", "opt_state", "ema")}
    out = jax.tree.map(lambda a: a.sharding, kept) if plan.sharded else None
    old = (state.params, state.model_state)
    placed = jax.tree.map(lambda a, b: jax.make_array_from_callback(b.shape, b.sharding, lambda i: a[i]), weights, old)
    return state.replace(**plan.compile(begin, out=out)(program.knobs, placed))


def flat(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return leaves by "collection/path" in tree order, `params` first."""
    params = {"params": variables.get("params", {})}
    others = {name: tree for name, tree in variables.items() if name != "params"}
    leaves = [leaf for tree in (params, others) for leaf in jax.tree_util.tree_leaves_with_path(tree)]
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _sizes(array: Any) -> str:
    return "x".join(map(str, array.shape)) or "a scalar"


def _scaling(preprocess: Any) -> str:
    mean, std = (", ".join(f"{v:g}" for v in values) for values in (preprocess.mean, preprocess.std))
    return f"mean ({mean}), deviation ({std})"


# -- images as imported weights expect them ----------------------------------------------------------------------------


@dataclass(frozen=True)
class AsSeen(prepare.Standardise):
    """Centre crop of `crop` x `crop` pixels, then (x - mean) / std: the last steps of the preprocessing of a weight set."""

    crop: int = 224

    def __call__(self, batch: Batch) -> Batch:
        height, width = batch["x"].shape[1:3]
        top, left = (height - self.crop) // 2, (width - self.crop) // 2
        middle = batch["x"][:, top : top + self.crop, left : left + self.crop]
        return super().__call__({**batch, "x": middle})


def as_seen(data: Any, *, crop: int, mean: Sequence[float], std: Sequence[float]) -> Any:
    """Return a set of images with the centre crop and the scaling of `weights.json`.

    Raises UserError if the images are smaller than the crop.
    """
    height, width = data.splits["train"]["x"].shape[1:3]
    if min(height, width) < crop:
        raise UserError(f"images of {height}x{width} are smaller than the crop = {crop} of the weights")
    return replace(data, standardise=AsSeen(tuple(mean), tuple(std), crop))


__all__ = [
    "AsSeen",
    "Fit",
    "as_seen",
    "check_source",
    "described_weights",
    "initialised_from",
    "is_weights",
    "match_leaves",
]
