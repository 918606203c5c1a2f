"""`show-augment EXPERIMENT`: draw training examples before and after augmentation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.augment.rows import chain
from jaxdl.cli.options import open_experiment
from jaxdl.experiment import Experiment, ExperimentError
from jaxdl.types import Batch


@dataclass(frozen=True)
class Options:
    """Draw training examples before and after augmentation."""

    rows: int = 6
    """Number of training examples, one per row."""
    draws: int = 7
    """Number of independent augmentations of each example."""
    plot: Path = Path("augment.png")
    """File of the picture."""
    device: Literal["cpu", "gpu", "tpu"] | None = None
    """Where to compute."""


def run(args: Sequence[str]) -> int:
    setup, options = open_experiment(args, "show-augment", Options)
    print(draw(setup.build(), options.plot, rows=options.rows, draws=options.draws))
    return 0


def before_and_after(exp: Experiment, draws: int) -> tuple[Batch, list[Batch]]:
    """The batch of the first step, prepared but not yet standardised, and `draws` augmented versions of it."""
    if not exp.augment:
        raise ExperimentError("this experiment has no augmentation: give it one, as in `augment=(image.flip(), ...)`")
    seed = int(exp.seed if exp.data_seed is None else exp.data_seed)
    source = jax.tree.map(jnp.asarray, dict(exp.data.source(0, 1, seed)))

    def one(key: jax.Array, source: Any) -> Batch:
        return chain(*exp.augment)(key, exp.data.prepare(exp.data.train_batch(source, seed, jnp.int32(0))))

    before = jax.jit(lambda source: exp.data.prepare(exp.data.train_batch(source, seed, jnp.int32(0))))(source)
    changed = jax.jit(one)
    keys = jax.random.split(jax.random.key(seed), draws)
    return jax.device_get(before), [jax.device_get(changed(key, source)) for key in keys]


def draw(exp: Experiment, path: str | Path, *, rows: int = 6, draws: int = 7) -> Path:
    """A grid: a row is a training example, first as it is, then as each draw changes it; mixed labels are written above."""
    if rows < 1 or draws < 1:
        raise ExperimentError(f"--rows {rows} --draws {draws}: take 1 or more of each")
    before, after = before_and_after(exp, draws)
    x, n = np.asarray(before["x"]), min(rows, len(before["x"]))
    changed = np.stack([np.asarray(batch["x"]) for batch in after], 1)
    if x.ndim == 4 and x.shape[-1] in (1, 3):
        from jaxdl.record.plots import image_grid

        if changed.shape[2:] != x.shape[1:]:
            raise ExperimentError(f"the augmentations change the shape {x.shape[1:]} to {changed.shape[2:]}: not drawn")
        grid = np.concatenate([x[:n, None], changed[:n]], 1)
        names = exp.data.classes
        titles = [label(batch, i, names) for i in range(n) for batch in (before, *after)]
        return image_grid(grid.reshape(-1, *x.shape[1:]), path, titles=titles, columns=draws + 1)
    if x.ndim == 3 and np.issubdtype(x.dtype, np.floating):
        from jaxdl.record.pictures import series_gallery

        return series_gallery(x[:n], changed[:n], path, titles=[f"draw {i + 1}" for i in range(draws)])
    if x.ndim == 2 and np.issubdtype(x.dtype, np.integer):
        from jaxdl.record.pictures import text_gallery

        spell = exp.data.words
        return text_gallery([row for i in range(n) for row in text_rows(before, after, i, spell)], path)
    raise ExperimentError(
        f"examples of shape {x.shape[1:]} and type {x.dtype} cannot be drawn: they are not images, series or texts"
    )


def label(batch: Batch, row: int, names: Sequence[str]) -> str:
    """The class of an example, or its mixture: "3", ".70·3 + .30·8"."""
    if "y" not in batch:
        return ""
    y = np.asarray(batch["y"][row])
    if y.ndim == 0:
        return names[int(y)] if np.issubdtype(y.dtype, np.integer) and y < len(names) else f"{y:g}"
    if len(y) != len(names):
        return ""
    top = [i for i in np.argsort(-y)[:2] if y[i] > 0.005]
    if len(top) == 1 or y[top[0]] > 0.995:
        return names[top[0]]
    return " + ".join(f"{y[i]:.2f}·{names[i]}".lstrip("0") for i in top)


def text_rows(before: Batch, after: Sequence[Batch], row: int, spell: Callable[[Any], list[str]]) -> list[Any]:
    """(title, words, marks) of an example and of its augmented versions; marks are the words that differ from the original."""

    def words(batch: Batch) -> tuple[np.ndarray, list[str]]:
        tokens = np.asarray(batch["x"][row])
        length = int(batch["length"][row]) if "length" in batch else len(np.trim_zeros(tokens, "b"))
        return tokens[:length], list(spell(tokens[:length]))

    old, spelt = words(before)
    rows = [("original", spelt, [False] * len(spelt))]
    for i, batch in enumerate(after):
        new, spelt = words(batch)
        rows.append((f"draw {i + 1}", spelt, changes(old.tolist(), new.tolist())))
    return rows


def changes(old: Sequence[Any], new: Sequence[Any]) -> list[bool]:
    """Whether each item of `new` was inserted, replaced or moved, compared with `old`.

    >>> changes("abcd", "axcbd")
    [False, True, True, False, False]
    """
    from difflib import SequenceMatcher

    marks = [True] * len(new)
    for block in SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks():
        marks[block.b : block.b + block.size] = [False] * block.size
    return marks
