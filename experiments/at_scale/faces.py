"""Face recognition of people who are not in the training set, from any folder of photographs sorted by person.

Source: Deng et al. 2018, arXiv:1801.07698 (ArcFace); iResNet, s and m as in insightface's arcface_torch. Differences: the
        gradient of ArcFace is that of its formula (insightface ignores the margin in it, see `losses.margin`), and the learning
        rate decays by a cosine (there by a polynomial).
Run:    python -m experiments.faces --folder PHOTOS                 (PHOTOS/ann/1.jpg, PHOTOS/bob/2.png, ...)
        python -m experiments.faces --folder PHOTOS --pairs pairs.txt   (pairs to verify, in LFW's form or `one.jpg other.jpg 1`)
Cost:   not measured here: it needs photographs of people.
Expect: not measured here. `omniglot_metric` measures a recipe like this one on drawings of characters never seen.
        Published, trained on 5.2 million photographs of 93,431 people: iResNet-50 97 % TAR at FAR 1e-4 on
        IJB-C (`lfw_verification`). From a folder of hundreds of people expect far less, and compare with --loss classifier.

70 % of the people are for training, 15 % for validation and 15 % for the test. With --pairs all people named there are for the
test and 15 % of the others for validation. Photographs should show the face alone and upright; the network is made for 112x112
pixels.
"""

from functools import partial
from typing import Literal

import optax

from jaxdl import Experiment, main
from jaxdl.augment import image
from jaxdl.data.image.identities import identities, trained_people
from jaxdl.losses import arcface, cosface, cross_entropy
from jaxdl.models.iresnet import iresnet
from jaxdl.optim import clip, momentum, schedules
from jaxdl.tasks.metric_learning import MetricLearning


def config(
    *,
    folder: str = "faces",
    pairs: str | None = None,
    depth: Literal[18, 34, 50, 100] = 18,
    loss: Literal["arcface", "cosface", "classifier"] = "arcface",
    size: int | None = 112,
    least: int | None = None,
    margin: float | None = None,
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
        folder: one subfolder of photographs for each person; or train/, and any of val/ and test/, with such subfolders.
        pairs: a list of pairs of photographs in the folder to test on; the people in it are for the test only.
        depth: number of layers of the iResNet.
        loss: ArcFace or CosFace, or the features of a common classifier.
        size: height and width in pixels; none: all photographs have one size, which is kept.
        least: minimum number of photographs per person, others are left out; none: refuse people with a single one.
        margin: margin m; none: 0.5 (radians) of arcface, 0.4 (a cosine) of cosface, as in insightface.
        scale: scale s of the cosines.
        width: channels of the first stage; 64 is the published network.
        dim: dimension of the embedding.
        rate: dropout before the embedding.
        epochs: passes over the training photographs.
        batch: photographs per step.
        lr: peak learning rate; linear warm-up, then cosine decay to zero.
        decay: weight decay, coupled as in insightface.
        seed: random seed of the initialization, the data order, the augmentation and the dropout.
    """
    data = identities(folder, batch=batch, size=size, least=least, pairs=pairs)
    steps = epochs * data.steps_per_epoch
    losses = {
        "arcface": partial(arcface, margin=0.5 if margin is None else margin, scale=scale),
        "cosface": partial(cosface, margin=0.4 if margin is None else margin, scale=scale),
        "classifier": cross_entropy,
    }
    return Experiment(
        data=data,
        augment=(image.flip(),),
        task=MetricLearning(
            model=iresnet(depth, width=width, classes=dim, rate=rate),
            loss=losses[loss],
            classes=trained_people(data),
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
