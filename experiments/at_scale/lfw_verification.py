"""ArcFace at scale: train on millions of faces, verify the pairs of Labeled Faces in the Wild.

Source: Deng et al. 2018, arXiv:1801.07698; Huang et al. 2007 (LFW's protocol); sizes, s, m, peak learning rate and weight decay
        as in insightface's arcface_torch. Differences: the gradient of ArcFace is that of its formula (insightface ignores the
        margin in it, see `losses.margin`), and the learning rate decays by a cosine (there by a polynomial).
Run:    python -m experiments.lfw_verification --folder MS1MV3 --lfw lfw --pairs pairs.txt --dev-pairs pairsDevTest.txt
Cost:   not measured here; insightface reports hours on 8 GPUs.
Expect: not measured here. Published (insightface, iResNet-100 on MS1MV2): 99.83 % ten-fold accuracy on LFW's 6,000 pairs.

The best weights are chosen on LFW's View 1 (`pairsDevTest.txt`) and tested on View 2 (`pairs.txt`, ten folds), by its protocol.
All faces must be aligned and cropped to 112x112 before, in one folder per person. The people of LFW must not be in the training
folder.
"""

from functools import partial
from typing import Literal

import optax

from jaxdl import Experiment, main
from jaxdl.augment import image
from jaxdl.data.image.identities import streamed_faces, trained_people
from jaxdl.losses import arcface, cosface
from jaxdl.models.iresnet import iresnet
from jaxdl.optim import clip, momentum, schedules
from jaxdl.tasks.metric_learning import MetricLearning


def config(
    *,
    folder: str = "ms1mv3",
    lfw: str = "lfw",
    pairs: str = "pairs.txt",
    dev_pairs: str = "pairsDevTest.txt",
    depth: Literal[18, 34, 50, 100] = 50,
    loss: Literal["arcface", "cosface"] = "arcface",
    image_size: int = 112,
    margin: float | None = None,
    scale: float = 64.0,
    width: int = 64,
    dim: int = 512,
    epochs: int = 20,
    batch: int = 1024,
    lr: float = 0.1,
    decay: float = 5e-4,
    workers: int | None = None,
    seed: int = 0,
) -> Experiment:
    """ArcFace on a large folder of faces, verified on LFW.

    Args:
        folder: aligned training faces, one subfolder for each person.
        lfw: the folder of LFW, `Aaron_Eckhart/Aaron_Eckhart_0001.jpg` and so on, aligned in the same way.
        pairs: LFW's list to test on, ten folds of 300 + 300 pairs.
        dev_pairs: LFW's list to choose the best weights by.
        depth: number of layers of the iResNet.
        loss: ArcFace or CosFace.
        image_size: height and width of the faces.
        margin: margin m; none: 0.5 (radians) of arcface, 0.4 (a cosine) of cosface, as in insightface.
        scale: scale s of the cosines.
        width: channels of the first stage; 64 is the published network.
        dim: dimension of the embedding.
        epochs: passes over the training faces.
        batch: faces per step, over all devices.
        lr: peak learning rate; linear warm-up, then cosine decay to zero.
        decay: weight decay, coupled.
        workers: number of processes that decode images; none: one per core but one, at most 16.
        seed: random seed of the initialization, the data order and the mirroring.
    """
    listed = (("validation", dev_pairs, lfw), ("test", pairs, lfw))
    data = streamed_faces(folder, batch=batch, pairs=listed, image=image_size, workers=workers)
    steps = epochs * data.steps_per_epoch
    losses = {
        "arcface": partial(arcface, margin=0.5 if margin is None else margin, scale=scale),
        "cosface": partial(cosface, margin=0.4 if margin is None else margin, scale=scale),
    }
    return Experiment(
        data=data,
        augment=(image.flip(),),
        task=MetricLearning(
            model=iresnet(depth, width=width, classes=dim),
            loss=losses[loss],
            classes=trained_people(data),
            mirror=True,
            metric=("verification_accuracy", "max"),
        ),
        optimizer=optax.chain(clip(norm=5.0), momentum(schedules.warmup_cosine(peak=lr, steps=steps), decay=decay)),
        steps=steps,
        eval_every=2000,
        precision="bfloat16",
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
