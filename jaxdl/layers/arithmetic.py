"""Output sizes, receptive fields and parameters of convolutions and pools.

With padding p, kernel k, stride s and dilation d:

    out = ⌊(in + 2p - d·(k - 1) - 1) / s⌋ + 1
"""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from jaxdl.counts import check_count, check_counts
from jaxdl.types import UserError

Mode = Literal["symmetric", "valid", "same", "reflect", "circular", "replicate"]
Padding = Mode | int | Sequence[int] | Sequence[tuple[int, int]]
Pairs = tuple[tuple[int, int], ...]
MODES = ("symmetric", "valid", "same", "reflect", "circular", "replicate")


def per_axis(value: int | Sequence[int], rank: int, name: str) -> tuple[int, ...]:
    """Return one positive integer per spatial axis: `3` -> `(3, 3)`."""
    values: Any = tuple(value) if isinstance(value, tuple | list) else (value,) * rank
    for one in values:
        check_count(name, one)
    if len(values) != rank:
        raise UserError(f"{name} = {value!r} must be one integer or {rank} of them")
    return values


def padding_pairs(
    padding: Padding,
    kernel: Sequence[int],
    strides: Sequence[int] | None = None,
    dilation: Sequence[int] | None = None,
    sizes: Sequence[int] | None = None,
) -> Pairs:
    """Return the padding of every spatial axis as pairs (low, high).

    - `"symmetric"`, also for `"reflect"`, `"circular"` and `"replicate"`: ⌊d·(k - 1)/2⌋ on both sides, usual in PyTorch. It
      keeps the size for an odd kernel with stride 1, and the grid aligned with stride 2.
    - `"valid"`: no padding.
    - `"same"`: TensorFlow's, for ⌈in/s⌉ outputs, which depends on `sizes`; of an odd amount the larger part is on the right.
    - An integer, one per axis, or one pair per axis.

    >>> padding_pairs("symmetric", (3, 5)), padding_pairs("same", (3,), (2,), (1,), (8,))
    (((1, 1), (2, 2)), ((0, 1),))
    """
    rank = len(kernel)
    strides, dilation = strides or (1,) * rank, dilation or (1,) * rank
    if padding == "valid":
        return ((0, 0),) * rank
    if padding == "same":
        if sizes is None:
            raise UserError("padding = 'same' needs sizes, the sizes of the input")
        total = [
            max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
            for n, k, s, d in zip(sizes, kernel, strides, dilation, strict=True)
        ]
        return tuple((t // 2, t - t // 2) for t in total)
    if isinstance(padding, str):
        if padding not in MODES:
            raise UserError(f"padding = {padding!r} must be one of {', '.join(MODES)}, an integer or (low, high) pairs")
        half = [d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True)]
        return tuple((h, h) for h in half)
    given = tuple(padding) if isinstance(padding, Sequence) else (padding,) * rank
    pairs = tuple(tuple(p) if isinstance(p, Sequence) else (p, p) for p in given)
    if len(pairs) != rank or any(len(p) != 2 for p in pairs):
        raise UserError(f"padding = {padding!r} must be one integer, {rank} of them, or {rank} (low, high) pairs")
    for low, high in pairs:
        check_counts(0, padding=low)
        check_counts(0, padding=high)
    return tuple((low, high) for low, high in pairs)


def convolution_output_size(
    size: int,
    kernel: int,
    stride: int = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int = 1,
    ceil_mode: bool = False,
) -> int:
    """Return the length of an axis after a convolution or a pool.

        out = ⌊(in + p_low + p_high - d·(k - 1) - 1) / s⌋ + 1

    `ceil_mode` of pools rounds up instead, but drops a last window that would start in the padding on the right, as PyTorch
    does. Raises `UserError` if the window does not fit.

    >>> convolution_output_size(224, 3, padding=1), convolution_output_size(112, 3, 2, ceil_mode=True)
    (224, 56)
    """
    check_counts(size=size, kernel=kernel, stride=stride, dilation=dilation)
    low, high = (padding, padding) if isinstance(padding, int) else padding
    span = size + low + high - dilation * (kernel - 1) - 1
    if span + (stride - 1 if ceil_mode else 0) < 0:
        raise UserError(
            f"kernel = {kernel} with dilation {dilation} is larger than the axis, {size} with padding {padding}"
        )
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
    """Return the length of an axis after a transposed convolution: that whose convolution has the length `size`.

        out = (in - 1)·s - p_low - p_high + d·(k - 1) + output_padding + 1

    >>> transposed_output_size(7, 4, 2, 1)
    14
    """
    low, high = (padding, padding) if isinstance(padding, int) else padding
    return (size - 1) * stride - low - high + dilation * (kernel - 1) + output_padding + 1


def receptive_field(layers: Iterable[tuple[int, int] | tuple[int, int, int]]) -> tuple[int, int]:
    """Return the receptive field of an output, and the distance between the fields of neighbours: `(field, jump)`.

        field ← field + d·(k - 1)·jump;  jump ← jump·s          from field = jump = 1

    `layers` are pairs (kernel, stride) or triples (kernel, stride, dilation), from the first layer to the last.

    >>> receptive_field([(3, 1), (2, 2), (3, 1), (2, 2)])  # convolution, pool, convolution, pool
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
    """Return the number of parameters of a convolution: features · (channels/groups · Π k + bias).

    >>> convolution_parameters(3, 32, (3, 3))
    896
    """
    weights = channels // groups
    for k in kernel:
        weights *= k
    return features * (weights + use_bias)
