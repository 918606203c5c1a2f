"""ViT-S/16 on ImageNet, from scratch in 90 epochs.

Source: Beyer et al. 2022, "Better plain ViT baselines for ImageNet-1k", arXiv:2205.01580 (big_vision's vit_s16_i1k).
Run:    python -m experiments.imagenet_vit_s16 --folder PATH --precision bfloat16   (PATH/train/CLASS/*.JPEG, PATH/val/...)
Cost:   not measured here. 112,500 steps of 1,024 examples, 4.6·10⁹ multiply-adds each forward. Published: 6.5 hours on a TPUv3-8.
Expect: not measured here. Published: 76.5 % top-1 after 90 epochs, 80.0 % after 300.

The mean of all patches instead of a class token, fixed sine-cosine positions, a tanh layer before the head; RandAugment (2, 10),
mix-up 0.2; Adam, gradients clipped to norm 1, 10,000 steps of warm-up, cosine. big_vision decays weights by 1e-4 whatever the
peak of the learning rate; decay is multiplied by the rate here, so that is 0.1 at a peak of 1e-3.
"""

import optax

from jaxdl import Experiment, main
from jaxdl.augment import image as augment
from jaxdl.augment import mix, policy
from jaxdl.data.image import images
from jaxdl.models.vit import ViT
from jaxdl.optim import adamw, clip, schedules
from jaxdl.tasks.classification import Classification


def config(
    *,
    folder: str | None = None,
    epochs: int = 90,
    batch: int = 1024,
    image: int = 224,
    lr: float = 1e-3,
    decay: float = 0.1,
    alpha: float = 0.2,
    width: int = 384,
    depth: int = 12,
    heads: int = 6,
    warmup: int = 10_000,
    workers: int | None = None,
    seed: int = 0,
) -> Experiment:
    """ViT-S/16 on ImageNet, from scratch.

    Args:
        folder: folder with `train` and `val`; none: imagenet2012 of tensorflow-datasets, if it is prepared.
        epochs: passes over the training split.
        batch: examples per step.
        image: height and width, a multiple of 16; evaluation resizes to 8/7 of it and crops the centre.
        lr: peak learning rate.
        decay: decoupled weight decay, times the learning rate.
        alpha: parameter of mix-up's beta distribution.
        width: dimension of the tokens.
        depth: number of blocks.
        heads: number of attention heads.
        warmup: steps of the linear warm-up, at most a ninth of the run.
        workers: number of processes that decode images; by default one per core but one, at most 16.
        seed: random seed of the initialization, the data order, the augmentation and the dropout.
    """
    data = images.imagenet(folder=folder, batch=batch, image=image, workers=workers, standardise=images.HALF)
    steps, classes = epochs * data.steps_per_epoch, len(data.classes)
    model = ViT(
        patch=16,
        width=width,
        depth=depth,
        heads=heads,
        classes=classes,
        image=image,
        pool="average",
        positions="sincos",
        representation=width,
    )
    schedule = schedules.warmup_cosine(lr, steps=steps, warmup=min(warmup, steps // 9))
    return Experiment(
        data=data,
        augment=(augment.flip(), policy.rand_augment(2, 10.0), mix.mixup(alpha, classes)),
        task=Classification(model=model),
        optimizer=optax.chain(clip(norm=1.0), adamw(schedule, decay=decay)),
        steps=steps,
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
