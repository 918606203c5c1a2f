"""Sizes against PyTorch's shapes on a random grid, and the numbers of the cheat sheet."""

import re

import jax
import numpy as np
import pytest

from jaxdl.layers.arithmetic import (
    convolution_output_size,
    convolution_parameters,
    padding_pairs,
    per_axis,
    receptive_field,
    transposed_output_size,
)
from jaxdl.types import UserError


def grid(n, seed):
    """Random (size, kernel, stride, padding, dilation) that fit; padding at most half the kernel, as PyTorch's pools ask."""
    rng = np.random.default_rng(seed)
    while n:
        size, k, s, d = (int(v) for v in rng.integers((1, 1, 1, 1), (30, 8, 6, 4)))
        p = int(rng.integers(0, k // 2 + 1))
        if size + 2 * p >= d * (k - 1) + 1:
            yield size, k, s, p, d
            n -= 1


def test_convolution_output_size_is_pytorchs(oracle):
    @oracle
    def theirs(torch):
        zeros, conv = torch.zeros, torch.nn.functional.conv1d
        rows = [
            conv(zeros(1, 1, size), zeros(1, 1, k), stride=s, padding=p, dilation=d)
            for size, k, s, p, d in grid(200, 0)
        ]
        return {"sizes": [y.shape[-1] for y in rows]}

    assert [convolution_output_size(*row) for row in grid(200, 0)] == theirs["sizes"].tolist()


def test_ceil_mode_is_pytorchs(oracle):
    @oracle
    def theirs(torch):
        zeros, pool = torch.zeros, torch.nn.functional.max_pool1d
        return {"sizes": [pool(zeros(1, 1, row[0]), *row[1:], ceil_mode=True).shape[-1] for row in grid(300, 1)]}

    ours = [convolution_output_size(*row, ceil_mode=True) for row in grid(300, 1)]
    assert ours == theirs["sizes"].tolist()
    assert sum(y != convolution_output_size(*row) for y, row in zip(ours, grid(300, 1), strict=True)) > 30


def test_transposed_output_size_is_pytorchs_and_undoes_the_convolution(oracle):
    rows = [(*row, row[0] % max(row[2], row[4])) for row in grid(200, 2)]
    rows = [row for row in rows if transposed_output_size(*row) >= 1]
    assert len(rows) > 150

    @oracle
    def theirs(torch):
        zeros, conv = torch.zeros, torch.nn.functional.conv_transpose1d
        options = lambda s, p, d, extra: {"stride": s, "padding": p, "dilation": d, "output_padding": extra}
        return {"sizes": [conv(zeros(1, 1, n), zeros(1, 1, k), **options(*o)).shape[-1] for n, k, *o in rows]}

    assert [transposed_output_size(*row) for row in rows] == theirs["sizes"].tolist()
    for (size, k, s, p, d, extra), out in zip(rows, theirs["sizes"].tolist(), strict=True):
        if extra < s:
            assert convolution_output_size(out, k, s, p, d) == size


@pytest.mark.parametrize(
    ("args", "size"),
    [
        ((224, 3, 1, 1), 224),
        ((224, 7, 2, 3), 112),
        ((32, 5), 28),
        ((7, 2, 2), 3),
        ((8, 3, 2, (0, 1)), 4),
        ((5, 3, 1, 2, 2), 5),
    ],
)
def test_known_sizes(args, size):
    assert convolution_output_size(*args) == size


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([(3, 1)] * 3, (7, 1)),  # three 3x3 see what one 7x7 sees
        ([(3, 1, 1), (3, 1, 2), (3, 1, 4)], (15, 1)),  # WaveNet: doubles with every layer
        ([(11, 4), (3, 2), (5, 1), (3, 2), (3, 1), (3, 1), (3, 1), (3, 2)], (195, 32)),  # AlexNet, published
        ([(3, 1), (3, 1), (2, 2)] * 2 + [(3, 1)] * 3 + [(2, 2)] + ([(3, 1)] * 3 + [(2, 2)]) * 2, (212, 32)),  # VGG-16
    ],
)
def test_receptive_field(layers, expected):
    assert receptive_field(layers) == expected


def test_parameters_of_the_sheets_network():
    conv = convolution_parameters(3, 32, (3, 3)) + convolution_parameters(32, 64, (3, 3))
    assert conv + (64 * 56 * 56 + 1) * 10 == 2_026_442
    assert convolution_parameters(8, 8, (3, 3), groups=8, use_bias=False) == 72


def test_tensorflows_same_pads_on_the_right():
    assert padding_pairs("same", (3, 2), (2, 1), (1, 1), (224, 5)) == ((0, 1), (0, 1))
    assert padding_pairs("symmetric", (3, 3), (2, 2), (1, 1), (224, 224)) == ((1, 1), (1, 1))
    for size, k, s, _, d in grid(100, 3):
        jaxs = jax.lax.padtype_to_pads((size,), (d * (k - 1) + 1,), (s,), "SAME")
        assert padding_pairs("same", (k,), (s,), (d,), (size,)) == tuple(jaxs)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: per_axis((3, 0), 2, "strides"), "strides = 0 "),
        (lambda: per_axis((3, 3, 3), 2, "strides"), "strides = (3, 3, 3) "),
        (lambda: padding_pairs("SAME", (3,)), "padding = 'SAME' "),
        (lambda: padding_pairs("same", (3,)), "sizes"),
        (lambda: padding_pairs(((1, -1),), (3,)), "padding = -1 "),
        (lambda: padding_pairs(((1, 1, 1),), (3,)), "padding = ((1, 1, 1),) "),
        (lambda: convolution_output_size(2, 5), "kernel = 5 "),
    ],
)
def test_errors_name_the_argument(call, words):
    with pytest.raises(UserError, match=re.escape(words)):
        call()
