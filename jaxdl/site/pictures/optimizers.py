"""Paths of the optimizers on an ill-conditioned quadratic, each with the learning rate that suits it best.

f(w) = ½ (w - w*)ᵀ H (w - w*), H with the curvatures 1 and 100 in directions that are turned against the coordinates; the same
start for all. Of a grid of rates the one with the lowest loss in the last steps is drawn, among those whose path stays in the
frame, so that no optimizer is shown with a rate that suits another.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxdl import optim
from jaxdl.optim import groups
from jaxdl.site.pictures.charts import TILE, Axes, Chart, Line
from jaxdl.site.pictures.entries import Drawn
from jaxdl.site.pictures.svg import BLUE, INK, RED, Drawing

CURVATURE, TURN = (1.0, 100.0), np.deg2rad(12.0)
AXES = np.array([[np.cos(TURN), np.sin(TURN)], [-np.sin(TURN), np.cos(TURN)]], np.float32)
"""Directions of the two curvatures, as rows: turned, so that no coordinate has a valley of its own."""
HESSIAN = (AXES.T * np.array(CURVATURE, np.float32)) @ AXES
OPTIMUM = np.array([2.0, 0.8], np.float32)
START = np.array([-3.5, 1.6], np.float32)
STEPS = 80
RATES = np.geomspace(1e-3, 3.0, 43).astype(np.float32)
LIMITS = ((-5.0, 4.0), (-1.6, 2.4))
LOWEST = 1e-4
LAST = 10
"""Steps at the end of a run that judge its rate."""

MAKE: dict[str, Callable[..., optax.GradientTransformation]] = {
    "sgd": optim.sgd,
    "momentum": optim.momentum,
    "nesterov": optim.nesterov,
    "adagrad": optim.adagrad,
    "rmsprop": optim.rmsprop,
    "adam": optim.adam,
    "adamw": partial(optim.adamw, decay=0.05, mask=groups.everything),
    "lamb": partial(optim.lamb, decay=0.0, mask=groups.everything, max_norm=None),
}
NAMES = {
    "sgd": "SGD", "momentum": "momentum", "nesterov": "Nesterov", "adagrad": "AdaGrad", "rmsprop": "RMSprop", "adam": "Adam",
    "adamw": "AdamW", "lamb": "LAMB",
}  # fmt: skip
BESIDE = {"sgd": "momentum", "nesterov": "momentum", "adamw": "adam", "lamb": "adam"}
"""What an optimizer is drawn beside; SGD for the others."""
REMARKS = {
    "sgd": "The rate that the steep direction allows is too small for the flat one, and it swings across the valley.",
    "momentum": "The velocity carries it along the flat direction.",
    "nesterov": "The gradient is added once more ahead of the velocity, which damps the swings.",
    "adagrad": "Each weight has its own rate, which only falls.",
    "rmsprop": "Steps are divided by the recent size of the gradient, so that a weight with small gradients advances, too.",
    "adam": "A velocity, divided by the recent size of the gradient.",
    "adamw": "A decay of 0.05 draws the weights towards 0, so it ends a little short of the minimum.",
    "lamb": "Each step has the length of the weights times the rate, so it does not come to rest at a constant rate.",
}


def quadratic(w: jax.Array) -> jax.Array:
    return 0.5 * jnp.dot(w - OPTIMUM, jnp.dot(HESSIAN, w - OPTIMUM))


@cache
def optimizer_paths() -> dict[str, tuple[float, np.ndarray, np.ndarray]]:
    """Slug -> (rate, places `(steps + 1, 2)`, losses); one program for all optimizers and rates."""

    def run(make: Callable, rate: jax.Array) -> tuple[jax.Array, jax.Array]:
        tx = make(rate)

        def step(carry, _):
            params, state = carry
            updates, state = tx.update({"kernel": jax.grad(quadratic)(params["kernel"])}, state, params)
            new: Any = optax.apply_updates(params, updates)
            return (new, state), new["kernel"]

        params: Any = {"kernel": jnp.asarray(START)}
        _, places = jax.lax.scan(step, (params, tx.init(params)), length=STEPS)
        places = jnp.concatenate([START[None], places])
        return places, jax.vmap(quadratic)(places)

    found = jax.jit(lambda rates: {name: jax.vmap(partial(run, make))(rates) for name, make in MAKE.items()})(RATES)
    best = {}
    for name, (places, values) in jax.tree.map(np.asarray, found).items():
        low, high = np.array(LIMITS).T
        stays = ((places >= low) & (places <= high)).all((1, 2))
        score = np.where(stays, np.log(np.maximum(values[:, -LAST:], LOWEST)).mean(1), np.inf)
        k = int(np.argmin(score))
        best[name] = (float(RATES[k]), places[k], values[k])
    return best


def landscape(*, coarse: bool) -> list[Line]:
    """Level lines of the quadratic: ellipses around its minimum, fewer and of fewer points for a tile."""
    angles = np.linspace(0, 2 * np.pi, 25 if coarse else 91)
    levels = (0.6, 5, 18, 100) if coarse else (0.15, 0.6, 2, 5, 10, 18, 40, 100)
    circle = np.stack([np.cos(angles), np.sin(angles)], 1)
    lines = [OPTIMUM + np.sqrt(2 * level / np.array(CURVATURE)) * circle @ AXES for level in levels]
    return [Line(line[:, 0], line[:, 1], "", INK, width=1, opacity=0.3) for line in lines]


def path_chart(slug: str, other: str | None) -> Chart:
    def curve(name: str, colour: str, **options) -> Line:
        places = optimizer_paths()[name][1]
        return Line(places[:, 0], places[:, 1], NAMES[name], colour, **options)

    beside = [curve(other, RED, dash="4 3", width=1.5)] if other else []
    lines = [curve(slug, BLUE, dots=True, width=1.5), *beside, *landscape(coarse=other is None)]
    return Chart(lines, "first weight", "path", *LIMITS, marks=[(*OPTIMUM.tolist(), "")])


def draw_path(slug: str) -> str:
    other = BESIDE.get(slug, "sgd")
    found, steps = optimizer_paths(), np.arange(STEPS + 1)
    desc = (
        f"Left: {STEPS} steps in a valley {CURVATURE[1]:.0f} times as steep across as along, {NAMES[slug]} at the learning rate "
        f"{found[slug][0]:.2g} beside {NAMES[other]} at {found[other][0]:.2g}, each the best of {len(RATES)} rates. "
        f"Right: the loss over the steps. {REMARKS[slug]}"
    )
    d = Drawing(640, 300, f"Path of {NAMES[slug]}", desc)
    left = Axes(d, (42, 50, 310, 208), path_chart(slug, other))
    left.frame()
    left.plot()
    left.legend()
    lines = [
        Line(steps, found[name][2], f"rate {found[name][0]:.2g}", colour, dash)
        for name, colour, dash in ((slug, BLUE, None), (other, RED, "4 3"))
    ]
    right = Axes(d, (412, 50, 212, 208), Chart(lines, "step", "loss", (0, STEPS), (LOWEST, 1e2), log=True))
    right.frame()
    right.plot()
    right.legend()
    return d.svg()


def draw_small_path(slug: str) -> str:
    d = Drawing(*TILE, f"Path of {NAMES[slug]}", f"Steps of {NAMES[slug]} into a narrow valley", digits=1)
    axes = Axes(d, (0, 0, *TILE), path_chart(slug, None))
    axes.plot(most=STEPS + 1, thin=0.9)
    return d.svg()


ENTRIES = {slug: Drawn(partial(draw_path, slug), partial(draw_small_path, slug)) for slug in MAKE}
