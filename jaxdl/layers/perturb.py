"""Add arrays to the outputs of inner layers of a model, for gradients with respect to inner activations.

def score(delta):
    with adding({"stage4_block2": delta}):
        return model.apply(variables, x, train=False)[:, 0].sum()

jax.grad(score)(jnp.zeros(shape))        # ∂ score / ∂ output of that block
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import flax.linen as nn
from jaxtyping import Array


@contextmanager
def adding(amounts: Mapping[str, Array]) -> Iterator[None]:
    """Context manager that adds the array under the path of a layer, such as `"stage1_block1/conv1"`, to its output.

    It is added in every call of the layer. Paths that no layer has are ignored.
    """

    def interceptor(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        output = call(*args, **kwargs)
        path = "/".join(context.module.path)
        return output + amounts[path] if context.method_name == "__call__" and path in amounts else output

    with nn.intercept_methods(interceptor):
        yield
