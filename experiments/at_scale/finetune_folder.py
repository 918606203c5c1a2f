"""Fine-tuning any named image model on a folder of your photographs, from imported weights.

Source: Kornblith et al. 2018, arXiv:1805.08974; Howard and Ruder 2018, arXiv:1801.06146 (lower rates for early layers).
Run:    python -m jaxdl import-weights resnet18 FILE.safetensors -o W        (names: python -m jaxdl models)
        python -m experiments.finetune_folder --folder PHOTOS --init-from W  (PHOTOS/cat/1.jpg, PHOTOS/dog/2.jpg, ...)
Cost:   not measured here: it needs photographs and trained weights.
Expect: not measured here. Compare: without --init-from (from scratch), --freeze "^(?!head/)" (the head alone),
        --layer-decay 0.5. `finetune_digits` has measured numbers of the four ways.

Images are resized, cropped and normalized by the preprocessing of the weights (`weights.json`), except that interpolation is
always bilinear. From scratch the preprocessing of ImageNet is used.
"""

from functools import partial
from pathlib import Path

import optax

from jaxdl import Experiment, main
from jaxdl.augment import image
from jaxdl.data.image import folder as folders
from jaxdl.losses.classification import cross_entropy
from jaxdl.models.catalog import MODELS
from jaxdl.optim import adamw, clip, groups, schedules
from jaxdl.runs.weights import as_seen, described_weights, is_weights
from jaxdl.tasks.classification import Classification

IMAGENET = {"crop": 224, "resize": 256, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def config(
    *,
    folder: str = "photos",
    init_from: str | None = None,
    model: str | None = None,
    crop: int | None = None,
    freeze: str = "",
    layer_decay: float = 1.0,
    area: float = 0.35,
    epochs: int = 10,
    batch: int = 32,
    lr: float = 3e-4,
    decay: float = 0.05,
    smoothing: float = 0.1,
    seed: int = 0,
) -> Experiment:
    """Fine-tuning any named image model on a folder of images.

    Args:
        folder: one subfolder of images for each class, or train/, val/ and test/ with such subfolders.
        init_from: a folder of import-weights, whose preprocessing is used, or a run folder; none: from scratch.
        model: a name of `python -m jaxdl models`; none: that of the imported weights, else resnet18.
        crop: height and width in pixels; none: as in the training of the weights.
        freeze: a regular expression of parameters that stay as they are, such as "^(stem|stage1)"; "^(?!head/)" leaves
            only the head to train. Batch norm then keeps its statistics everywhere.
        layer_decay: factor of the learning rate from each stage to the one before it; 1: the same rate for all.
        area: smallest share of an image that a random crop keeps; the largest is all of it.
        epochs: passes over the training split.
        batch: examples per step.
        lr: peak learning rate; linear warm-up, then cosine decay to zero.
        decay: decoupled weight decay.
        smoothing: label smoothing.
        seed: random seed of the initialization, the data order, the augmentation and the dropout.
    """
    if not Path(folder).expanduser().is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; give --folder, with one subfolder of images for each class")
    imported = init_from is not None and is_weights(init_from)
    weights = described_weights(init_from) if imported else {"name": "resnet18", "options": {}, "preprocess": IMAGENET}
    name, seen = model or weights["name"], weights["preprocess"]
    if name not in MODELS or seen is None:
        raise ValueError(f"model = {name!r} is no image model: python -m jaxdl models lists them")
    crop = crop or seen["crop"]
    data = folders.image_folder(folder, batch=batch, size=max(crop, crop * seen["resize"] // seen["crop"]))
    data = as_seen(data, crop=crop, mean=seen["mean"], std=seen["std"])
    steps = epochs * data.steps_per_epoch
    options = weights["options"] if name == weights["name"] else {}
    network = MODELS[name].configured(**{**options, "classes": len(data.classes)})
    if freeze and getattr(network, "norm", None) is not None and hasattr(network.norm(), "frozen"):
        network = network.clone(norm=partial(network.norm, frozen=True))
    optimizer = optax.chain(
        clip(norm=1.0),
        adamw(schedules.warmup_cosine(peak=lr, steps=steps), decay=decay),
        groups.scale_stages(layer_decay),
    )
    return Experiment(
        data=data,
        augment=(image.random_resized_crop(crop, scale=(area, 1.0)), image.flip()),
        task=Classification(model=network, loss=partial(cross_entropy, smoothing=smoothing)),
        optimizer=groups.freeze(optimizer, freeze) if freeze else optimizer,
        steps=steps,
        init_from=init_from,
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
