"""Sizes: what a convolution or a pool makes of an axis, what it sees, what it costs.

The cheat sheet's formula with the floor it needs, and with dilation d:

    out = ⌊(in + 2p - d·(k - 1) - 1) / s⌋ + 1
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from jaxdl.types import UserError

Mode = Literal["symmetric", "valid", "same", "reflect", "circular", "replicate"]
Padding = Mode | int | Sequence[int] | Sequence[tuple[int, int]]
Pairs = tuple[tuple[int, int], ...]
MODES = ("symmetric", "valid", "same", "reflect", "circular", "replicate")


def per_axis(value: int | Sequence[int], rank: int, name: str) -> tuple[int, ...]:
    """One positive integer per spatial axis: `3` -> `(3, 3)`."""
    values = (value,) * rank if isinstance(value, int) else tuple(value)
    if len(values) != rank or any(v < 1 for v in values):
        raise UserError(f"{name}={value!r}: give one integer >= 1, or {rank} of them")
    return values


def padding_pairs(
    padding: Padding,
    kernel: Sequence[int],
    strides: Sequence[int] | None = None,
    dilation: Sequence[int] | None = None,
    sizes: Sequence[int] | None = None,
) -> Pairs:
    """Explicit (low, high) padding of every spatial axis.

    - `"symmetric"` (also the amount of `"reflect"`, `"circular"`, `"replicate"`): ⌊d·(k - 1)/2⌋ on both sides, PyTorch's
      habit; keeps the size for an odd kernel at stride 1, and does not move the grid at stride 2;
    - `"valid"`: none;
    - `"same"`: TensorFlow's, ⌈in/s⌉ outputs, the odd one of the padding on the right (so it depends on `sizes`);
    - an integer, one per axis, or one pair per axis.

    >>> padding_pairs("symmetric", (3, 5)), padding_pairs("same", (3,), (2,), (1,), (8,))
    (((1, 1), (2, 2)), ((0, 1),))
    """
    rank = len(kernel)
    strides, dilation = strides or (1,) * rank, dilation or (1,) * rank
    if padding == "valid":
        return ((0, 0),) * rank
    if padding == "same":
        if sizes is None:
            raise UserError("padding='same' depends on the sizes of the input: give `sizes`")
        total = [
            max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
            for n, k, s, d in zip(sizes, kernel, strides, dilation, strict=True)
        ]
        return tuple((t // 2, t - t // 2) for t in total)
    if isinstance(padding, str):
        if padding not in MODES:
            raise UserError(f"padding={padding!r}: take one of {', '.join(MODES)}, an integer or (low, high) pairs")
        half = [d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True)]
        return tuple((h, h) for h in half)
    pairs = (padding,) * rank if isinstance(padding, int) else tuple(padding)
    pairs = tuple((p, p) if isinstance(p, int) else tuple(p) for p in pairs)
    if len(pairs) != rank or any(len(p) != 2 or min(p) < 0 for p in pairs):
        raise UserError(f"padding={padding!r}: give one integer >= 0, {rank} of them, or {rank} (low, high) pairs")
    return tuple((low, high) for low, high in pairs)


def convolution_output_size(
    size: int,
    kernel: int,
    stride: int = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int = 1,
    ceil_mode: bool = False,
) -> int:
    """Length of an axis after a convolution or a pool.

        out = ⌊(in + p_low + p_high - d·(k - 1) - 1) / s⌋ + 1

    `ceil_mode` (pools) rounds up instead, but drops a last window that would start in the padding on the right, as
    PyTorch does; there a window may also hang over an axis that is shorter by less than the stride. Raises ValueError
    where the window does not fit.

    >>> convolution_output_size(224, 3, padding=1), convolution_output_size(112, 3, 2, ceil_mode=True)
    (224, 56)
    """
    low, high = (padding, padding) if isinstance(padding, int) else padding
    span = size + low + high - dilation * (kernel - 1) - 1
    if span + (stride - 1 if ceil_mode else 0) < 0:
        raise UserError(f"kernel={kernel} with dilation={dilation} does not fit an axis of {size} padded by {padding}")
    if not ceil_mode:
        return span // stride + 1
    out = -(-span // stride) + 1
    return out - 1 if (out - 1) * stride >= size + low else out


def transposed_output_size(
    size: int,
    kernel: int,
    stride: int = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int = 1,
    output_padding: int = 0,
) -> int:
    """Length of an axis after a transposed convolution: the size whose convolution has length `size`.

        out = (in - 1)·s - p_low - p_high + d·(k - 1) + output_padding + 1

    >>> transposed_output_size(7, 4, 2, 1)
    14
    """
    low, high = (padding, padding) if isinstance(padding, int) else padding
    return (size - 1) * stride - low - high + dilation * (kernel - 1) + output_padding + 1


def receptive_field(layers: Iterable[tuple[int, int] | tuple[int, int, int]]) -> tuple[int, int]:
    """How many inputs one output sees, and how far apart the windows of neighbours are: `(field, jump)`.

        field ← field + d·(k - 1)·jump;  jump ← jump·s          from field = jump = 1

    `layers`: (kernel, stride) or (kernel, stride, dilation) of each, first to last.

    >>> receptive_field([(3, 1), (2, 2), (3, 1), (2, 2)])  # the sheet's CNN
    (10, 4)
    """
    field, jump = 1, 1
    for kernel, stride, *dilation in layers:
        field += (dilation[0] if dilation else 1) * (kernel - 1) * jump
        jump *= stride
    return field, jump


def convolution_parameters(
    channels: int, features: int, kernel: Sequence[int], groups: int = 1, use_bias: bool = True
) -> int:
    """Number of parameters: `features · (channels/groups · Π k + bias)`.

    >>> convolution_parameters(3, 32, (3, 3))
    896
    """
    weights = channels // groups
    for k in kernel:
        weights *= k
    return features * (weights + use_bias)
