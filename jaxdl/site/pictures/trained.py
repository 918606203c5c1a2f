"""Small models of images and tables that some pictures show at work, each trained in a second or two on bundled data.

A function trains once per process, in one compiled program, and returns NumPy arrays. Sequences are in `trained_sequences`,
autoencoders and a GAN in `trained_generators`.
"""

from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from jaxdl import losses
from jaxdl.data.image import vision
from jaxdl.data.table import tabular
from jaxdl.losses.margin import arcface
from jaxdl.losses.metric_learning import normalize
from jaxdl.models.cnn import CNN
from jaxdl.models.mlp import MLP
from jaxdl.optim import adamw, schedules
from jaxdl.runs.claim_training import minimise

QUICK: dict[str, Any] = {"xla_backend_optimization_level": 0, "xla_cpu_parallel_codegen_split_count": 1}
if version("jaxlib").startswith("0.10."):  # the older emitters of small kernels; later versions have no others
    QUICK["xla_cpu_use_fusion_emitters"] = False


def quick_jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """`jax.jit` with few of LLVM's passes: these programs run once, and compiling them is most of what they cost."""
    return jax.jit(function, compiler_options=QUICK)


def brief_training(
    loss: Callable[[Any, Any], Array], params: Any, batches: Any, *, peak: float, decay: Any = 0.0
) -> Any:
    """Parameters after one step of AdamW for each batch, the rate warmed up to `peak` and falling to 0 along a cosine."""
    steps = len(jax.tree.leaves(batches)[0])
    return minimise(loss, params, adamw(schedules.warmup_cosine(peak=peak, steps=steps), decay=decay), batches)


def drawn_rows(key: Array, steps: int, batch: int, size: int) -> Array:
    """Row numbers `(steps, batch)` of the examples of each step."""
    return jax.random.randint(key, (steps, batch), 0, size)


@cache
def digit_images(split: str) -> tuple[Float[np.ndarray, "n 8 8 1"], np.ndarray]:
    """Digits in [0, 1], and their labels."""
    part = vision.digits().splits[split]
    return (part["x"] / 16.0).astype(np.float32), np.asarray(part["y"])


@cache
def clothing_images(split: str) -> tuple[Float[np.ndarray, "n 28 28 1"], np.ndarray]:
    """Pieces of clothing in [0, 1], and their labels."""
    part = vision.clothing().splits[split]
    return (part["x"] / 255.0).astype(np.float32), np.asarray(part["y"])


class Trained(NamedTuple):
    """A model, its variables, and its accuracy on the test split."""

    model: Any
    params: Any
    accuracy: float


@cache
def trained_cnn() -> Trained:
    """The sheet's network on 8x8 digits."""
    model: Any = CNN(classes=10)

    def train(x: Array, y: Array, test: Array) -> tuple[Any, Array]:
        def loss(params: Any, rows: Array) -> Array:
            return losses.cross_entropy(model.apply(params, x[rows], train=True), y[rows]).mean()

        start = model.init(jax.random.key(0), x[:1], train=False)
        params = brief_training(loss, start, drawn_rows(jax.random.key(1), 200, 48, len(y)), peak=4e-3, decay=0.01)
        return params, model.apply(params, test, train=False).argmax(-1)

    test, truth = digit_images("test")
    params, found = jax.device_get(quick_jit(train)(*digit_images("train"), test))
    return Trained(model, params, float((found == truth).mean()))


UNSEEN = (1, 8, 9)
"""Classes of clothing that the embedding is not trained on: they stand for people that it has never seen."""


@cache
def trained_embedding() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit embeddings, labels and images of test clothing of unseen classes, by a dense network trained with ArcFace."""
    model: Any = MLP((128,), 32)
    classes = 10 - len(UNSEEN)

    def train(x: Array, y: Array, test: Array) -> Array:
        def loss(params: Any, rows: Array) -> Array:
            z = normalize(model.apply(params["net"], x[rows], train=True))
            centres = params["centres"] / jnp.linalg.norm(params["centres"], axis=0, keepdims=True)
            return arcface(z @ centres, y[rows], margin=0.3, scale=16.0).mean()

        start = {
            "net": model.init(jax.random.key(0), x[:1], train=False),
            "centres": jax.random.normal(jax.random.key(1), (32, classes)),
        }
        params = brief_training(loss, start, drawn_rows(jax.random.key(2), 400, 64, len(y)), peak=2e-3)
        return normalize(model.apply(params["net"], test, train=False))

    (x, y), (test, truth) = clothing_images("train"), clothing_images("test")
    mean = x.mean()
    known, unseen = ~np.isin(y, UNSEEN), np.isin(truth, UNSEEN)
    _, number = np.unique(y[known], return_inverse=True)
    z = quick_jit(train)(
        x[known].reshape(-1, 784) - mean, number.astype(np.int32), test[unseen].reshape(-1, 784) - mean
    )
    return np.asarray(z), truth[unseen], test[unseen][..., 0]


@cache
def trained_decays(decays: tuple[float, ...] = (0.0, 0.3, 3.0)) -> dict[str, np.ndarray]:
    """An MLP on 120 digits with several weight decays, all in one program.

    `train` and `validation` `(decays, evaluations)` are losses, `norm` the length of the weights, `weights` `(decays, n)` those
    of the first layer at the end; `steps` counts.
    """
    model: Any = MLP((64,), classes=10)
    every, count = 10, 60

    def train(x: Array, y: Array, held: tuple[Array, Array], decay: Array) -> dict[str, Array]:
        tx = adamw(3e-3, decay=decay)
        start = model.init(jax.random.key(0), x[:1], train=False)

        def loss(params: Any, x: Array, y: Array) -> Array:
            return losses.cross_entropy(model.apply(params, x, train=False), y).mean()

        def step(carry: tuple[Any, Any], rows: Array) -> tuple[tuple[Any, Any], None]:
            params, state = carry
            updates, state = tx.update(jax.grad(loss)(params, x[rows], y[rows]), state, params)
            return (optax.apply_updates(params, updates), state), None

        def chunk(carry: tuple[Any, Any], rows: Array) -> tuple[tuple[Any, Any], dict[str, Array]]:
            params = carry[0]
            norm = optax.tree.norm(params)
            seen = {"train": loss(params, x, y), "validation": loss(params, *held), "norm": norm}
            return jax.lax.scan(step, carry, rows)[0], seen

        rows = drawn_rows(jax.random.key(1), count * every, 32, len(y)).reshape(count, every, 32)
        (params, _), seen = jax.lax.scan(chunk, (start, tx.init(start)), rows)
        return seen | {"weights": params["params"]["Dense_0"]["kernel"].reshape(-1)}

    (x, y), held = digit_images("train"), digit_images("validation")
    rng = np.random.default_rng(0)
    wrong = rng.random(120) < 0.15  # labels that can only be learned by heart
    noisy = np.where(wrong, rng.integers(0, 10, 120), y[:120])
    found = quick_jit(jax.vmap(train, (None, None, None, 0)))(x[:120], noisy, held, jnp.array(decays))
    return {**{name: np.asarray(v) for name, v in found.items()}, "steps": every * np.arange(count)}


@cache
def trained_tables() -> dict[str, Any]:
    """Two MLPs. `iris`: the parameters of 4-5-3 units. `wine`: class probabilities on a plane of two measures.

    Inputs are standardised with the mean and deviation of the training rows: `iris_scale`, `wine_scale`.
    """
    flowers, wines = tabular.iris(), tabular.wine()
    names = [wines.columns.index(name) for name in ("alcohol", "flavanoids")]
    small: Any = MLP((5,), 3)
    bent: Any = MLP((16,), 3)

    def standard(x: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
        scale = x.mean(0), x.std(0)
        return ((x - scale[0]) / scale[1]).astype(np.float32), scale

    x1, iris_scale = standard(flowers.splits["train"]["x"])
    x2, wine_scale = standard(wines.splits["train"]["x"][:, names])
    side = np.linspace(-2.6, 2.6, 53, dtype=np.float32)
    grid = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)

    def train(x1: Array, y1: Array, x2: Array, y2: Array, grid: Array) -> tuple[Any, Array]:
        found = []
        for model, x, y, decay in ((small, x1, y1, 0.01), (bent, x2, y2, 0.03)):

            def loss(params: Any, rows: Array, model: Any = model, x: Array = x, y: Array = y) -> Array:
                return losses.cross_entropy(model.apply(params, x[rows], train=True), y[rows]).mean()

            start = model.init(jax.random.key(4), x[:1], train=False)
            rows = drawn_rows(jax.random.key(1), 300, 32, len(y))
            found.append(brief_training(loss, start, rows, peak=2e-2, decay=decay))
        return found[0], jax.nn.softmax(bent.apply(found[1], grid, train=False))

    y1, y2 = (np.asarray(data.splits["train"]["y"]) for data in (flowers, wines))
    params, plane = jax.device_get(quick_jit(train)(x1, y1, x2, y2, grid))
    return {
        "iris": (small, params),
        "iris_scale": iris_scale,
        "wine": plane.reshape(len(side), len(side), 3),
        "wine_side": side,
        "wine_points": (x2, y2),
        "wine_scale": wine_scale,
    }
