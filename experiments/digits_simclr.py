"""Learning to see digits without labels: two views of one image belong together (SimCLR), then a linear probe.

Source: Chen et al. 2020, arXiv:2002.05709.
Run:    python -m experiments.digits_simclr
Cost:   10 to 60 s on a busy 2-core x86 CPU, after compiling.
Expect: test accuracy of a linear probe of the representation, and MAP@R of its cosines, seeds 0-2, mean ± standard deviation:

            --method simclr (default)    96.5 ± 0.8 %    65.2 ± 0.4 %    no label formed the representation
            --method supervised          98.1 ± 0.4 %    87.0 ± 1.5 %    the same network and views, trained with labels
            --method random              93.8 ± 1.7 %    48.8 ± 0.9 %    the network as it was initialised
            logistic regression on raw pixels gives 98.1 % on the same split

On images as small and as well centred as these, what is learned without labels does not beat the pixels themselves.
"""

from functools import partial
from typing import Literal

from jaxdl import Experiment, main
from jaxdl.augment import image, views
from jaxdl.data import vision
from jaxdl.layers.normalization import BatchNorm
from jaxdl.losses import cross_entropy, nt_xent
from jaxdl.models.cnn import CNN
from jaxdl.models.projection import Projected
from jaxdl.optim import adamw, schedules
from jaxdl.tasks.metric_learning import MetricLearning


def config(
    *,
    method: Literal["simclr", "supervised", "random"] = "simclr",
    dim: int = 128,
    projection: int = 64,
    temperature: float = 0.2,
    degrees: float = 15.0,
    move: float = 0.1,
    blot: float = 0.15,
    epochs: int = 60,
    batch: int = 128,
    lr: float = 3e-3,
    decay: float = 1e-4,
    seed: int = 0,
) -> Experiment:
    """Representations of digits, judged by a linear classifier that is trained beside them and leaves them alone.

    Args:
        method: what forms the representation: pairs of views, the labels, or nothing (as it was initialised).
        dim: numbers in the representation.
        projection: numbers behind the projection head, which the loss reads.
        temperature: of the softmax over the batch.
        degrees: a view is turned by up to so much,
        move: moved by up to so large a part of its size,
        blot: and a patch of up to so large a part of it is blotted out.
        epochs: passes over the training split.
        batch: images in a step, each in two views.
        lr: peak learning rate, after a warm-up and before a cosine to zero.
        decay: decoupled weight decay.
        seed: of the initialization, the order and the augmentation.
    """
    data = vision.digits(batch=batch)
    steps = epochs * data.steps_per_epoch
    changes = (
        image.affine(degrees=degrees, translate=move, scale=(0.8, 1.2), shear=10.0),
        image.erasing(p=0.5, scale=(0.02, blot)),
    )
    backbone = CNN(classes=dim, norm=BatchNorm)
    judged = {"embedding": "representation", "probe": 10, "normalise": False, "metric": ("probe_accuracy", "max")}
    tasks = {
        "simclr": {"loss": partial(nt_xent, temperature=temperature), "views": 2, "by_example": True},
        "supervised": {"loss": cross_entropy, "views": 2, "classes": 10, "head": "linear"},
        "random": {"loss": lambda e, y, mask: 0 * e.sum(1), "views": 2, "by_example": True},
    }
    return Experiment(
        data=data,
        augment=(views.several(*changes),),
        task=MetricLearning(Projected(backbone, hidden=dim, dim=projection), **tasks[method], **judged),
        optimizer=adamw(schedules.warmup_cosine(peak=lr, steps=steps), decay=decay),
        steps=steps,
        eval_every=5 * data.steps_per_epoch,
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
