"""MobileNetV2 on ImageNet.

Source: Sandler et al. 2018, arXiv:1801.04381; recipe: torchvision's references/classification.
Run:    python -m experiments.imagenet_mobilenet_v2 --folder PATH --precision bfloat16   (PATH/train/CLASS/*.JPEG, PATH/val/...)
Cost:   not measured here. 300 epochs are 1.5 million steps of 256 examples, 0.3·10⁹ multiply-adds each forward.
Expect: not measured here. Published by torchvision for this recipe: 71.88 % top-1.
"""

from jaxdl import Experiment, main
from jaxdl.augment import image as augment
from jaxdl.data.image import images
from jaxdl.models.mobilenet import MobileNetV2
from jaxdl.optim import everything, momentum, schedules
from jaxdl.tasks.classification import Classification


def config(
    *,
    folder: str | None = None,
    epochs: int = 300,
    batch: int = 256,
    image: int = 224,
    lr: float = 0.045,
    fade: float = 0.98,
    decay: float = 4e-5,
    rate: float = 0.2,
    stem: int = 32,
    workers: int | None = None,
    seed: int = 0,
) -> Experiment:
    """MobileNetV2 on ImageNet.

    Args:
        folder: folder with `train` and `val`; none: imagenet2012 of tensorflow-datasets, if it is prepared.
        epochs: passes over the training split.
        batch: examples per step.
        image: height and width in training; evaluation resizes to 8/7 of it and crops the centre.
        lr: learning rate of the first epoch.
        fade: factor of the learning rate per epoch.
        decay: weight decay of all parameters.
        rate: dropout before the last layer.
        stem: channels of the stem; all widths are in proportion to it.
        workers: number of processes that decode images; by default one per core but one, at most 16.
        seed: random seed of the initialization, the data order, the augmentation and the dropout.
    """
    data = images.imagenet(folder=folder, batch=batch, image=image, workers=workers)
    model = MobileNetV2(classes=len(data.classes), width=stem / 32, rate=rate)
    return Experiment(
        data=data,
        augment=(augment.flip(),),
        task=Classification(model=model),
        optimizer=momentum(schedules.step(lr, every=data.steps_per_epoch, rate=fade), decay=decay, mask=everything),
        steps=epochs * data.steps_per_epoch,
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
