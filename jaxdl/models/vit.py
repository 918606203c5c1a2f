"""Vision Transformer (ViT): a Transformer over the patches of an image.

Source: Dosovitskiy et al. 2020, arXiv:2010.11929. Choices from: Touvron et al. 2020, arXiv:2012.12877 (DeiT: sizes Ti and S, the
distillation token), Beyer et al. 2022, arXiv:2205.01580 (mean instead of a token, fixed positions), Zhai et al. 2021,
arXiv:2106.04560 (attention pooling), Touvron et al. 2021, arXiv:2103.17239 (layer scale).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxdl.activations import gelu
from jaxdl.layers.attention import MultiHead
from jaxdl.layers.convolution import Conv
from jaxdl.layers.dense import Dense
from jaxdl.layers.dropout import Dropout, DropPath, Rate
from jaxdl.layers.normalization import LayerNorm
from jaxdl.models.vision import Act, Images, Norm, Seen, run_block
from jaxdl.tracing import along_time
from jaxdl.types import UserError

Tokens = Float[Array, "batch tokens width"]

SIZES = {  # width, depth, heads: Dosovitskiy et al. 2020, table 1; Ti and S from Touvron et al. 2020, table 1
    "ti": (192, 12, 3),
    "s": (384, 12, 6),
    "b": (768, 12, 12),
    "l": (1024, 24, 16),
    "h": (1280, 32, 16),
}

vit_norm = partial(LayerNorm, eps=1e-6)
start = nn.initializers.normal(0.02)
"""timm and DeiT truncate N(0, 0.02) at ±2, which is a hundred standard deviations."""


# -- positions --------------------------------------------------------------------------------------------------------


def sincos_positions(height: int, width: int, dim: int, *, period: float = 10_000.0) -> Float[Array, "tokens dim"]:
    """Fixed two-dimensional positions [sin x·ω, cos x·ω, sin y·ω, cos y·ω] with ω_i = period^(-i/(dim/4 - 1)).

    `dim` is a multiple of 4, at least 8. Source: Beyer et al. 2022 (also in MoCo v3 and big_vision).
    """
    if dim % 4 or dim < 8:
        raise UserError(f"width={dim}: positions='sincos' need a multiple of 4, at least 8")
    y, x = np.mgrid[:height, :width].reshape(2, -1)
    omega = 1 / period ** (np.arange(dim // 4) / (dim // 4 - 1))
    waves = [f(np.outer(axis, omega)) for axis in (x, y) for f in (np.sin, np.cos)]
    return jnp.asarray(np.concatenate(waves, 1), jnp.float32)


def resample_positions(
    positions: Float[Array, "tokens dim"], grid: tuple[int, int], target: tuple[int, int]
) -> Float[Array, "resampled dim"]:
    """Resample the positions of a grid of patches to another grid: bicubic with antialiasing, as in timm."""
    if grid == target:
        return positions
    image = positions.reshape(*grid, -1)
    return jax.image.resize(image, (*target, image.shape[-1]), "cubic", antialias=True).reshape(-1, image.shape[-1])


# -- parts ------------------------------------------------------------------------------------------------------------


class FeedForward(nn.Module):
    """W₂ act(W₁ x) with `hidden` channels."""

    hidden: int
    act: Act = gelu
    rate: Rate = 0.0

    @nn.compact
    def __call__(self, x: Tokens, *, train: bool) -> Tokens:
        y = Dense(self.hidden, kernel_init=start, name="dense1")(x)
        y = jax.checkpoint(self.act)(y)  # recomputed in the backward pass, which saves an eighth of a step's memory
        y = Dropout(self.rate)(y, train=train)
        return Dropout(self.rate)(Dense(x.shape[-1], kernel_init=start, name="dense2")(y), train=train)


class Block(nn.Module):
    """x ← x + γ₁·attention(norm(x));  x ← x + γ₂·feed_forward(norm(x)). γ is layer scale (`scale`)."""

    heads: int
    hidden: int
    act: Act = gelu
    norm: Norm = vit_norm
    scale: float | None = None
    rate: Rate = 0.0
    attention_rate: Rate = 0.0
    drop_path: Rate = 0.0

    @nn.compact
    def __call__(self, x: Tokens, *, train: bool) -> Tokens:
        attention = MultiHead(x.shape[-1], self.heads, rate=self.attention_rate, kernel_init=start, name="attention")
        y = attention(self.norm(name="norm1")(x), train=train)
        x = along_time(x + self._branch("scale1", Dropout(self.rate)(y, train=train), train))
        y = FeedForward(self.hidden, self.act, self.rate, name="feed_forward")(self.norm(name="norm2")(x), train=train)
        return along_time(x + self._branch("scale2", y, train))

    def _branch(self, name: str, y: Tokens, train: bool) -> Tokens:
        if self.scale is not None:
            gamma = self.param(name, nn.initializers.constant(self.scale), y.shape[-1:]).astype(y.dtype)
            y = y * jnp.broadcast_to(gamma, y.shape)
        return DropPath(self.drop_path)(y, train=train)


class AttentionPool(nn.Module):
    """Pooling by attention: a learned query attends to all tokens; then a residual feed-forward layer."""

    heads: int
    hidden: int
    act: Act = gelu
    norm: Norm = vit_norm

    @nn.compact
    def __call__(self, x: Tokens, *, train: bool) -> Float[Array, "batch width"]:
        probe = self.param("probe", nn.initializers.xavier_uniform(), (1, 1, x.shape[-1])).astype(x.dtype)
        probe = jnp.broadcast_to(probe, (x.shape[0], 1, x.shape[-1]))
        y = MultiHead(x.shape[-1], self.heads, kernel_init=start, name="attention")(probe, x, train=train)
        y = y + FeedForward(self.hidden, self.act, name="feed_forward")(self.norm(name="norm")(y), train=train)
        return y[:, 0]


# -- the network ------------------------------------------------------------------------------------------------------


class ViT(nn.Module):
    """Patch embedding, positions, `depth` blocks, norm, pooling, head. B/16 for 224x224 has 86,567,656 parameters.

    Dense kernels, positions and tokens are initialised from N(0, 0.02), patches with variance 1/fan_in, the head with zero.
    Features: `patches`, `block1` ..., `tokens` (after the last norm), `pooled`. Attention weights are returned by
    `apply(..., mutable=["intermediates"])`.

    Args:
        image: size, or (height, width), of the images that the learned positions are for. For images of other multiples of
            `patch` they are resampled.
        stem: a module before the patches, such as the convolutions of `resnet.Stem` (Xiao et al. 2021, arXiv:2106.14881).
        pool: "token" (a class token), "average" (the mean over patches) or "attention".
        distilled: adds a second token and head; logits are their mean, the features `"class"` and `"distilled"` the two parts.
        second_head: False leaves this head out; the second token then is one that others may attend to.
        representation: width of a tanh layer before the head.
        scale: initial value of layer scale.
        drop_path: rate of stochastic depth in the last block; it grows linearly from 0 in the first.
    """

    patch: int = 16
    width: int = 768
    depth: int = 12
    heads: int = 12
    hidden: int | None = None
    classes: int = 1000
    image: int | tuple[int, int] = 224
    stem: Callable[..., nn.Module] | None = None
    pool: Literal["token", "average", "attention"] = "token"
    positions: Literal["learned", "sincos"] = "learned"
    distilled: bool = False
    second_head: bool = True
    representation: int | None = None
    act: Act = gelu
    norm: Norm = vit_norm
    scale: float | None = None
    rate: Rate = 0.0
    attention_rate: Rate = 0.0
    drop_path: Rate = 0.0
    remat: bool = False

    @nn.compact
    def __call__(
        self, x: Images, *, train: bool, features: bool = False
    ) -> Float[Array, "batch classes"] | tuple[Array, Seen]:
        self._check(x)
        hidden = self.hidden or 4 * self.width
        if self.stem is not None:
            x = self.stem(name="stem")(x, train=train)
        x = Conv(self.width, self.patch, self.patch, "valid", name="patches")(x)
        grid, x = (x.shape[1], x.shape[2]), x.reshape(x.shape[0], -1, self.width)
        x = self._with_positions(x, grid)
        x = Dropout(self.rate)(x, train=train)
        seen = {"patches": x}
        for i in range(1, self.depth + 1):
            rate = self.drop_path * ((i - 1) / max(self.depth - 1, 1))
            rates: dict[str, Any] = {"rate": self.rate, "attention_rate": self.attention_rate, "drop_path": rate}
            block = Block(self.heads, hidden, self.act, self.norm, self.scale, **rates, name=f"block{i}")
            x = seen[f"block{i}"] = run_block(block, x, train=train, remat=self.remat)
        x = seen["tokens"] = self.norm(name="norm")(x, train=train)
        if self.pool == "attention":
            pool = AttentionPool(self.heads, hidden, self.act, self.norm, name="pool")
            pooled = pool(x[:, self._extra :], train=train)
        else:
            pooled = x[:, 0] if self.pool == "token" else x[:, self._extra :].mean(1)
        if self.representation:
            pooled = jnp.tanh(Dense(self.representation, kernel_init=start, name="representation")(pooled))
        seen["pooled"] = pooled
        head = partial(Dense, self.classes, kernel_init=nn.initializers.zeros)
        logits = head(name="head")(pooled)
        if self.distilled and self.second_head:
            seen["class"], seen["distilled"] = logits, head(name="head_distilled")(x[:, 1])
            logits = (seen["class"] + seen["distilled"]) / 2
        return (logits, seen) if features else logits

    @property
    def _extra(self) -> int:
        """Number of tokens before the patches."""
        return int(self.pool == "token") + int(self.distilled)

    @property
    def grid(self) -> tuple[int, int]:
        """Numbers of patches (rows, columns) that the learned positions are for."""
        height, width = (self.image,) * 2 if isinstance(self.image, int) else self.image
        return height // self.patch, width // self.patch

    def _check(self, x: Images) -> None:
        if self.pool not in ("token", "average", "attention"):
            raise UserError(f"pool={self.pool!r}: take 'token', 'average' or 'attention'")
        if self.positions not in ("learned", "sincos"):
            raise UserError(f"positions={self.positions!r}: take 'learned' or 'sincos'")
        if self.distilled and self.pool != "token":
            raise UserError(f"distilled=True needs pool='token', got {self.pool!r}")
        if x.ndim != 4 or min(x.shape[1:3]) < self.patch or x.shape[1] % self.patch or x.shape[2] % self.patch:
            p = self.patch
            raise UserError(
                f"x has shape {x.shape}: ViT takes images whose sides are multiples of {p}, at least {p}x{p}"
            )

    def _with_positions(self, x: Tokens, grid: tuple[int, int]) -> Tokens:
        batch, learned = x.shape[0], self.positions == "learned"
        names = (["class_token"] if self.pool == "token" else []) + (["distilled_token"] if self.distilled else [])
        tokens = [self.param(name, start, (1, self.width)).astype(x.dtype) for name in names]
        x = jnp.concatenate([*(jnp.broadcast_to(t, (batch, 1, self.width)) for t in tokens), x], 1)
        if learned:
            count = self.grid[0] * self.grid[1]
            table = self.param("positions", start, (len(names) + count, self.width))
            patches = resample_positions(table[len(names) :], self.grid, grid)
            table = jnp.concatenate([table[: len(names)], patches])
        else:
            table = jnp.pad(sincos_positions(*grid, self.width), ((len(names), 0), (0, 0)))
        return x + jnp.broadcast_to(table.astype(x.dtype), x.shape)


def vit(size: str, patch: int = 16, **options) -> ViT:
    """ViT-`size`/`patch`; size is "ti", "s", "b", "l" or "h"."""
    if size not in SIZES:
        raise UserError(f"size={size!r}: take one of {', '.join(SIZES)}")
    width, depth, heads = SIZES[size]
    return ViT(**{"patch": patch, "width": width, "depth": depth, "heads": heads, **options})
