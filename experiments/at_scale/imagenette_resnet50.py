"""ResNet-50-D on Imagenette, ten easy classes of ImageNet, at 128 pixels.

Source: Howard, github.com/fastai/imagenette; He et al. 2018, arXiv:1812.01187 (the deep stem and the pooled shortcuts).
Run:    python -m experiments.imagenette_resnet50 --folder imagenette2-320   (an unpacked archive: train, val)
Cost:   not measured here. 20 epochs are 2,940 steps of 64 examples, 1.4·10⁹ multiply-adds each forward: minutes on a GPU.
Expect: not measured here. Published for 128 pixels (fastai's xresnet50): 85.8 % after 5 epochs, 91.6 % after 20, 93.6 % after
        80, 94.2 % after 200.
"""

from functools import partial

from jaxdl import Experiment, main
from jaxdl.augment import image as augment
from jaxdl.data.image import images
from jaxdl.losses.classification import cross_entropy
from jaxdl.models.resnet import resnet_d
from jaxdl.optim import adamw, schedules
from jaxdl.tasks.classification import Classification


def config(
    *,
    folder: str | None = None,
    epochs: int = 20,
    batch: int = 64,
    image: int = 128,
    lr: float = 1e-3,
    decay: float = 0.05,
    smoothing: float = 0.1,
    width: int = 64,
    workers: int | None = None,
    seed: int = 0,
) -> Experiment:
    """ResNet-50-D on Imagenette.

    Args:
        folder: folder with `train` and `val`; none: imagenette/320px-v2 of tensorflow-datasets, if prepared.
        epochs: passes over the training split.
        batch: examples per step.
        image: height and width in training; evaluation resizes to 8/7 of it and crops the centre.
        lr: peak learning rate; linear warm-up, then cosine decay to zero.
        decay: decoupled weight decay.
        smoothing: label smoothing.
        width: channels of the first stage.
        workers: number of processes that decode images; by default one per core but one, at most 16.
        seed: random seed of the initialization, the data order, the augmentation and the dropout.
    """
    data = images.imagenette(folder=folder, batch=batch, image=image, workers=workers, scale=(0.35, 1.0))
    steps = epochs * data.steps_per_epoch
    model = resnet_d(50, classes=len(data.classes), width=width, zero_last=True)
    return Experiment(
        data=data,
        augment=(augment.flip(),),
        task=Classification(model=model, loss=partial(cross_entropy, smoothing=smoothing)),
        optimizer=adamw(schedules.warmup_cosine(lr, steps=steps), decay=decay),
        steps=steps,
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
