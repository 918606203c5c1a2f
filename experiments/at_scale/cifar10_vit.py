"""A small Vision Transformer with patches of 4x4 on CIFAR-10, from scratch.

Source: Dosovitskiy et al. 2020, arXiv:2010.11929; the size and schedule of github.com/kentaroy47/vision-transformers-cifar10.
Run:    python -m experiments.cifar10_vit --folder cifar-10-batches-bin   (the "binary version", or an npz file)
Cost:   not measured here. 17,500 steps of 512 examples, 0.6·10⁹ multiply-adds each forward: about an hour on one accelerator.
Expect: not measured here. Published: 80 % after 200 epochs, 88 % after 500 (a convolutional ResNet-18: 95 %).
"""

from jaxdl import Experiment, main
from jaxdl.augment import image as augment
from jaxdl.augment import policy
from jaxdl.data.image import vision
from jaxdl.models.vit import ViT
from jaxdl.optim import adamw, schedules
from jaxdl.tasks.classification import Classification


def config(
    *,
    folder: str | None = None,
    epochs: int = 200,
    batch: int = 512,
    lr: float = 1e-4,
    decay: float = 0.0,
    rate: float = 0.1,
    width: int = 512,
    depth: int = 6,
    heads: int = 8,
    patch: int = 4,
    seed: int = 0,
) -> Experiment:
    """A small Vision Transformer on CIFAR-10.

    Args:
        folder: folder of `data_batch_1.bin` and the others, or an npz file; none: tensorflow-datasets, if prepared.
        epochs: passes over the training split.
        batch: examples per step.
        lr: peak learning rate; cosine decay to zero.
        decay: decoupled weight decay.
        rate: dropout.
        width: dimension of the tokens.
        depth: number of blocks.
        heads: number of attention heads.
        patch: height and width of a patch.
        seed: random seed of the initialization, the data order, the augmentation and the dropout.
    """
    data = vision.cifar10(batch=batch, folder=folder)
    steps = epochs * data.steps_per_epoch
    model = ViT(patch=patch, width=width, depth=depth, heads=heads, hidden=width, classes=10, image=32, rate=rate)
    return Experiment(
        data=data,
        augment=(policy.rand_augment(2, 14.0), augment.crop(4), augment.flip()),
        task=Classification(model=model),
        optimizer=adamw(schedules.cosine(lr, steps=steps), decay=decay),
        steps=steps,
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
