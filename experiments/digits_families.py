"""Every family of image models at tiny width, on handwritten digits.

Source: the papers of the families (`jaxdl/models`); Alpaydin and Kaynak's digits (8x8).
Run:    python -m experiments.digits_families --family vit
Cost:   1 to 8 s a run on a 2-core x86 CPU that was busy with other work (inception_v3 35 s), after compiling.
Expect: test accuracy, mean ± standard deviation over seeds 0-2 (logistic regression on the same split gives 98.1 %):

    mlp             98.4 ± 0.6 %      mobilenet_v1    97.3 ± 1.3 %
    cnn             98.5 ± 0.4 %      mobilenet_v2    98.4 ± 0.6 %
    alexnet         98.3 ± 0.6 %      mobilenet_v3    98.1 ± 0.4 %
    vgg             97.8 ± 0.7 %      efficientnet    98.6 ± 0.6 %
    resnet          99.0 ± 0.9 %      inception_v3    78.7 ± 7.4 %
    inception       98.9 ± 0.4 %      vit             82.7 ± 7.1 %

All with the same 380 steps, untuned: too few for the last two. With 1,140 the same Transformer reaches 94.3 %
(`digits_vit --stem 0 --shift 0`).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, Literal

import jax

from jaxdl import Experiment, main
from jaxdl.activations import hard_swish, relu
from jaxdl.data.image import vision
from jaxdl.layers.normalization import BatchNorm
from jaxdl.losses.classification import cross_entropy
from jaxdl.models.alexnet import AlexNet
from jaxdl.models.cnn import CNN
from jaxdl.models.efficientnet import EfficientNet
from jaxdl.models.inception import GoogLeNet, Widths
from jaxdl.models.inception_v3 import InceptionV3
from jaxdl.models.mlp import MLP
from jaxdl.models.mobilenet import MobileNetV1, MobileNetV2, MobileNetV3, Row
from jaxdl.models.resnet import Stem, cifar_resnet
from jaxdl.models.vgg import VGG
from jaxdl.models.vit import ViT
from jaxdl.optim import adamw, schedules
from jaxdl.tasks.classification import Classification
from jaxdl.types import Batch

Family = Literal[
    "mlp",
    "cnn",
    "alexnet",
    "vgg",
    "resnet",
    "inception",
    "inception_v3",
    "mobilenet_v1",
    "mobilenet_v2",
    "mobilenet_v3",
    "efficientnet",
    "vit",
]

# features, kernel, strides, padding, groups, response norm, pool: AlexNet's first rows with an eighth of the channels
ALEXNET = ((8, 11, 4, 2, 1, False, True), (24, 5, 1, 2, 1, False, True), (32, 3, 1, 1, 1, False, True))
INCEPTION = {name: Widths(8, 8, 12, 4, 8, 4) for name in ("3a", "3b", "4a", "5a")}
V1 = ((16, 1), (32, 2), (32, 1), (64, 2))
V2 = ((1, 8, 1, 1), (4, 16, 2, 2), (4, 24, 2, 2))
V3 = (Row(3, 16, 8, True, relu, 1), Row(3, 40, 16, False, relu, 2), Row(5, 64, 24, True, hard_swish, 2))
B0 = ((1, 3, 1, 8, 1), (4, 3, 2, 16, 2), (4, 5, 2, 24, 2))

FAMILIES: dict[str, tuple[int, Callable[..., Any]]] = {  # how often a pixel is enlarged, the model
    "mlp": (1, partial(MLP, features=(64, 64))),
    "cnn": (1, partial(CNN, features=(16, 32), norm=BatchNorm)),
    "alexnet": (8, partial(AlexNet, layers=ALEXNET, hidden=64, grid=1, rate=0.1)),
    "vgg": (1, partial(VGG, stages=(1, 1, 2), width=16, hidden=64, grid=1, norm=BatchNorm, rate=0.1)),
    "resnet": (1, partial(cifar_resnet, 8, width=8, stem=partial(Stem, layers=((8, 3, 1),), pool=False))),
    "inception": (3, partial(GoogLeNet, table=tuple(INCEPTION.items()), widths=(8, 8, 16), norm=BatchNorm)),
    "inception_v3": (10, partial(InceptionV3, share=0.04, norm=BatchNorm)),
    "mobilenet_v1": (2, partial(MobileNetV1, table=V1, stem=16)),
    "mobilenet_v2": (2, partial(MobileNetV2, table=V2, stem=8, last=64)),
    "mobilenet_v3": (2, partial(MobileNetV3, rows=V3, stem=8, hidden=64, norm=BatchNorm)),
    "efficientnet": (2, partial(EfficientNet, table=B0, stem=8, last=64)),
    "vit": (1, partial(ViT, patch=2, width=48, depth=2, heads=4, image=8, pool="average", positions="sincos")),
}


@dataclass(frozen=True)
class Enlarge:
    """`prepare`, and every pixel enlarged bilinearly: some families halve an image more often than 8 pixels allow."""

    prepare: Callable[[Batch], Batch]
    factor: int

    def __call__(self, batch: Batch) -> Batch:
        batch = self.prepare(batch)
        rows, height, width, channels = batch["x"].shape
        shape = (rows, height * self.factor, width * self.factor, channels)
        return {**batch, "x": jax.image.resize(batch["x"], shape, "bilinear")}


@cache
def digits(batch: int, factor: int) -> vision.Images:
    data = vision.digits(batch=batch)
    return data if factor == 1 else replace(data, prepare=Enlarge(data.prepare, factor))


def config(
    *,
    family: Family = "resnet",
    epochs: int = 20,
    batch: int = 64,
    lr: float = 4e-3,
    decay: float = 0.02,
    smoothing: float = 0.0,
    seed: int = 0,
) -> Experiment:
    """Every family of image models at tiny width, on handwritten digits.

    Args:
        family: which; the sizes are those of the table above.
        epochs: passes over the training split.
        batch: examples per step.
        lr: peak learning rate; linear warm-up, then cosine decay to zero.
        decay: decoupled weight decay.
        smoothing: label smoothing.
        seed: random seed of the initialization, the data order, and the dropout.
    """
    factor, build = FAMILIES[family]
    data = digits(batch, factor)
    steps = epochs * data.steps_per_epoch
    return Experiment(
        data=data,
        task=Classification(model=build(classes=10), loss=partial(cross_entropy, smoothing=smoothing)),
        optimizer=adamw(schedules.warmup_cosine(peak=lr, steps=steps), decay=decay),
        steps=steps,
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
