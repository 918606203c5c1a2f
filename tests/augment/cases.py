"""The augmentations that test_augments.py tests, and the batches that they change."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.augment import image, mix, policy, series, text
from jaxdl.augment.rows import chain, sometimes

RANDOM = np.random.default_rng(0)
ROWS, CLASSES = 8, 3
IMAGES = {
    "x": RANDOM.random((ROWS, 12, 10, 3), np.float32),
    "y": RANDOM.integers(0, CLASSES, ROWS).astype(np.int32),
    "mask": np.ones(ROWS, np.float32),
}
SERIES = IMAGES | {"x": RANDOM.normal(size=(ROWS, 23, 4)).astype(np.float32)}
LENGTHS = RANDOM.integers(6, 13, ROWS).astype(np.int32)
TEXT = IMAGES | {
    "x": np.where(np.arange(12) < LENGTHS[:, None], RANDOM.integers(2, 30, (ROWS, 12)), 0).astype(np.int32),
    "length": LENGTHS,
}
SYNONYMS = text.synonym_table({t: [(t + 1) % 28 + 2, (t + 7) % 28 + 2] for t in range(2, 30)}, vocab=30)


def reverse_model(keys, x):
    return x[:, ::-1]


def noisy_model(keys, x):
    return jnp.where(x > 0, jax.vmap(lambda k: jax.random.randint(k, x.shape[1:], 2, 30))(keys), 0)


# name -> (maker from one float knob, a knob that does something, a knob that does nothing or None, a batch)
AUGMENTS = {
    "flip": (image.flip, 0.5, 0.0, IMAGES),
    "flip vertical": (lambda p: image.flip(p, vertical=True), 0.5, 0.0, IMAGES),
    "crop": (lambda p: image.crop(3, p=p), 1.0, 0.0, IMAGES),
    "crop reflect": (lambda p: image.crop(3, mode="reflect", p=p), 1.0, 0.0, IMAGES),
    "rotate": (image.rotate, 30.0, 0.0, IMAGES),
    "affine": (
        lambda s: image.affine(30 * s, translate=s / 5, scale=(1 - s / 2, 1 + s / 2), shear=20 * s),
        1.0,
        0.0,
        IMAGES,
    ),
    "perspective": (lambda d: image.perspective(d, p=1.0), 0.5, 0.0, IMAGES),
    "random_resized_crop": (
        lambda s: image.random_resized_crop(scale=(1 - s, 1.0), ratio=(1.2, 1.2)),
        0.8,
        None,
        IMAGES,
    ),
    "random_resized_crop p": (lambda p: image.random_resized_crop(p=p), 0.9, 0.0, IMAGES),
    "color_jitter": (lambda s: image.color_jitter(s, s, s, s / 4), 0.4, 0.0, IMAGES),
    "sharpness": (image.sharpness, 0.9, 0.0, IMAGES),
    "blur": (lambda s: image.blur((0.0, s), p=1.0), 2.0, 0.0, IMAGES),
    "binarise": (lambda p: image.binarise(), 0.5, None, IMAGES),
    "grayscale": (image.grayscale, 0.5, 0.0, IMAGES),
    "solarize": (lambda p: image.solarize(0.5, p=p), 0.5, 0.0, IMAGES),
    "posterize": (lambda p: image.posterize(2, p=p), 0.5, 0.0, IMAGES),
    "equalize": (image.equalize, 0.5, 0.0, IMAGES),
    "autocontrast": (image.autocontrast, 0.5, 0.0, IMAGES),
    "invert": (image.invert, 0.5, 0.0, IMAGES),
    "erasing": (lambda s: image.erasing(1.0, scale=(0.0, s), value=0.5), 0.5, 0.0, IMAGES),
    "erasing noise": (lambda p: image.erasing(p, value=None), 0.9, 0.0, IMAGES),
    "cutout": (lambda p: image.cutout(6, p=p), 1.0, 0.0, IMAGES),
    "rand_augment": (lambda m: policy.rand_augment(2, m), 15.0, None, IMAGES),
    "trivial_augment": (lambda p: policy.trivial_augment(p=p), 0.9, 0.0, IMAGES),
    "auto_augment": (lambda p: policy.auto_augment(p=p), 0.9, 0.0, IMAGES),
    "aug_mix": (lambda p: policy.aug_mix(3.0, p=p), 1.0, 0.0, IMAGES),
    "three_augment": (lambda p: policy.three_augment(p=p), 0.9, 0.0, IMAGES),
    "chain": (lambda p: chain(image.flip(p), image.invert(p)), 0.5, 0.0, IMAGES),
    "sometimes": (lambda p: sometimes(image.invert(1.0), p), 0.5, 0.0, IMAGES),
    "mask": (lambda p: text.mask(p, mask_id=1), 0.3, 0.0, TEXT),
    "cutoff": (lambda s: text.cutoff(s, mask_id=1), 0.3, 0.0, TEXT),
    "synonyms": (lambda p: text.synonyms(SYNONYMS, p), 0.3, 0.0, TEXT),
    "swap": (text.swap, 0.5, 0.0, TEXT),
    "delete": (text.delete, 0.3, 0.0, TEXT),
    "insert": (lambda p: text.insert(p, vocab=(2, 30)), 0.3, 0.0, TEXT),
    "insert synonyms": (lambda p: text.insert(p, table=SYNONYMS), 0.3, 0.0, TEXT),
    "paraphrase": (lambda p: text.paraphrase(noisy_model, p), 0.5, 0.0, TEXT),
    "back_translate": (lambda p: text.back_translate(noisy_model, noisy_model, p), 0.5, 0.0, TEXT),
    "scaling": (series.scaling, 0.1, 0.0, SERIES),
    "jitter": (series.jitter, 0.1, 0.0, SERIES),
    "noise": (series.noise, 0.1, 0.0, SERIES),
    "rotation": (series.rotation, 0.5, 0.0, SERIES),
    "magnitude_warp": (series.magnitude_warp, 0.2, 0.0, SERIES),
    "drift": (series.drift, 0.2, 0.0, SERIES),
    "series dropout": (series.dropout, 0.2, 0.0, SERIES),
    "quantize": (lambda p: series.quantize(5, p=p), 0.5, 0.0, SERIES),
    "pool": (lambda p: series.pool(2, p=p), 0.5, 0.0, SERIES),
    "surrogate": (series.surrogate, 1.0, 0.0, SERIES),
    "reverse": (series.reverse, 0.5, 0.0, SERIES),
    "permutation": (lambda p: series.permutation(4, p=p), 1.0, 0.0, SERIES),
    "time_warp": (series.time_warp, 0.2, 0.0, SERIES),
    "window_slice": (series.window_slice, 0.7, 1.0, SERIES),
    "window_warp": (series.window_warp, 0.3, 0.0, SERIES),
    "spec_augment": (lambda w: series.spec_augment(w, w / 4), 8.0, 0.0, SERIES),
}
# These read partners from the batch they are given, so how it is cut matters.
MIXES = {
    f"{name} {mode}": (lambda a, make=make, mode=mode: make(a, CLASSES, mode=mode), 1.0, 0.0, IMAGES)
    for name, make in {
        "mixup": mix.mixup,
        "cutmix": mix.cutmix,
        "cutmix minmax": lambda *a, **k: mix.cutmix(*a, **k, minmax=(0.2, 0.6)),
        "switch": lambda a, c, mode: mix.switch(mix.mixup(a, c, mode=mode), mix.cutmix(a, c, mode=mode), mode=mode),
    }.items()
    for mode in ("batch", "pair", "elem")
}
ALL = AUGMENTS | MIXES
# Off by arithmetic (a warp by 0, a spectrum there and back), hence only up to rounding.
ROUNDED = ["time_warp", "window_warp", "window_slice", "surrogate", "perspective", "color_jitter", "drift"]
# Compilation is the cost: close relatives of other rows, and what the file of its kind tests anyway, run with the slow ones.
# name -> when its population runs
VMAPPED = dict.fromkeys(("flip", "delete")) | dict.fromkeys(
    ("rotate", "time_warp", "mixup pair", "random_resized_crop p", "insert synonyms", "auto_augment"), pytest.mark.slow
)
VMAPPED |= dict.fromkeys(
    "flip vertical, crop reflect, erasing noise, affine, trivial_augment, aug_mix, back_translate, magnitude_warp, equalize, "
    "chain, switch pair, switch elem, cutmix minmax batch".split(", "),
    pytest.mark.night,
)
SLOW = {"flip vertical", "crop reflect", "random_resized_crop p", "erasing noise", "affine", "trivial_augment", "chain"}
SLOW |= {"auto_augment", "aug_mix", "insert synonyms", "back_translate", "magnitude_warp", "equalize"}
SLOW |= {"rand_augment", "three_augment", "cutout", "perspective", "random_resized_crop", "permutation", "window_warp"}
SLOW |= {"sharpness", "grayscale", "posterize", "autocontrast", "invert", "binarise", "rotation", "drift", "noise"}
SLOW |= {
    "paraphrase",
    "swap",
    "synonyms",
    "insert",
    "cutoff",
    "sometimes",
    "scaling",
    "window_slice",
    "reverse",
    "pool",
}
SLOW |= set(MIXES) - {"mixup pair"}
