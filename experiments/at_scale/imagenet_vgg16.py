"""VGG-16 on ImageNet.

Source: Simonyan and Zisserman 2014, arXiv:1409.1556; recipe: torchvision's references/classification.
Run:    python -m experiments.imagenet_vgg16 --folder PATH --precision bfloat16   (PATH/train/CLASS/*.JPEG, PATH/val/...)
Cost:   not measured here. 450,000 steps of 256 examples, 15.5·10⁹ multiply-adds each forward: a day or so on one accelerator.
Expect: not measured here. Published by torchvision for this recipe: 71.59 % top-1 (73.36 % with --norm).
"""

from jaxdl import Experiment, main
from jaxdl.augment import image as augment
from jaxdl.data.image import images
from jaxdl.layers.normalization import BatchNorm
from jaxdl.models.vgg import vgg
from jaxdl.optim import everything, momentum, schedules
from jaxdl.tasks.classification import Classification


def config(
    *,
    folder: str | None = None,
    epochs: int = 90,
    batch: int = 256,
    image: int = 224,
    lr: float = 0.01,
    decay: float = 1e-4,
    width: int = 64,
    hidden: int = 4096,
    norm: bool = False,
    workers: int | None = None,
    seed: int = 0,
) -> Experiment:
    """VGG-16 on ImageNet.

    Args:
        folder: folder with `train` and `val`; none: imagenet2012 of tensorflow-datasets, if it is prepared.
        epochs: passes over the training split.
        batch: examples per step.
        image: height and width in training; evaluation resizes to 8/7 of it and crops the centre.
        lr: learning rate; divided by 10 after each third of the run.
        decay: weight decay of all parameters.
        width: channels of the first stage.
        hidden: units of the two dense layers.
        norm: batch norm behind every convolution.
        workers: number of processes that decode images; by default one per core but one, at most 16.
        seed: random seed of the initialization, the data order, the augmentation and the dropout.
    """
    data = images.imagenet(folder=folder, batch=batch, image=image, workers=workers)
    steps = epochs * data.steps_per_epoch
    model = vgg(16, classes=len(data.classes), width=width, hidden=hidden, norm=BatchNorm if norm else None)
    return Experiment(
        data=data,
        augment=(augment.flip(),),
        task=Classification(model=model),
        optimizer=momentum(schedules.step(lr, every=max(1, steps // 3)), decay=decay, mask=everything),
        steps=steps,
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
