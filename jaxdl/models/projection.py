"""Projection head for contrastive learning, used in training only."""

from collections.abc import Callable

import flax.linen as nn
from jaxtyping import Array, Float

from jaxdl.layers.dense import Dense


class Projected(nn.Module):
    """z = W₂ · act(W₁ · h + b₁) + b₂ of the representation h = norm(backbone(x)).

    The norm (`BatchNorm`; None: no norm) centres the representation, so that cosine similarities use all directions. The loss
    reads z. After training h, the feature `representation`, is used, for instance by a linear probe.
    Source: Chen et al. 2020 (SimCLR), arXiv:2002.05709, section 4.2: linear probes of h are over 10 % better than those of z.
    """

    backbone: nn.Module
    hidden: int = 128
    dim: int = 64
    act: Callable[[Array], Array] = nn.relu
    norm: Callable[..., nn.Module] | None = None

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *axes"], *, train: bool, features: bool = False
    ) -> Float[Array, "batch dim"] | tuple[Array, dict[str, Array]]:
        h = self.backbone(x, train=train)
        h = h if self.norm is None else self.norm(name="norm")(h, train=train)
        z = Dense(self.dim, name="project2")(self.act(Dense(self.hidden, name="project1")(h)))
        return (z, {"representation": h}) if features else z
