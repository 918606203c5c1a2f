"""A small CIFAR-form ResNet on Fashion-MNIST.

Source: He et al. 2015, arXiv:1512.03385, section 4.2 (depth 6n + 2); Xiao et al. 2017, arXiv:1708.07747.
Run:    python -m experiments.fashion_mnist_resnet                   (the 12,000 bundled images)
        python -m experiments.fashion_mnist_resnet --folder PATH     (all 70,000, from IDX or npz files)
Cost:   with --folder, 1,263 steps of 128, about 4 minutes on a 2-core x86 CPU that was busy with other work.
Expect: with --folder, test accuracy 91.1 % (one seed so far, 2-core x86 CPU).
"""

from functools import partial

from jaxdl import Experiment, main
from jaxdl.augment import image
from jaxdl.data.image import vision
from jaxdl.losses.classification import cross_entropy
from jaxdl.models.resnet import Stem, cifar_resnet
from jaxdl.optim import adamw, schedules
from jaxdl.tasks.classification import Classification


def config(
    *,
    folder: str | None = None,
    depth: int = 8,
    width: int = 16,
    epochs: int = 3,
    batch: int = 128,
    lr: float = 1e-2,
    decay: float = 0.02,
    smoothing: float = 0.0,
    shift: int = 0,
    seed: int = 0,
) -> Experiment:
    """A small CIFAR-form ResNet on Fashion-MNIST.

    Args:
        folder: folder of the IDX files (gzipped or not) or of the npz file; none: the 12,000 images that are bundled.
        depth: layers, 6n + 2 (8, 14, 20, ...): n blocks at each of three widths.
        width: channels of the first stage; the next two have twice and four times as many.
        epochs: passes over the training split.
        batch: examples per step.
        lr: peak learning rate; linear warm-up, then cosine decay to zero.
        decay: decoupled weight decay.
        smoothing: label smoothing.
        shift: maximum random shift, in pixels. Half of the images are mirrored in any case.
        seed: random seed of the initialization, the data order and the augmentation.
    """
    data = vision.fashion_mnist(batch=batch, folder=folder) if folder else vision.clothing(batch=batch)
    steps = epochs * data.steps_per_epoch
    model = cifar_resnet(depth, width=width, stem=partial(Stem, layers=((width, 3, 1),), pool=False))
    return Experiment(
        data=data,
        augment=(image.flip(), image.crop(pad=shift)) if shift else (image.flip(),),
        task=Classification(model=model, loss=partial(cross_entropy, smoothing=smoothing)),
        optimizer=adamw(schedules.warmup_cosine(peak=lr, steps=steps), decay=decay),
        steps=steps,
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
