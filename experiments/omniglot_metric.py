"""Metric learning on handwritten characters: whole alphabets are held out for the test.

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
from jaxdl.data.image.identities import identities, trained_people
from jaxdl.data.source import balanced
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
    """An embedding of characters, evaluated on alphabets that it was not trained on.

    Args:
        folder: a folder per alphabet that holds a folder of drawings per character (or one folder per class).
        loss: the loss of the embedding; "classifier": the features of a common classifier.
        size: height and width to which drawings are resized.
        dim: dimension of the embedding.
        classes: characters in a batch.
        each: drawings of each character in a batch.
        margin: margin of triplet (a distance) and arcface (radians).
        scale: factor of the cosines in arcface.
        temperature: temperature of supcon.
        degrees: maximum rotation, in degrees; drawings are also moved and scaled a little.
        epochs: passes over about the whole training split.
        lr: peak learning rate; linear warm-up, then cosine decay to zero.
        decay: decoupled weight decay.
        seed: random seed of the initialization, the data order and the augmentation.
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
