"""Activations over depth, and batch norm before and after them: dense networks on images of clothing, halved to 14x14.

Hidden layers of 64, 250 steps of Adam on batches of 32. Each seed takes the best of three rates on the validation split; the
value is its test accuracy. Weights start with variance 2/n, for tanh and sigmoid 1/n. In an evaluation batch norm uses the
statistics of 512 training images.
"""

import jax
import jax.numpy as jnp

from jaxdl import activations
from jaxdl.losses.classification import cross_entropy
from jaxdl.optim import adam
from jaxdl.runs.claim_training import minimise, population, small_clothing
from jaxdl.runs.claims import Comparison, Study

WIDTH, STEPS, BATCH, RATES = 64, 250, 32, (1e-3, 3e-3, 1e-2)


def forward(params, x, *, act: str, norm: str, known: int):
    """Logits; statistics of batch norm are those of the first `known` rows."""
    normalize = lambda z: (z - z[:known].mean(0)) * jax.lax.rsqrt(z[:known].var(0) + 1e-5)
    for w, b in params[:-1]:
        z = x @ w + b
        z = normalize(z) if norm == "before" else z
        x = getattr(activations, act)(z)
        x = normalize(x) if norm == "after" else x
    return x @ params[-1][0] + params[-1][1]


def train(key, *, act: str, depth: int, norm: str):
    start, order = jax.random.split(key)
    sizes = [196, *(WIDTH,) * depth, 10]
    gain = 1.0 if act in ("tanh", "sigmoid") else 2.0
    params = [
        ((gain / n) ** 0.5 * jax.random.normal(k, (n, m)), jnp.zeros(m))
        for k, n, m in zip(jax.random.split(start, depth + 1), sizes[:-1], sizes[1:], strict=True)
    ]
    (x, y), (vx, vy), (tx, ty) = (tuple(map(jnp.asarray, small_clothing(s))) for s in ("train", "validation", "test"))
    rows = jax.random.randint(order, (STEPS, BATCH), 0, len(y))

    def accuracies(rate):
        def loss(params, take):
            return cross_entropy(forward(params, x[take], act=act, norm=norm, known=BATCH), y[take]).mean()

        last = minimise(loss, params, adam(rate), rows)
        logits = forward(last, jnp.concatenate([x[:512], vx, tx]), act=act, norm=norm, known=512)[512:]
        right = logits.argmax(-1) == jnp.concatenate([vy, ty])
        return right[: len(vy)].mean(), right[len(vy) :].mean()

    chosen, value = jax.vmap(accuracies)(jnp.array(RATES))
    return value[chosen.argmax()]


TRIED = (
    *((act, depth, "none") for depth in (2, 8) for act in ("relu", "swish")),
    *((act, 8, "none") for act in ("gelu", "elu", "tanh", "sigmoid")),
    *((act, 8, "before") for act in ("relu", "swish")),
    ("relu", 8, "after"),
)
DEEP = "relu, 8 layers, norm none"
WHERE = ("2 layers, norm none", "8 layers, norm none", "8 layers, norm before")
swish = [Comparison("C24", "Swish is better than ReLU", f"swish, {w}", f"relu, {w}", 0.005, w) for w in WHERE]
relu = [
    Comparison("C18", "ReLU is the default for hidden layers", DEEP, f"{a}, 8 layers, norm none", 0.01, said, alike)
    for a, said, alike in (
        *(("sigmoid", "better than sigmoid", False), ("tanh", "better than tanh", False)),
        *(("gelu", "like GELU", True), ("elu", "like ELU", True)),
    )
]
place = [
    Comparison("C48", "batch norm stands before or after the activation", f"relu, {a}", f"relu, {b}", 0.01, said, same)
    for a, b, said, same in (
        ("8 layers, norm before", "8 layers, norm none", "before, against none", False),
        ("8 layers, norm after", "8 layers, norm none", "after, against none", False),
        ("8 layers, norm before", "8 layers, norm after", "before, like after", True),
    )
]
study = Study(
    measure=population(train),
    settings={f"{a}, {d} layers, norm {n}": {"act": a, "depth": d, "norm": n} for a, d, n in TRIED},
    comparisons=(*swish, *relu, *place),
)
