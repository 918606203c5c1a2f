"""The losses over what they judge, an error, a probability, a distance or an angle, with their gradients from JAX."""

from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import losses
from jaxdl.losses import margin
from jaxdl.site.pictures.charts import Chart, Line
from jaxdl.site.pictures.entries import Plotted, plotted_entries
from jaxdl.site.pictures.svg import BLUE, GREEN, PURPLE, RED

DASHED = "5 4"
P = np.linspace(0.002, 0.998, 180, dtype=np.float32)
"""Probabilities."""
Z = np.linspace(-6, 6, 161, dtype=np.float32)
"""Logits."""
ERROR = np.linspace(-4, 4, 161, dtype=np.float32)
DISTANCE = np.linspace(0, 2.5, 126, dtype=np.float32)
THETA = np.linspace(0.01, np.pi - 0.01, 181, dtype=np.float32)
GAMMAS = (0.0, 1.0, 2.0, 5.0)
PLANE = np.linspace(-2.4, 2.4, 49, dtype=np.float32)
"""Side of a square on which a surface is computed."""
POSITIVE = (0.9, 0.3)
"""Where the triplet's positive is; its anchor is at the origin."""

Pair = tuple[np.ndarray, np.ndarray]


@cache
def loss_values() -> dict[str, Pair]:
    """Line -> (values, gradients), of all losses in one program."""

    def pair(f, x):
        return f(x), jax.vmap(jax.grad(lambda one: f(one[None])[0]))(x)

    def all_of(p, z, error, distance, theta):
        logit = jnp.log(p) - jnp.log1p(-p)
        zero, one = jnp.zeros_like(z), jnp.ones_like(z)
        found = {
            f"bce {y:g}": (
                losses.binary_cross_entropy(logit, jnp.full_like(logit, y)),
                jax.vmap(jax.grad(losses.binary_cross_entropy))(z, y * one),
            )
            for y in (0.0, 1.0)
        }
        for gamma in GAMMAS:
            focal = partial(losses.sigmoid_focal_loss, gamma=gamma, alpha=None)
            found[f"focal {gamma:g}"] = focal(logit, jnp.ones_like(logit)), jax.vmap(jax.grad(focal))(z, one)
        for name, loss in (("mse", losses.squared_error), ("mae", losses.absolute_error), ("huber", losses.huber)):
            found[name] = pair(lambda e, loss=loss: loss(e, jnp.zeros_like(e)), error)
        half = partial(losses.huber, delta=0.5)
        found["huber 0.5"] = pair(lambda e: half(e, jnp.zeros_like(e)), error)
        for same in (1, 0):
            found[f"contrastive {same}"] = pair(
                lambda d, same=same: losses.contrastive(d, jnp.full(d.shape, same, jnp.int32), margin=1.5), distance
            )
        first = jnp.zeros(theta.shape, jnp.int32)
        cosines = jnp.stack([jnp.cos(theta), jnp.full_like(theta, 0.2)], -1)  # and of one other class
        for name, m2, m3 in (("softmax", 0.0, 0.0), ("arcface", 0.5, 0.0), ("cosface", 0.0, 0.35)):
            logits = margin.combined_margin_logits(cosines, first, m2=m2, m3=m3, scale=1.0)
            scaled = margin.combined_margin_logits(cosines, first, m2=m2, m3=m3, scale=16.0)
            found[name] = logits[:, 0], losses.cross_entropy(scaled, first)
        grid = jnp.stack(jnp.meshgrid(PLANE, PLANE), -1).reshape(-1, 2)
        three = jnp.concatenate([2 * grid, jnp.zeros((len(grid), 1))], -1)
        truth = jnp.zeros(len(grid), jnp.int32)
        found["cross-entropy"] = pair(lambda x: losses.cross_entropy(x, truth[: len(x)]), three)
        anchor, positive = jnp.zeros_like(grid), jnp.broadcast_to(jnp.array([POSITIVE]), grid.shape)
        found["triplet"] = pair(lambda n: losses.triplet(anchor[: len(n)], positive[: len(n)], n, margin=0.5), grid)
        far = jnp.stack([distance, jnp.zeros_like(distance)], -1)
        found["triplet line"] = pair(lambda n: losses.triplet(anchor[: len(n)], positive[: len(n)], n, margin=0.5), far)
        found["log p"] = (
            losses.cross_entropy(jnp.stack([logit, 0 * logit], -1), jnp.zeros(logit.shape, jnp.int32)),
            zero,
        )
        return found

    return jax.tree.map(np.asarray, jax.jit(all_of)(P, Z, ERROR, DISTANCE, THETA))


def loss_surface(name: str, scale: float, length: float, every: int = 6) -> dict[str, Any]:
    """Heat and arrows of a loss on a square: the arrows are steps down its gradient."""
    value, gradient = loss_values()[name]
    side = len(PLANE)
    places = PLANE[every // 2 :: every]
    slopes = gradient[:, :2].reshape(side, side, 2)[every // 2 :: every, every // 2 :: every]
    arrows = [
        (float(x) * scale, float(y) * scale, *(-length * scale * slopes[j, i]).tolist())
        for j, y in enumerate(places)
        for i, x in enumerate(places)
        if np.abs(slopes[j, i]).sum() > 0.05
    ]
    return {"heat": value.reshape(side, side), "arrows": arrows}


def plot_binary() -> Plotted:
    found = loss_values()
    lines = (("label 1", "bce 1", BLUE), ("label 0", "bce 0", RED))
    return Plotted(
        "Binary cross-entropy",
        "Left: the loss over the predicted probability, for both labels; a confident mistake costs without limit. "
        "Right: its gradient over the logit, sigmoid minus label, which stays between -1 and 1.",
        [
            Chart([Line(P, found[k][0], n, c) for n, k, c in lines], "predicted probability", "loss", (0, 1), (0, 5)),
            Chart([Line(Z, found[k][1], n, c) for n, k, c in lines], "logit", "gradient", (-6, 6), (-1.2, 1.2)),
        ],
    )


def plot_cross_entropy() -> Plotted:
    found = loss_values()
    return Plotted(
        "Cross-entropy of three classes",
        "Left: the loss over the probability of the true class. Right: the loss as a surface over two logits, the third being 0, "
        "where class 1 is true; arrows are steps down the gradient, which raise the first logit and lower the others.",
        [
            Chart([Line(P, found["log p"][0], "−log p")], "probability of the true class", "loss", (0, 1), (0, 5)),
            Chart([], "logit of the true class", "logit of another class", (-4.8, 4.8), (-4.8, 4.8),
                  **loss_surface("cross-entropy", 2, 0.32)),
        ],
    )  # fmt: skip


def plot_focal() -> Plotted:
    found = loss_values()
    lines = [(f"γ = {g:g}", f"focal {g:g}", c) for g, c in zip(GAMMAS, (RED, PURPLE, BLUE, GREEN), strict=True)]
    return Plotted(
        "Focal loss",
        "Left: the loss of a positive over its predicted probability, for four values of gamma; gamma 0 is cross-entropy. "
        "Right: its gradient over the logit: easy examples, on the right, count the less the larger gamma is.",
        [
            Chart([Line(P, found[k][0], n, c) for n, k, c in lines], "predicted probability", "loss", (0, 1), (0, 5)),
            Chart([Line(Z, found[k][1], n, c) for n, k, c in lines], "logit", "gradient", (-6, 6), (-1.6, 0.2)),
        ],
    )


def plot_regression(slug: str, title: str, desc: str, curves: dict[str, tuple[str, str]]) -> Plotted:
    """Losses of an error: the first curve is the entry's own, the others stand beside it."""
    found = loss_values()
    lines = [
        (name, found[key], colour, None if i == 0 or key.startswith(slug) else DASHED)
        for i, (name, (key, colour)) in enumerate(curves.items())
    ]
    return Plotted(
        title,
        f"Left: the loss over the error, prediction minus target. Right: its gradient. {desc}",
        [
            Chart([Line(ERROR, v[0], n, c, s) for n, v, c, s in lines], "error", "loss", (-4, 4), (-0.3, 6)),
            Chart([Line(ERROR, v[1], n, c, s) for n, v, c, s in lines], "error", "gradient", (-4, 4), (-4, 4)),
        ],
    )


SQUARED, ABSOLUTE, HUBER = ("mse", BLUE), ("mae", RED), ("huber", GREEN)


def plot_contrastive() -> Plotted:
    found = loss_values()
    lines = (("same class", "contrastive 1", BLUE), ("different", "contrastive 0", RED))
    return Plotted(
        "Contrastive loss with margin 1.5",
        "Left: the loss over the distance of a pair: two of a class are pulled together, two of different classes pushed apart "
        "until they are the margin apart. Right: its gradient, 0 for different ones beyond the margin.",
        [
            Chart([Line(DISTANCE, found[k][i], n, c) for n, k, c in lines], "distance", label, (0, 2.5), limits)
            for i, (label, limits) in enumerate((("loss", (-0.1, 2.5)), ("gradient", (-2, 2.5))))
        ],
    )


def plot_triplet() -> Plotted:
    near = float(np.hypot(*POSITIVE))
    line = loss_values()["triplet line"][0]
    marks = [(0.0, 0.0, "anchor"), (*POSITIVE, "positive")]
    return Plotted(
        "Triplet loss with margin 0.5",
        f"Left: the loss over the distance of the negative; the positive is {near:.2f} away, so it is 0 from "
        f"{near + 0.5:.2f} on. Right: the same as a surface over the place of the negative; arrows show where it is pushed.",
        [
            Chart([Line(DISTANCE, line, "loss")], "distance of the negative", "loss", (0, 2.5), (-0.1, 1.6)),
            Chart(
                [],
                "place of the negative",
                "loss around the anchor",
                (-2.4, 2.4),
                (-2.4, 2.4),
                marks=marks,
                **loss_surface("triplet", 1, 0.35),
            ),
        ],
        1,
    )


def plot_margins() -> Plotted:
    found = loss_values()
    degrees = np.rad2deg(THETA)
    lines = (
        ("softmax", "softmax", RED, DASHED),
        ("ArcFace", "arcface", BLUE, None),
        ("CosFace", "cosface", GREEN, None),
    )
    return Plotted(
        "ArcFace and CosFace",
        "Left: the cosine of the true class that the loss sees, over the angle to its centre: ArcFace adds 0.5 rad to the angle, "
        "CosFace takes 0.35 from the cosine. Right: the loss beside one other class of cosine 0.2, at scale 16: "
        "with a margin it falls to 0 at smaller angles only. Beyond 151 degrees ArcFace follows its linear guard.",
        [
            Chart([Line(degrees, found[k][i], n, c, s) for n, k, c, s in lines], "angle in degrees", label, *limits)
            for i, (label, limits) in enumerate((("logit", ((0, 180), (-1.5, 1.1))), ("loss", ((0, 120), (-0.5, 14)))))
        ],
    )  # fmt: skip


# Penalties ------------------------------------------------------------------------------------------------------------

W = np.linspace(-3, 3, 241, dtype=np.float32)
PENALTIES = {
    "l1": ("L1", losses.l1),
    "l2": ("L2", losses.l2),
    "elastic-net": ("elastic net", partial(losses.elastic_net, lambda1=0.5, lambda2=0.5)),
}
PENALTY_COLOURS = {"l1": BLUE, "l2": RED, "elastic-net": GREEN}


@cache
def penalty_values() -> dict[str, tuple[np.ndarray, ...]]:
    """Slug -> the penalty of one weight, and what least squares with it makes of a weight: argmin_w ½(w - a)² + penalty(w)."""

    def all_of(w):
        return {
            slug: jax.vmap(lambda one, f=f: f({"kernel": one[None, None]}))(w) for slug, (_, f) in PENALTIES.items()
        }

    found = jax.tree.map(np.asarray, jax.jit(all_of)(W))
    return {slug: (p, W[np.argmin(0.5 * (W[None] - W[:, None]) ** 2 + p[None], 1)]) for slug, p in found.items()}


def plot_penalty(slug: str) -> Plotted:
    own = {slug: PENALTIES[slug], **PENALTIES}
    found = penalty_values()
    lines = [(title, found[s], PENALTY_COLOURS[s], None if s == slug else DASHED) for s, (title, _) in own.items()]
    identity = Line(W, W, "none", "currentColor", "2 3", 1.25)
    zeros = np.abs(W[np.abs(found[slug][1]) < 1e-6]).max()
    effect = (
        f"weights up to {zeros:.1f} become exactly 0"
        if zeros > 0.1
        else "weights shrink by a factor and none becomes 0"
    )
    return Plotted(
        f"{own[slug][0]} penalty",
        f"Left: the penalty of one weight. Right: the weight that minimises ½(w − a)² plus the penalty, over the weight "
        f"a that fits best without it: {effect}. The elastic net has λ₁ = λ₂ = ½.",
        [
            Chart([Line(W, v[0], n, c, s) for n, v, c, s in lines], "weight w", "penalty", (-2, 2), (-0.2, 3)),
            Chart([*(Line(W, v[1], n, c, s) for n, v, c, s in lines), identity], "best weight a without penalty",
                  "penalised weight", (-3, 3), (-2, 2)),
        ],
    )  # fmt: skip


ENTRIES = plotted_entries(
    {
        "binary-cross-entropy": plot_binary,
        "cross-entropy": plot_cross_entropy,
        "focal": plot_focal,
        "mse": partial(
            plot_regression, "mse", "Mean squared error", "Large errors pull in proportion to their size.",
            {"squared": SQUARED, "absolute": ABSOLUTE},
        ),
        "mae": partial(
            plot_regression, "mae", "Mean absolute error", "Every error pulls with the same force, an outlier too.",
            {"absolute": ABSOLUTE, "squared": SQUARED},
        ),
        "huber": partial(
            plot_regression, "huber", "Huber loss", "Small errors pull as squared ones, large ones with the constant force δ.",
            {"δ = 1": HUBER, "δ = 0.5": ("huber 0.5", PURPLE), "MSE": SQUARED, "MAE": ABSOLUTE},
        ),
        "contrastive": plot_contrastive,
        "triplet": plot_triplet,
        "arcface-cosface": plot_margins,
        **{slug: partial(plot_penalty, slug) for slug in PENALTIES},
    }
)  # fmt: skip
