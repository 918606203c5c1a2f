"""A head to train through and to throw away: contrastive losses make its output forget what the layer before it keeps."""

from collections.abc import Callable

import flax.linen as nn
from jaxtyping import Array, Float

from jaxdl.layers.dense import Dense


class Projected(nn.Module):
    """z = W₂ · act(W₁ · h + b₁) + b₂ of the representation h = norm(backbone(x)).

    The norm (`BatchNorm`; None: none) puts the middle of what it was trained on at zero, so that cosines use all directions.
    The loss reads z; what is used afterwards, and what a linear probe judges, is h, the feature `representation`.
    Source: Chen et al. 2020 (SimCLR), arXiv:2002.05709, section 4.2: a probe of h is over 10 % better than one of z.
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
