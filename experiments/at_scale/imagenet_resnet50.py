"""ResNet-50 on ImageNet, by torchvision's old or new recipe.

Source: He et al. 2015, arXiv:1512.03385 (v1.5: the stride in the 3x3 convolution);
        recipes: torchvision's references/classification.
Run:    python -m experiments.imagenet_resnet50 --folder PATH --precision bfloat16   (PATH/train/CLASS/*.JPEG, PATH/val/...)
        python -m experiments.imagenet_resnet50 --folder PATH --precision bfloat16 --recipe modern --ema 0.9998
Cost:   not measured here. 90 epochs are 450,000 steps of 256: hours on eight accelerators; modern: 600 epochs.
Expect: not measured here. Published by torchvision: classic 76.13 % top-1 (92.86 % top-5), modern 80.86 % (95.43 %).

classic   SGD 0.1 · batch/256, momentum 0.9, a tenth every 30 of 90 epochs, decay 1e-4 of everything, random crops and flips
modern    SGD 0.5 · batch/1024, warm-up and cosine over 600 epochs, decay 2e-5 but of norms and biases, TrivialAugment, random
          erasing, mix-up or cut-mix, label smoothing 0.1; trained at 176, evaluated at 224 of 232. torchvision also averages
          parameters (`--ema`) and repeats each example four times with other augmentations, which is not done here.
"""

from typing import Literal

from jaxdl import Experiment, main
from jaxdl.augment import image as augment
from jaxdl.augment import mix, policy
from jaxdl.data.image import images
from jaxdl.models.resnet import resnet
from jaxdl.optim import decayed, everything, momentum, schedules
from jaxdl.tasks.classification import Classification


def config(
    *,
    folder: str | None = None,
    recipe: Literal["classic", "modern"] = "classic",
    epochs: int | None = None,
    batch: int | None = None,
    image: int | None = None,
    lr: float | None = None,
    width: int = 64,
    workers: int | None = None,
    seed: int = 0,
) -> Experiment:
    """ResNet-50 on ImageNet.

    Args:
        folder: folder with `train` and `val`; none: imagenet2012 of tensorflow-datasets, if it is prepared.
        recipe: classic (torchvision's weights V1) or modern (V2).
        epochs: passes over the training split; by default 90 or 600.
        batch: examples per step; by default 256 or 1024.
        image: height and width in training; by default 224 or 176.
        lr: peak learning rate; by default 0.1 for each 256 examples of a step, or 0.5 for each 1024.
        width: channels of the first stage.
        workers: number of processes that decode images; by default one per core but one, at most 16.
        seed: random seed of the initialization, the data order and the augmentation.
    """
    modern = recipe == "modern"
    batch = batch or (1024 if modern else 256)
    image = image or (176 if modern else 224)
    evaluation = {"eval_image": 224, "resize": 232} if modern and image == 176 else {}
    data = images.imagenet(folder=folder, batch=batch, image=image, workers=workers, **evaluation)
    epoch, classes = data.steps_per_epoch, len(data.classes)
    steps = (epochs or (600 if modern else 90)) * epoch
    if lr is None:
        lr = 0.5 * batch / 1024 if modern else 0.1 * batch / 256
    if modern:
        schedule = schedules.warmup_cosine(lr, steps=steps, warmup=min(5 * epoch, steps // 20), start=0.01 * lr)
        mixed = {"classes": classes, "smoothing": 0.1}
        augments = (
            augment.flip(),
            policy.trivial_augment(translate=32 / image),
            augment.erasing(0.1),
            mix.switch(mix.mixup(0.2, **mixed), mix.cutmix(1.0, **mixed)),
        )
    else:
        schedule = schedules.step(lr, every=max(1, steps // 3))
        augments = (augment.flip(),)
    return Experiment(
        data=data,
        augment=augments,
        task=Classification(model=resnet(50, classes=classes, width=width)),
        optimizer=momentum(schedule, decay=2e-5 if modern else 1e-4, mask=decayed if modern else everything),
        steps=steps,
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
