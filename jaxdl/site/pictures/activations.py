"""The activations with their derivatives, computed by `jaxdl.activations` and differentiated by JAX."""

from collections.abc import Callable
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import activations
from jaxdl.site.pictures.charts import Chart, Line
from jaxdl.site.pictures.entries import Plotted, plotted_entries
from jaxdl.site.pictures.svg import BLUE, GREEN, PURPLE, RED

X = np.linspace(-4, 4, 161, dtype=np.float32)
DASHED = "5 4"

FUNCTIONS: dict[str, tuple[str, dict[str, Callable]]] = {
    "relu": ("ReLU", {"ReLU": activations.relu}),
    "leaky-relu": (
        "Leaky ReLU",
        {"slope 0.01": activations.leaky_relu, "slope 0.2": partial(activations.leaky_relu, slope=0.2)},
    ),
    "elu": ("ELU", {"α = 1": activations.elu, "α = 0.5": partial(activations.elu, alpha=0.5)}),
    "sigmoid": ("Sigmoid", {"σ(x)": activations.sigmoid}),
    "tanh": ("Tanh", {"tanh(x)": activations.tanh}),
    "swish": (
        "Swish",
        {"β = 1": activations.swish} | {f"β = {b:g}": partial(activations.swish, beta=b) for b in (0.5, 4.0)},
    ),
    "gelu": ("GELU", {"GELU": activations.gelu, "ReLU": activations.relu}),
}  # fmt: skip
"""Slug -> name, and the curves to show: the function itself first."""
BOUNDED = {"sigmoid": (-0.25, 1.25), "tanh": (-1.4, 1.4)}
CLASSES = 3


@cache
def activation_values() -> dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Slug -> curve -> (values, derivatives) at `X`; one program computes all of them, and softmax's."""

    def all_of(x: jax.Array) -> dict[str, dict[str, tuple[jax.Array, jax.Array]]]:
        found = {
            slug: {name: (f(x), jax.vmap(jax.grad(f))(x)) for name, f in curves.items()}
            for slug, (_, curves) in FUNCTIONS.items()
        }
        logits = jnp.stack([x, jnp.ones_like(x), jnp.zeros_like(x)], -1)
        slopes = jax.vmap(jax.jacfwd(activations.softmax))(logits)
        p = activations.softmax(logits)
        cold, warm = activations.softmax(logits, temperature=0.25), activations.softmax(logits, temperature=4.0)
        found["softmax"] = {f"p{'₁₂₃'[i]}": (p[:, i], slopes[:, i, 0]) for i in range(CLASSES)}
        found["softmax"] |= {"T = 0.25": (cold[:, 0], slopes[:, 0, 0]), "T = 4": (warm[:, 0], slopes[:, 0, 0])}
        return found

    return jax.tree.map(np.asarray, jax.jit(all_of)(X))


def plot_activation(slug: str) -> Plotted:
    """The function on the left, its derivative on the right."""
    title, curves = FUNCTIONS[slug]
    colours = dict(zip(curves, (BLUE, RED, GREEN), strict=False))
    found = activation_values()[slug]

    def chart(k: int, label: str, limits: tuple[float, float]) -> Chart:
        first = next(iter(curves))
        lines = [Line(X, found[name][k], name, colours[name], None if name == first else DASHED) for name in curves]
        return Chart(lines, "x", label, (-4, 4), limits)

    slopes = np.concatenate([pair[1] for pair in found.values()])
    top = float(slopes.max())
    desc = f"Left: {title} from -4 to 4. Right: its derivative, which reaches {top:.2f} and falls to {float(slopes.min()):.2f}."
    return Plotted(
        f"{title} and its derivative",
        desc,
        [
            chart(0, "value", BOUNDED.get(slug, (-1.5, 4))),
            chart(1, "derivative", (min(-0.25, float(slopes.min()) - 0.1), top + 0.2)),
        ],
    )


def plot_softmax() -> Plotted:
    """Three classes, the logit of the first one moving."""
    found = activation_values()["softmax"]
    colours = {"p₁": BLUE, "p₂": RED, "p₃": GREEN}
    left = [Line(X, found[name][0], name, colours[name]) for name in colours]
    right = [
        Line(X, found["p₁"][0], "1", BLUE),
        Line(X, found["T = 0.25"][0], "0.25", PURPLE),
        Line(X, found["T = 4"][0], "4", RED, DASHED),
    ]
    return Plotted(
        "Softmax of three logits",
        "Left: the probabilities of three classes with logits x, 1 and 0, which sum to 1. Middle: their derivatives. "
        "Right: the first one at three temperatures T, sharper when it is cold.",
        [
            Chart(left, "first logit x", "probability", (-4, 4), (-0.05, 1.05)),
            Chart([Line(c.x, found[c.name][1], c.name, c.colour) for c in left], "x", "derivative by x", (-4, 4), (-0.3, 0.3)),
            Chart(right, "x", "p₁ at temperature", (-4, 4), (-0.05, 1.05)),
        ],
    )  # fmt: skip


ENTRIES = plotted_entries({slug: partial(plot_activation, slug) for slug in FUNCTIONS} | {"softmax": plot_softmax})
