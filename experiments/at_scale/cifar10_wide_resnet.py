"""Wide ResNet 28-10 on CIFAR-10.

Source: Zagoruyko and Komodakis 2016, arXiv:1605.07146, section 3.
Run:    python -m experiments.cifar10_wide_resnet --folder cifar-10-batches-bin   (the "binary version", or an npz file)
Cost:   not measured here. 70,200 steps of 128 examples, 5.2·10⁹ multiply-adds each forward: some hours on one accelerator.
Expect: not measured here. Published: 96.0 to 96.2 % (error 4.0 % without, 3.8 % with dropout between the convolutions).

5,000 of the 50,000 training images are held out for validation; there is no dropout inside the blocks.
"""

from jaxdl import Experiment, main
from jaxdl.augment import image as augment
from jaxdl.data.image import vision
from jaxdl.models.resnet import wide_resnet
from jaxdl.optim import everything, nesterov, schedules
from jaxdl.tasks.classification import Classification


def config(
    *,
    folder: str | None = None,
    epochs: int = 200,
    batch: int = 128,
    lr: float = 0.1,
    decay: float = 5e-4,
    depth: int = 28,
    widen: int = 10,
    seed: int = 0,
) -> Experiment:
    """A wide ResNet on CIFAR-10.

    Args:
        folder: folder of `data_batch_1.bin` and the others, or an npz file; none: tensorflow-datasets, if prepared.
        epochs: passes over the training split.
        batch: examples per step.
        lr: learning rate, a fifth of it after 30, 60 and 80 % of the run.
        decay: weight decay of all parameters.
        depth: 6n + 4: 16, 22, 28, 40.
        widen: factor of the widths 16, 32, 64.
        seed: random seed of the initialization, the data order, the augmentation and the dropout.
    """
    data = vision.cifar10(batch=batch, folder=folder)
    steps = epochs * data.steps_per_epoch
    schedule = schedules.multistep(lr, milestones=(0.3 * steps, 0.6 * steps, 0.8 * steps), rate=0.2)
    return Experiment(
        data=data,
        augment=(augment.crop(4, mode="reflect"), augment.flip()),
        task=Classification(model=wide_resnet(depth, widen, classes=10)),
        optimizer=nesterov(schedule, decay=decay, mask=everything),
        steps=steps,
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
