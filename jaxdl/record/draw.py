"""Pictures of a report, drawn by the type of each value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import singledispatch
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jaxdl import reports
from jaxdl.record import embedding_plots, forecast_plots, plots
from jaxdl.record.alignment import ctc_alignment
from jaxdl.record.attention_maps import draw_attention
from jaxdl.record.gallery import montage
from jaxdl.record.latent_map import latent_map
from jaxdl.record.manifest import result_file
from jaxdl.record.points import points

MOST_IMAGES = 64


@dataclass(frozen=True)
class Split:
    """The split of a report: names of classes and columns, and the stored examples."""

    classes: Sequence[str] = ()
    columns: Sequence[str] = ()
    examples: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, data: Any, split: str) -> "Split":
        return cls(data.classes, data.columns, data.splits.get(split))

    def images(self) -> np.ndarray | None:
        """The stored inputs, in the order of the evaluation, if they are images."""
        x = None if self.examples is None else self.examples.get("x")
        return x if x is not None and np.ndim(x) == 4 and np.shape(x)[-1] in (1, 3) else None

    def names(self, classes: Any = None) -> Sequence[str]:
        """The names of these classes, or of all."""
        return self.classes if classes is None else [self.name(int(label)) for label in classes]

    def name(self, label: int) -> str:
        """The name of a class, else its number."""
        return str(self.classes[label]) if 0 <= label < len(self.classes) else str(label)


@singledispatch
def draw(value: Any, path: Path, split: Split) -> Path | None:
    """Draw the picture of a value and write it to `path`; None if the value has no picture for this split."""
    return value.draw(path) if isinstance(value, reports.Picture) else None


@draw.register
def _(value: reports.Matrix, path: Path, split: Split) -> Path:
    return plots.draw_confusion(value.counts, split.names(value.classes), path)


@draw.register
def _(value: reports.Bars, path: Path, split: Split) -> Path | None:
    names = split.names(value.classes)
    return plots.bars(value.values, names, path, label=value.label) if len(value.values) > 2 else None


@draw.register
def _(value: reports.Reliability, path: Path, split: Split) -> Path:
    return plots.reliability_diagram(value.bins, path)


@draw.register
def _(value: reports.Misclassified, path: Path, split: Split) -> Path | None:
    images = split.images()
    if images is None:
        return None
    titles = [f"{split.name(p)} ({split.name(t)})" for p, t in zip(value.predicted, value.true, strict=True)]
    return plots.image_grid(np.asarray(images)[value.rows], path, titles=titles)


@draw.register
def _(value: reports.Scatter, path: Path, split: Split) -> Path:
    return plots.predicted_against_true(value.predicted, value.true, path)


@draw.register
def _(value: reports.Curve, path: Path, split: Split) -> Path:
    return embedding_plots.roc_curve(value.points, path)


@draw.register
def _(value: reports.ImageGrid, path: Path, split: Split) -> Path:
    return plots.image_grid(value.pixels[:MOST_IMAGES], path)


@draw.register
def _(value: reports.Points, path: Path, split: Split) -> Path:
    return points(value.made, value.real, path)


@draw.register
def _(value: reports.Codes, path: Path, split: Split) -> Path:
    return latent_map(value.points, value.labels, path, classes=split.classes, axes=value.axes)


@draw.register
def _(value: reports.Embeddings, path: Path, split: Split) -> Path:
    return embedding_plots.embedding_map(value.points, split.classes, path)


@draw.register
def _(value: reports.Neighbours, path: Path, split: Split) -> Path | None:
    images = split.images()
    return None if images is None else embedding_plots.neighbour_grid(images, value.rows, split.classes, path)


@draw.register
def _(value: reports.FrameAlignment, path: Path, split: Split) -> Path:
    return ctc_alignment(value.spectrogram, value.posterior, value.frames, value.symbols, value.titles, path)


@draw.register
def _(value: reports.Attention, path: Path, split: Split) -> Path:
    return draw_attention(value.weights, value.source, value.target, path)


@draw.register
def _(value: reports.Forecasts, path: Path, split: Split) -> Path | None:
    return None if split.examples is None else forecast_plots.of_windows(value, split.examples, split.columns, path)


def keep_frames(folder: Path, step: int, report: Mapping[str, Any]) -> list[Path]:
    """Write a frame `NAME-STEP.png` of every filmed picture into `folder`; return their paths."""
    written = []
    for name, value in report.items():
        if isinstance(value, reports.Picture) and value.film:
            written.append(frame(value, folder / f"{name}-{step:06d}.png", step))
    return [path for path in written if path is not None]


@singledispatch
def frame(value: Any, path: Path, step: int) -> Path | None:
    """Write one frame of a film: the picture as at the end of a run, or for grids the pixels themselves."""
    return draw(value, path, Split())


@frame.register
def _(value: reports.ImageGrid, path: Path, step: int) -> Path:
    with result_file(path) as new:
        Image.fromarray(montage(value.pixels)).save(new, "PNG")
    return path


@frame.register
def _(value: reports.Points, path: Path, step: int) -> Path:
    return points(value.made, value.real, path, title=f"step {step}")
