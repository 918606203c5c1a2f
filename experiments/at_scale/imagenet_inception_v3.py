"""Inception v3 on ImageNet.

Source: Szegedy et al. 2015, arXiv:1512.00567, sections 4, 7 and 8.
Run:    python -m experiments.imagenet_inception_v3 --folder PATH --precision bfloat16   (PATH/train/CLASS/*.JPEG, PATH/val/...)
Cost:   not measured here. 100 epochs are 80,000 steps of 1,600 examples, 5.7·10⁹ multiply-adds each forward.
Expect: not measured here. Published: 77.29 % top-1, 93.45 % top-5 (torchvision's weights, trained by the authors in TensorFlow).

The paper's RMSprop has ε = 1 under the root; the auxiliary head's loss counts 0.4, as in TensorFlow's code.
"""

from functools import partial

import optax

from jaxdl import Experiment, main
from jaxdl.augment import image as augment
from jaxdl.data.image import images
from jaxdl.losses.classification import cross_entropy
from jaxdl.models.inception_v3 import InceptionV3
from jaxdl.optim import clip, rmsprop, schedules
from jaxdl.tasks.classification import Classification


def config(
    *,
    folder: str | None = None,
    epochs: int = 100,
    batch: int = 1600,
    image: int = 299,
    lr: float = 0.045,
    smoothing: float = 0.1,
    decay: float = 4e-5,
    rate: float = 0.2,
    auxiliary: bool = True,
    workers: int | None = None,
    seed: int = 0,
) -> Experiment:
    """Inception v3 on ImageNet.

    Args:
        folder: folder with `train` and `val`; none: imagenet2012 of tensorflow-datasets, if it is prepared.
        epochs: passes over the training split.
        batch: examples per step.
        image: height and width in training and evaluation; 299 or more with the auxiliary head, else 75 or more.
        lr: learning rate, times 0.94 every second epoch.
        smoothing: label smoothing.
        decay: weight decay of all parameters but norms and biases (TensorFlow's code).
        rate: dropout before the last layer.
        auxiliary: train with the auxiliary head.
        workers: number of processes that decode images; by default one per core but one, at most 16.
        seed: random seed of the initialization, the data order, the augmentation and the dropout.
    """
    data = images.imagenet(
        folder=folder,
        batch=batch,
        image=image,
        workers=workers,
        resize=round(image * 8 / 7),
        standardise=images.HALF,
    )
    model = InceptionV3(classes=len(data.classes), rate=rate, aux=auxiliary)
    schedule = schedules.step(lr, every=2 * data.steps_per_epoch, rate=0.94)
    return Experiment(
        data=data,
        augment=(augment.flip(),),
        task=Classification(
            model=model,
            loss=partial(cross_entropy, smoothing=smoothing),
            auxiliary={"aux1": 0.4} if auxiliary else {},
        ),
        optimizer=optax.chain(
            clip(norm=2.0), rmsprop(schedule, b2=0.9, eps=1.0, momentum=0.9, decay=decay, preset="tf")
        ),
        steps=epochs * data.steps_per_epoch,
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
