"""Recognising people that training never showed, from any folder of photographs sorted by person.

Source: Deng et al. 2018, arXiv:1801.07698 (ArcFace); iResNet and s = 64, m = 0.5 as insightface's arcface_torch has them.
Run:    python -m experiments.faces --folder PHOTOS                 (PHOTOS/ann/1.jpg, PHOTOS/bob/2.png, ...)
        python -m experiments.faces --folder PHOTOS --pairs pairs.txt   (pairs to verify, in LFW's form or `one.jpg other.jpg 1`)
Cost:   not measured here: photographs of people are yours to bring.
Expect: not measured here. Published, trained on 5.2 million photographs of 93,431 people: iResNet-50 97 % TAR at FAR 1e-4 on
        IJB-C (`lfw_verification`). From a folder of hundreds of people expect far less, and compare with --loss classifier.

70 % of the people train, 15 % choose the best weights, 15 % are tested: no one is in two parts. Photographs should show the face
alone and upright; 112x112 is what the network is made for.
"""

from functools import partial
from pathlib import Path
from typing import Literal

import optax

from jaxdl.augment import image
from jaxdl.data.identities import identities, read_pairs, trained, with_pairs
from jaxdl.experiment import Experiment, experiment, main
from jaxdl.losses import arcface, cosface, cross_entropy
from jaxdl.models.iresnet import iresnet
from jaxdl.optim import clip, momentum, schedules
from jaxdl.tasks.metric_learning import MetricLearning


@experiment
def config(
    *,
    folder: str = "faces",
    pairs: str | None = None,
    depth: Literal[18, 34, 50, 100] = 18,
    loss: Literal["arcface", "cosface", "classifier"] = "arcface",
    size: int | None = 112,
    least: int | None = None,
    margin: float = 0.5,
    scale: float = 64.0,
    width: int = 64,
    dim: int = 512,
    rate: float = 0.4,
    epochs: int = 30,
    batch: int = 64,
    lr: float = 0.05,
    decay: float = 5e-4,
    seed: int = 0,
) -> Experiment:
    """A face embedding from a folder of people.

    Args:
        folder: one subfolder of photographs for each person; or train/, val/ and test/ with such subfolders.
        pairs: a list of pairs, of photographs in the folder, to test on instead of the 15 %.
        depth: of the iResNet.
        loss: insightface's ArcFace or CosFace (its margin there is 0.4), or the features of a common classifier.
        size: pixels of the photographs' sides; none: they all have one size, which is kept.
        least: people with fewer photographs are left out; none: one with a single photograph is refused.
        margin: m, in radians or, of cosface, a cosine.
        scale: s.
        width: channels of the first stage; 64 is the published network.
        dim: numbers in an embedding.
        rate: dropout before the embedding.
        epochs: passes over the training photographs.
        batch: photographs in a step.
        lr: peak learning rate, after a warm-up and before a cosine to zero.
        decay: weight decay, coupled as in insightface.
        seed: of the initialization, the order, the augmentation and the dropout.
    """
    data = identities(folder, batch=batch, size=size, least=least)
    if pairs is not None:
        data = with_pairs(data, tuple(read_pairs(pairs, Path(folder))))
    steps = epochs * data.steps_per_epoch
    losses = {
        "arcface": partial(arcface, margin=margin, scale=scale),
        "cosface": partial(cosface, margin=margin, scale=scale),
        "classifier": cross_entropy,
    }
    return Experiment(
        data=data,
        augment=(image.flip(),),
        task=MetricLearning(
            model=iresnet(depth, width=width, classes=dim, rate=rate),
            loss=losses[loss],
            classes=trained(data),
            head="linear" if loss == "classifier" else "cosine",
            mirror=True,
            metric=("verification_accuracy", "max"),
        ),
        optimizer=optax.chain(clip(norm=5.0), momentum(schedules.warmup_cosine(peak=lr, steps=steps), decay=decay)),
        steps=steps,
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
