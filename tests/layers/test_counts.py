"""Counts of layers that are no counts, and rates that are no shares, are refused by name."""

import jax
import numpy as np
import pytest

from jaxdl.layers.alignment import Bahdanau
from jaxdl.layers.arithmetic import convolution_output_size
from jaxdl.layers.attention import MultiHead
from jaxdl.layers.convolution import Conv, ConvTranspose, DepthwiseConv
from jaxdl.layers.dense import Dense
from jaxdl.layers.dropout import Dropout, DropPath
from jaxdl.layers.local import LocalConv
from jaxdl.layers.normalization import BatchNorm, GroupNorm
from jaxdl.layers.pooling import adaptive_avg_pool, blur_pool, max_pool
from jaxdl.layers.position import Learned, relative_bucket, rotary, sinusoidal
from jaxdl.layers.quantize import VectorQuantizer
from jaxdl.layers.recurrent import GRU, LSTM, Recurrent
from jaxdl.types import UserError

IMAGES = np.zeros((1, 8, 8, 4), np.float32)
TOKENS = np.zeros((1, 6, 4), np.float32)
PLACES = np.zeros((1, 6), np.int32)


def layer(x, *more, **apply):
    """A function that initialises a module for an input, abstractly."""
    return lambda module: jax.eval_shape(lambda: module.init(jax.random.key(0), x, *more, **apply))


image, text = layer(IMAGES), layer(TOKENS, train=True)
COUNTS = {  # name of the count -> calls with it
    "features": [
        lambda n: image(Dense(n)),
        lambda n: image(Conv(n)),
        lambda n: image(ConvTranspose(n)),
        lambda n: image(LocalConv(n)),
    ],
    "kernel_size": [lambda n: image(Conv(2, kernel_size=n)), lambda n: image(Conv(2, kernel_size=(3, n)))],
    "strides": [lambda n: image(Conv(2, strides=n)), lambda n: max_pool(IMAGES, 2, n)],
    "dilation": [lambda n: image(Conv(2, dilation=n))],
    "groups": [lambda n: image(Conv(4, groups=n)), lambda n: image(GroupNorm(n))],
    "multiplier": [lambda n: image(DepthwiseConv(multiplier=n))],
    "window": [lambda n: max_pool(IMAGES, n)],
    "sizes": [lambda n: adaptive_avg_pool(IMAGES, n)],
    "taps": [lambda n: blur_pool(IMAGES, taps=n)],
    "kernel": [lambda n: convolution_output_size(8, n)],
    "width": [
        lambda n: text(MultiHead(n, 2)),
        lambda n: sinusoidal(PLACES, n),
        lambda n: layer(TOKENS[:, 0], TOKENS)(Bahdanau(n)),
    ],
    "heads": [lambda n: text(MultiHead(8, n))],
    "kv_heads": [lambda n: text(MultiHead(8, 2, kv_heads=n))],
    "dim": [lambda n: text(MultiHead(8, 2, dim=n))],
    "length": [lambda n: layer(TOKENS, PLACES)(Learned(n))],
    "dims": [lambda n: rotary(TOKENS[:, :, None], PLACES, dims=n)],
    "buckets": [lambda n: relative_bucket(PLACES, buckets=n)],
    "codes": [lambda n: text(VectorQuantizer(codes=n))],
    "hidden": [LSTM, GRU],
    "project": [lambda n: LSTM(4, project=n)],
    "layers": [lambda n: text(Recurrent(LSTM(4), layers=n))],
}


@pytest.mark.parametrize("bad", [0, -1, 2.5, True, float("nan"), "3"])
@pytest.mark.parametrize("name", COUNTS)
def test_counts_that_are_no_counts(name, bad):
    for call in COUNTS[name]:
        with pytest.raises(UserError, match=f"^{name} = "):
            call(bad)


@pytest.mark.parametrize("bad", [-1, 1.5, True, float("nan"), "3"])
def test_windows_that_are_no_counts(bad):
    for side, window in {"left": (bad, 0), "right": (2, bad)}.items():
        with pytest.raises(UserError, match=f"^{side} = "):
            text(MultiHead(8, 2, window=window))


@pytest.mark.parametrize("bad", [-1, 1.5, True, float("nan"), "3"])
def test_padding_that_is_no_count(bad):
    if bad != "3":  # a text is a mode
        with pytest.raises(UserError, match=r"^padding = "):
            image(Conv(2, padding=bad))
    with pytest.raises(UserError, match=r"^padding = "):
        image(Conv(2, padding=(1, bad)))


@pytest.mark.parametrize("bad", [-0.1, 1.5, True, float("nan"), "0.5"])
def test_rates_that_are_no_shares(bad):
    for name, module in {
        "rate": Dropout(bad),
        "momentum": BatchNorm(bad),
        "recurrent_rate": Recurrent(LSTM(4), recurrent_rate=bad),
        "decay": VectorQuantizer(decay=bad),
    }.items():
        with pytest.raises(UserError, match=f"^{name} = "):
            text(module)
    with pytest.raises(UserError, match=r"^rate = "):
        text(DropPath(bad))
