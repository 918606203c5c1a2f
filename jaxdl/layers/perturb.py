"""Adding to what layers give, from outside and without a change to the model: the gradient by an inner activation.

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
    """Inside, the output of each layer gets the array under its path, such as `"stage1_block1/conv1"`, added.

    A layer that is called several times gets it every time; paths that no layer has are passed over.
    """

    def interceptor(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        output = call(*args, **kwargs)
        path = "/".join(context.module.path)
        return output + amounts[path] if context.method_name == "__call__" and path in amounts else output

    with nn.intercept_methods(interceptor):
        yield
