"""Handwritten characters of alphabets that training never showed: whole alphabets are held out.

Source: Lake et al. 2015, Science 350 (the data); Khosla et al. 2020, arXiv:2004.11362 (the loss).
Run:    python -m experiments.omniglot_metric --folder images_background      (from github.com/brendenlake/omniglot)
Cost:   8 epochs of the data below take 40 to 67 s on a very busy 2-core x86 CPU, after compiling.
Expect: measured with --epochs 8 on 136 characters of 5 alphabets (`images_background_small1`): trained on 88 characters of
        3 alphabets, validated on one, tested on 480 drawings of the 24 characters of Greek, seeds 0-2, mean ± standard deviation:

                                          MAP@R           recall@1        equal error rate
            raw pixels (28x28)            14.6 %          64.0 %          37.7 %
            --loss classifier             55.3 ± 0.5 %    89.2 ± 2.1 %    11.9 ± 0.7 %
            --loss triplet                56.0 ± 1.6 %    89.5 ± 0.7 %    10.4 ± 0.5 %
            --loss arcface                59.6 ± 0.9 %    91.5 ± 0.9 %    10.2 ± 0.2 %
            --loss supcon (default)       64.2 ± 1.6 %    92.6 ± 1.1 %     8.6 ± 0.5 %

        Default epochs, other losses and the whole of Omniglot: not measured here.
"""

from functools import partial
from typing import Literal

from jaxdl import Experiment, main
from jaxdl.augment import image
from jaxdl.data.identities import identities, trained_people
from jaxdl.data.stream import balanced
from jaxdl.layers.normalization import BatchNorm
from jaxdl.losses import arcface, cross_entropy, mined_triplet, supervised_contrastive
from jaxdl.models.cnn import CNN
from jaxdl.optim import adamw, schedules
from jaxdl.tasks.metric_learning import MetricLearning


def config(
    *,
    folder: str = "omniglot/images_background",
    loss: Literal["triplet", "supcon", "arcface", "classifier"] = "supcon",
    size: int = 28,
    dim: int = 64,
    classes: int = 16,
    each: int = 4,
    margin: float = 0.2,
    scale: float = 16.0,
    temperature: float = 0.1,
    degrees: float = 10.0,
    epochs: int = 30,
    lr: float = 3e-3,
    decay: float = 0.01,
    seed: int = 0,
) -> Experiment:
    """An embedding of characters, judged on alphabets it has never seen.

    Args:
        folder: one folder an alphabet, in it one a character, in it its drawings (or one folder a class).
        loss: what brings drawings of one character together; "classifier": the features of a common one.
        size: height and width that the drawings are brought to.
        dim: numbers in an embedding.
        classes: characters in a batch.
        each: drawings of each of them.
        margin: of triplet (a distance) and arcface (radians).
        scale: of the cosines in arcface.
        temperature: of supcon.
        degrees: drawings are turned by up to so much, and moved and stretched a little.
        epochs: passes over about the whole training split.
        lr: peak learning rate, after a warm-up and before a cosine to zero.
        decay: decoupled weight decay.
        seed: of the initialization, the order and the augmentation.
    """
    whole = identities(folder, batch=1, size=size, channels=1, invert=True)
    data = balanced(whole, classes=classes, each=each)
    steps = epochs * data.steps_per_epoch
    losses = {
        "triplet": partial(mined_triplet, margin=margin),
        "supcon": partial(supervised_contrastive, temperature=temperature),
        "arcface": partial(arcface, margin=margin, scale=scale),
        "classifier": cross_entropy,
    }
    task = MetricLearning(
        model=CNN(classes=dim, features=(32, 64, 64), norm=BatchNorm),
        loss=losses[loss],
        classes=trained_people(data) if loss in ("arcface", "classifier") else None,
        head="linear" if loss == "classifier" else "cosine",
    )
    return Experiment(
        data=data,
        augment=(image.affine(degrees=degrees, translate=0.1, scale=(0.9, 1.1), shear=5.0),),
        task=task,
        optimizer=adamw(schedules.warmup_cosine(peak=lr, steps=steps), decay=decay),
        steps=steps,
        eval_every=5 * data.steps_per_epoch,
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
