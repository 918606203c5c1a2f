"""New examples of a trained GAN or VAE, as a picture or as an array."""

from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxdl.experiment import ExperimentError
from jaxdl.record.gallery import montage
from jaxdl.record.manifest import result_file


def make(run: Any, count: int, *, label: str | None = None, seed: int = 0, path: Path | None = None) -> Path:
    """Write new examples of a `jaxdl.runs.run.Run` whose task has `sample` to a new file, and return its path.

    Args:
        run: the run.
        count: number of examples.
        label: name or number of their class, if the task is conditional; None: the classes in turn.
        seed: seed of the latents.
        path: a `.png` (a grid of images) or a `.npy`; None: `generated-1.png` and so on in the run folder.
    """
    task, data = run.experiment.task, run.experiment.data
    if label is not None and not task.conditional:
        raise ExperimentError(f"--label {label}: this {type(task).__name__} is not conditional on a class")
    batch = {"x": np.zeros((count, *data.example()["x"].shape[1:]), np.float32)}
    if task.conditional:
        batch["y"] = labels_of(label, data.classes, count)
    examples = np.asarray(jax.jit(task.sample)(*run.weights, batch, jax.random.key(seed)))
    pictured = examples.ndim == 4 and examples.shape[-1] in (1, 3)
    path = free(run.folder, "png" if pictured else "npy") if path is None else path
    if path.suffix not in (".npy", *([".png"] if pictured else [])):
        raise ExperimentError(
            f"--out {path}: {'name a .png or a .npy' if pictured else 'the examples are not images: name a .npy'}"
        )
    if path.exists():
        raise FileExistsError(f"{path} exists: name another file")
    from PIL import Image

    with result_file(path) as new:
        if path.suffix == ".npy":
            np.save(new, examples)
        else:
            Image.fromarray(montage(examples, most=count)).save(new, "PNG")
    return path


def labels_of(label: str | None, classes: tuple[str, ...], count: int) -> np.ndarray:
    """A class number for every example."""
    if not classes:
        raise ExperimentError("these examples have a class each, and the data of this run name none")
    if label is None:
        return np.arange(count, dtype=np.int32) % len(classes)
    known = {name: i for i, name in enumerate(classes)}
    number = known.get(label, int(label) if label.isdecimal() else -1)
    if not 0 <= number < len(classes):
        raise ExperimentError(f"--label {label}: the classes are {', '.join(classes)} (or their numbers from 0)")
    return np.full(count, number, np.int32)


def free(folder: Path, suffix: str) -> Path:
    """The first of generated-1, generated-2, ... in a folder that is not taken."""
    number = 1
    while (path := folder / f"generated-{number}.{suffix}").exists():
        number += 1
    return path
