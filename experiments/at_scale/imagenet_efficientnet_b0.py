"""EfficientNet-B0 on ImageNet.

Source: Tan and Le 2019, arXiv:1905.11946; recipe: timm's for B0 with RandAugment (450 epochs, RMSprop in TensorFlow's form).
Run:    python -m experiments.imagenet_efficientnet_b0 --folder PATH --precision bfloat16
        (PATH/train/CLASS/*.JPEG, PATH/val/...)
Cost:   not measured here. 450 epochs are 750,000 steps of 768 examples, 0.4·10⁹ multiply-adds each forward.
Expect: not measured here. Published: 77.69 % top-1 (torchvision's weights, which are timm's of this recipe).

timm draws RandAugment's magnitude around 9 (deviation 0.5); here it is 9.
"""

from jaxdl import Experiment, main
from jaxdl.augment import image as augment
from jaxdl.augment import policy
from jaxdl.data.image import images
from jaxdl.models.efficientnet import efficientnet
from jaxdl.optim import decayed, rmsprop, schedules
from jaxdl.tasks.classification import Classification


def config(
    *,
    folder: str | None = None,
    epochs: int = 450,
    batch: int = 768,
    image: int = 224,
    lr: float = 0.048,
    decay: float = 1e-5,
    rate: float = 0.2,
    drop_path: float = 0.2,
    average: float = 0.9999,
    stem: int = 32,
    workers: int | None = None,
    seed: int = 0,
) -> Experiment:
    """EfficientNet-B0 on ImageNet.

    Args:
        folder: folder with `train` and `val`; none: imagenet2012 of tensorflow-datasets, if it is prepared.
        epochs: passes over the training split.
        batch: examples per step.
        image: height and width in training; evaluation resizes to 8/7 of it and crops the centre.
        lr: peak learning rate, times 0.97 every 2.4 epochs.
        decay: weight decay of all parameters but norms and biases.
        rate: dropout before the last layer.
        drop_path: probability that the last block is skipped in training; it grows linearly from 0.
        average: decay of the moving average of the parameters, which is evaluated.
        stem: channels of the stem; all widths are in proportion to it.
        workers: number of processes that decode images; by default one per core but one, at most 16.
        seed: random seed of the initialization, the data order, the augmentation and the dropout.
    """
    data = images.imagenet(folder=folder, batch=batch, image=image, workers=workers, interpolation="bicubic")
    epoch = data.steps_per_epoch
    model = efficientnet("b0", classes=len(data.classes), width=stem / 32, rate=rate, drop_path=drop_path)
    schedule = schedules.warmed_up(schedules.step(lr, every=2.4 * epoch, rate=0.97), 5 * epoch, start=1e-6)
    return Experiment(
        data=data,
        augment=(augment.flip(), policy.rand_augment(2, 9.0), augment.erasing(0.2, value=None)),
        task=Classification(model=model),
        optimizer=rmsprop(schedule, momentum=0.9, eps=1e-3, decay=decay, mask=decayed, preset="tf"),
        steps=epochs * epoch,
        ema=average,
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
