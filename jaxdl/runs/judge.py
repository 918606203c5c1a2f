"""A frozen classifier that judges generated images: FID, KID, precision and recall are computed from its features.

    judge(data)                         a CNN that is trained on the labels of `data` at its first use
    judge(data, "runs/digits_cnn/...")  a run of a classifier
    judge(data, "weights/inception")    imported weights (`import-weights inception_v3 FILE -o DIR`), with their preprocessing

The features of an image are the input of the network's head, `pooled` (Inception v3: 2048 numbers). The CNN does not pool over
space, so its features are the means of its last feature map. Numbers of different judges are not comparable, so the report
names the judge.
"""

from collections.abc import Callable
from functools import cache, cached_property
from inspect import signature
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from jaxdl.calling import called
from jaxdl.counts import check_count
from jaxdl.experiment import Experiment
from jaxdl.layers.normalization import BatchNorm
from jaxdl.metrics.generation import OnFeatures
from jaxdl.models.cnn import CNN
from jaxdl.optim import adamw, schedules
from jaxdl.pretrained.folder import open_weights
from jaxdl.record.run import open_run
from jaxdl.runs.open import open_at, setup_of
from jaxdl.runs.trial import trial
from jaxdl.runs.weights import check_source, described_weights, is_weights
from jaxdl.tasks.classification import Classification
from jaxdl.types import UserError

Images = Float[np.ndarray, "n height width channels"]
CHUNK = 200
Network = tuple[Any, Any, Callable[[np.ndarray], np.ndarray]]
"""A model, its weights, and what makes its inputs of images in [-1, 1]."""


class Features:
    """Features `(n, dim)` of images in [-1, 1]. The network is trained or loaded at its first use."""

    def __init__(self, network: Callable[[], Network], levels: int):
        self.make, self.levels, self.seen = network, levels, {}

    @cached_property
    def network(self) -> Network:
        return self.make()

    @cached_property
    def pooled(self) -> Any:
        model, _, _ = self.network

        def pooled(weights: Any, x: Any) -> Any:
            params, model_state = weights
            module, how = called(model, x, train=False, features=True)
            _, seen = module.apply({"params": params, **model_state}, x, **how)
            if "pooled" in seen:
                return seen["pooled"]
            return [value for value in seen.values() if value.ndim == 4][-1].mean((1, 2))

        return jax.jit(pooled)

    def __call__(self, images: Images) -> Float[np.ndarray, "n dim"]:
        """Compute features. Images are first rounded to the grey levels of the data, as a file would be."""
        images = np.round(np.clip((np.asarray(images) + 1) / 2, 0, 1) * self.levels) / self.levels * 2 - 1
        images = images.astype(np.float32)
        key = (images.shape, hash(images.tobytes()))
        if key not in self.seen:  # the real images of a split are the same at every evaluation
            _, weights, inputs = self.network
            parts = []
            for start in range(0, len(images), CHUNK):
                x = images[start : start + CHUNK]
                full = np.concatenate([x, np.repeat(x[-1:], CHUNK - len(x), 0)])  # one shape, one program
                parts.append(np.asarray(self.pooled(weights, inputs(full)))[: len(x)])
            self.seen = dict([*self.seen.items()][-3:])
            self.seen[key] = np.concatenate(parts)
        return self.seen[key]


@cache
def judge(data: Any, classifier: str = "", *, epochs: int = 10) -> OnFeatures:
    """Return the measures that compare generated images with those of `data`, from the features of a frozen classifier.

    Args:
        data: a set of labelled images in [-1, 1] (`jaxdl.data.image.vision.symmetric`).
        classifier: a run folder, or a folder of imported weights; empty: a CNN is trained on the labels of `data`.
        epochs: length of that training.
    """
    check_count("epochs", epochs)
    levels = int(data.maximum) if data.maximum > 1 else 255
    if not classifier:
        name = f"the sheet's CNN, trained on {data.name} for {epochs} epochs (seed 0)"
        return OnFeatures(Features(lambda: trained_network(data, epochs), levels), name)
    try:
        check_source(classifier)
    except ValueError as error:
        raise FileNotFoundError(str(error).replace("init_from", "classifier", 1)) from None
    if not is_weights(classifier):
        check_run(classifier, data)
        return OnFeatures(Features(lambda: of_run(classifier), levels), f"run {Path(classifier)}")
    about = described_weights(classifier)
    if not about["preprocess"]:
        raise UserError(f"classifier = {classifier!r} holds {about['name']}, which does not read images")
    digest = (about.get("source") or {}).get("sha256") or "unknown"
    steps = ", ".join(f"{key} {value}" for key, value in about["preprocess"].items())
    name = f"{about['name']} ({about['naming']} weights, sha256 {digest[:12]}; {steps}; its pooled features)"
    return OnFeatures(Features(lambda: of_weights(classifier), levels), name)


def trained_network(data: Any, epochs: int) -> Network:
    """The sheet's CNN on the labels of the data."""
    steps = epochs * data.steps_per_epoch
    task = Classification(model=CNN(classes=len(data.classes), norm=BatchNorm, rate=0.2))
    optimizer = adamw(schedules.warmup_cosine(peak=3e-3, steps=steps), decay=0.01)
    exp = Experiment(data=data, task=task, optimizer=optimizer, steps=steps, eval_every=steps)
    run = trial(lambda: exp)
    return task.model, run.weights, lambda images: images


def check_run(folder: str, data: Any) -> None:
    """Raise UserError, before anything is trained, if a run cannot judge images like those of `data`."""
    exp = setup_of(open_run(folder)).build()
    model, shape = exp.task.network, data.example()["x"].shape[1:]
    if "features" not in signature(type(model).__call__).parameters:
        raise UserError(
            f"classifier = {folder!r} is a {type(model).__name__}, whose features cannot be read: take a run of a "
            "convolutional network, such as fashion_mnist_cnn or digits_resnet"
        )
    if exp.data.example()["x"].shape[1:] != shape:
        raise UserError(
            f"classifier = {folder!r} reads images of {exp.data.example()['x'].shape[1:]}, these are of {shape}"
        )


def of_run(folder: str) -> Network:
    run = open_at(folder)
    standardise = run.experiment.data.standardise
    return run.experiment.task.network, run.weights, lambda images: standardise({"x": (images + 1) / 2})["x"]


def of_weights(folder: str) -> Network:
    found = open_weights(folder)
    variables = dict(found.whole)
    preprocess = found.weights.preprocess
    assert preprocess is not None, "judge() refuses weights that do not read images"

    def inputs(images: np.ndarray) -> np.ndarray:
        return np.stack([preprocess(image) for image in ((images + 1) * 127.5).round().astype(np.uint8)])

    return found.model, (variables.pop("params"), variables), inputs
