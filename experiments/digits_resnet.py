"""A small CIFAR-form ResNet on handwritten digits.

Source: He et al. 2015, arXiv:1512.03385, section 4.2 (depth 6n + 2); Alpaydin and Kaynak's digits (8x8).
Run:    python -m experiments.digits_resnet
Cost:   about 10 s on a 2-core x86 CPU that was busy with other work, after compiling.
Expect: test accuracy 99.1 ± 0.2 % over seeds 0-2 (logistic regression on the same split gives 98.1 %, the sheet's CNN 99.1 %).
"""

from functools import partial
from typing import Literal

from jaxdl import Experiment, main
from jaxdl.augment import image
from jaxdl.data.image import vision
from jaxdl.losses.classification import cross_entropy
from jaxdl.models.resnet import Stem, cifar_resnet
from jaxdl.optim import adamw, schedules
from jaxdl.tasks.classification import Classification


def config(
    *,
    depth: int = 8,
    width: int = 16,
    form: Literal["v1", "v2"] = "v1",
    drop_path: float = 0.0,
    epochs: int = 20,
    batch: int = 64,
    lr: float = 1e-2,
    decay: float = 0.02,
    smoothing: float = 0.0,
    shift: int = 0,
    seed: int = 0,
) -> Experiment:
    """A small CIFAR-form ResNet on scikit-learn's digits.

    Args:
        depth: layers, 6n + 2 (8, 14, 20, ...): n blocks at each of three widths.
        width: channels of the first stage; the next two have twice and four times as many.
        form: v1 has norm and activation after each convolution, v2 before it.
        drop_path: probability that the last block is skipped in training; of earlier blocks in proportion to depth.
        epochs: passes over the training split.
        batch: examples per step.
        lr: peak learning rate; linear warm-up, then cosine decay to zero.
        decay: decoupled weight decay.
        smoothing: label smoothing.
        shift: maximum random shift, in pixels; 0: none.
        seed: random seed of the initialization, the data order and the augmentation.
    """
    data = vision.digits(batch=batch)
    steps = epochs * data.steps_per_epoch
    stem = partial(Stem, layers=((width, 3, 1),), pool=False)
    model = cifar_resnet(depth, width=width, stem=stem, preactivation=form == "v2", drop_path=drop_path)
    return Experiment(
        data=data,
        augment=(image.crop(pad=shift),) if shift else (),
        task=Classification(model=model, loss=partial(cross_entropy, smoothing=smoothing)),
        optimizer=adamw(schedules.warmup_cosine(peak=lr, steps=steps), decay=decay),
        steps=steps,
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
