"""Images as models of images want them: brightness left between 0 and 1, or every pixel on or off."""

from dataclasses import replace
from functools import cache

import numpy as np

from jaxdl.data.image.vision import Images
from jaxdl.data.source import keep


@cache
def in_unit_range(data: Images) -> Images:
    """The same set without taking off the mean: pixels stay in [0, 1], to be reconstructed or generated."""
    return replace(data, standardise=keep)


@cache
def binarised(data: Images) -> Images:
    """Pixels in [0, 1] in training, to be switched on and off anew at every step (`augment.image.binarise`); in the other splits
    each is on with the probability of its brightness, drawn once, the same for everyone.

    So test images are binary and fixed. Source: Salakhutdinov and Murray 2008; Burda et al. 2016, arXiv:1509.00519, train so.
    """
    splits = dict(data.splits)
    for i, name in enumerate(name for name in splits if name != "train"):
        x = splits[name]["x"]
        on = np.random.RandomState(i).random_sample(x.shape) < x / data.maximum
        drawn = (on * data.maximum).astype(x.dtype)
        drawn.flags.writeable = False
        splits[name] = {**splits[name], "x": drawn}
    sentence = f"{data.split}; pixels on or off, drawn by their brightness: at every step in training, once elsewhere"
    return replace(data, splits=splits, standardise=keep, name=f"{data.name}, binarised", split=sentence)
