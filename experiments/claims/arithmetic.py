"""Claims that are formulas: checked by evaluating them, without training."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import activations
from jaxdl.layers.normalization import LayerNorm
from jaxdl.optim import adagrad
from jaxdl.runs.claims import Fact, Study

X = jnp.linspace(-20, 20, 400_001)


def ranges() -> tuple[str, str]:
    """The sheet's ranges of Swish and GELU are all reals; both are bounded below."""
    lowest = {name: float(getattr(activations, name)(X).min()) for name in ("relu", "elu", "swish", "gelu", "tanh")}
    said = ", ".join(f"{name} from {value:.4f}" for name, value in lowest.items())
    loose = lowest["swish"] > -0.279 and lowest["gelu"] > -0.171
    return ("wrong" if loose else "holds"), f"{said}: Swish and GELU do not reach all reals" if loose else said


def output_sizes() -> tuple[str, str]:
    """(input - kernel + 2·padding)/stride + 1 is a whole number for some sizes only: the layer takes the floor."""
    formula = lambda n, k, s, p: (n - k + 2 * p) / s + 1
    cases = [(n, k, s, p) for n in (7, 8, 28, 224) for k in (3, 5, 7) for s in (1, 2) for p in (0, 1)]
    convolve = lambda x, w, s, p: jax.lax.conv_general_dilated(x, w, (s,), [(p, p)])
    shape = lambda n, k, s, p: jax.eval_shape(
        lambda x, w: convolve(x, w, s, p), jnp.zeros((1, 1, n)), jnp.zeros((1, 1, k))
    )
    real = [shape(*case).shape[-1] for case in cases]
    exact = sum(formula(*case) == size for case, size in zip(cases, real, strict=True))
    floor = sum(np.floor(formula(*case)) == size for case, size in zip(cases, real, strict=True))
    assert floor == len(cases)
    return "holds when: the floor is taken", f"equal in {exact} of {len(cases)} cases, with the floor in {floor}"


def elu_is_smooth() -> tuple[str, str]:
    slope = jax.vmap(jax.grad(activations.elu))(jnp.array([-1e-4, 1e-4]))
    gap, relu = (
        float(abs(slope[1] - slope[0])),
        float(jnp.diff(jax.vmap(jax.grad(activations.relu))(jnp.array([-1e-4, 1e-4])))[0]),
    )
    return ("holds" if gap < 1e-3 else "wrong"), f"the slope jumps by {gap:.4f} at 0, ReLU's by {relu:.0f}"


def softmax_is_a_distribution() -> tuple[str, str]:
    p = activations.softmax(10 * jax.random.normal(jax.random.key(0), (1000, 10)))
    worst = float(abs(p.sum(-1) - 1).max())
    return ("holds" if worst < 1e-5 and float(p.min()) >= 0 else "wrong"), f"sums differ from 1 by at most {worst:.1e}"


def adagrad_decays() -> tuple[str, str]:
    """With gradients of constant size the step falls like 1/√t."""
    transform = adagrad(0.1)
    state, steps = transform.init(jnp.zeros(())), []
    for _ in range(100):
        update, state = transform.update(jnp.ones(()), state, jnp.zeros(()))
        steps.append(float(-update))
    ratio = steps[99] / steps[24]
    return ("holds" if abs(ratio - 0.5) < 0.01 else "wrong"), f"step 100 is {ratio:.3f} of step 25: 1/√t gives 0.5"


def layer_norm_ignores_the_batch() -> tuple[str, str]:
    x = jax.random.normal(jax.random.key(1), (32, 16))
    layer = LayerNorm()
    weights = layer.init(jax.random.key(0), x, train=True)
    whole, alone = layer.apply(weights, x, train=True), layer.apply(weights, x[:1], train=True)
    gap = float(abs(whole[:1] - alone).max())
    return ("holds" if gap < 1e-6 else "wrong"), f"an example in a batch of 32 and alone: {gap:.1e} apart"


study = Study(
    facts=(
        Fact("C26", "the ranges: Swish and GELU all reals", ranges),
        Fact("C58", "the output size of a convolution is (input - kernel + 2·padding)/stride + 1", output_sizes),
        Fact("C20", "ELU is smooth below zero", elu_is_smooth),
        Fact("C23", "softmax gives class probabilities", softmax_is_a_distribution),
        Fact("C39", "AdaGrad's rate decays over time", adagrad_decays),
        Fact("C50", "layer norm does not depend on the batch", layer_norm_ignores_the_batch),
    )
)
