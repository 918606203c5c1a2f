"""`predict RUN FILE...`: what a trained run says about images, arrays or rows of a table."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro

from jaxdl import runtime
from jaxdl.experiment import ExperimentError


@dataclass(frozen=True)
class Options:
    """Predictions for files: images (png, jpg, ...), arrays (npy; npz with an `x`), rows (csv, for tables)."""

    run: tyro.conf.Positional[Path]
    """The run folder."""
    files: tyro.conf.Positional[tuple[Path, ...]]
    """One or more files."""
    checkpoint: Literal["best", "last"] = "best"
    """Weights of the best evaluation, or of the last checkpoint."""
    top: int = 5
    """How many classes to show, the most probable first."""
    json: bool = False
    """One JSON object a line instead of text."""
    device: Literal["cpu", "gpu", "tpu"] | None = None
    """Where to compute."""


def run(args: Sequence[str]) -> int:
    options = tyro.cli(Options, args=args, prog="python -m jaxdl predict")
    if not options.files:
        raise ExperimentError("predict needs at least one file")
    for file in options.files:
        if not file.is_file():
            raise FileNotFoundError(f"no file {file}")
    runtime.configure(device=options.device)
    from jaxdl.api import load

    trained = load(options.run, options.checkpoint)
    data = trained.experiment.data
    for file in options.files:
        x = read(file, data)
        try:
            outputs = trained.predict(x)
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from None
        for row in range(len(x)):
            name = f"{file}" if len(x) == 1 else f"{file}[{row}]"
            one = (
                {key: value[row] for key, value in outputs.items()}
                if isinstance(outputs, dict)
                else {"value": outputs[row]}
            )
            print(
                as_json(name, one, data.classes, options.top)
                if options.json
                else as_text(name, one, data.classes, options.top)
            )
    return 0


def read(file: Path, data: Any) -> np.ndarray:
    """The inputs in a file, `(n, ...)`, in the form of the training data."""
    from jaxdl.data import files

    shape, kind = data.example()["x"].shape[1:], data.example()["x"].dtype
    if file.suffix == ".csv":
        if not hasattr(data, "read"):
            raise ValueError(f"{file}: this run was not trained on a table")
        return data.read(file)["x"]
    if file.suffix == ".npy":
        x = np.asarray(files.read_npy(file))
    elif file.suffix == ".npz":
        arrays = files.read_npz(file)
        if "x" not in arrays:
            raise ValueError(f"{file}: has no array 'x'; it has {', '.join(arrays)}")
        x = arrays["x"]
    elif len(shape) == 3 and kind == np.uint8:
        x = read_image(file, shape, data)
    else:
        raise ValueError(
            f"{file}: expected npy, npz{' or csv' if hasattr(data, 'read') else ''}, got {file.suffix or 'no suffix'!r}"
        )
    if x.shape == shape or (len(shape) == 3 and x.shape == shape[:2]):
        x = x[None]
    if len(shape) == 3 and x.ndim == 3 and shape[-1] == 1:
        x = x[..., None]
    return x


def read_image(file: Path, shape: tuple[int, ...], data: Any) -> np.ndarray:
    """One image file, resized to what the model reads, with the range of the training data (digits go to 16)."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            image = image.convert("L" if shape[-1] == 1 else "RGB").resize(
                (shape[1], shape[0]), Image.Resampling.BILINEAR
            )
            x = np.asarray(image, np.float32)
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"{file}: not an image that can be read ({error})") from None
    maximum = getattr(data.prepare, "maximum", 255.0)
    return np.round(x.reshape(shape) * (maximum / 255.0)).astype(np.uint8)[None]


def as_json(name: str, one: dict[str, Any], classes: Sequence[str], top: int) -> str:
    plain = {key: np.asarray(value).tolist() for key, value in one.items()}
    if "probability" in one:
        plain["top"] = [[label, round(p, 6)] for label, p in ranked(one["probability"], classes, top)]
    return json.dumps({"file": name, **plain})


def as_text(name: str, one: dict[str, Any], classes: Sequence[str], top: int) -> str:
    if "probability" in one:
        return f"{name}: " + "  ".join(f"{label} {p:.3f}" for label, p in ranked(one["probability"], classes, top))
    return f"{name}: " + "  ".join(
        f"{key} {np.array2string(np.asarray(value), precision=5)}" for key, value in one.items()
    )


def ranked(probability: np.ndarray, classes: Sequence[str], top: int) -> list[tuple[str, float]]:
    order = np.argsort(-probability)[:top]
    return [(classes[i] if i < len(classes) else str(i), float(probability[i])) for i in order]
