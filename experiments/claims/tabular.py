"""Tables: an MLP of two layers of 32 against a linear map, both trained for 400 steps of AdamW on all rows at once, without
dropout or early stopping: on diabetes the MLP overfits.

Three bundled tables, and one that is generated (Friedman 1991: y = 10 sin(πx₁x₂) + 20(x₃ - ½)² + 10x₄ + 5x₅ + noise, ten columns,
500 rows). A seed divides the rows anew, three quarters for training, and draws the weights. Columns are standardised.
"""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.data.table import tabular
from jaxdl.losses.classification import cross_entropy
from jaxdl.models.mlp import MLP
from jaxdl.optim import adamw, schedules
from jaxdl.runs.claim_training import minimise
from jaxdl.runs.claims import Comparison, Study

CLASSES = {"breast cancer": 2, "wine": 3, "diabetes": 1, "Friedman": 1}
STEPS = 400


@cache
def rows_of(table: str) -> tuple[np.ndarray, np.ndarray]:
    """All rows of a table: columns and target."""
    if table == "Friedman":
        random = np.random.RandomState(0)
        x = random.uniform(size=(500, 10))
        y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
        return x, y + random.normal(size=500)
    parts = getattr(tabular, table.replace(" ", "_"))().splits.values()
    x, y = (np.concatenate([part[key] for part in parts]) for key in "xy")
    return x.astype(np.float64), y.reshape(len(y))


@cache
def trained(features: tuple[int, ...], classes: int):
    """A compiled function: accuracy on the test rows, or R² of a single output."""
    model = MLP(features=features, classes=classes)
    transform = adamw(schedules.warmup_cosine(peak=1e-2, steps=STEPS), decay=0.01)

    def train(x, y, test, truth, key):
        params = model.init(key, x[:1], train=False)

        def loss(params, _):
            out = model.apply(params, x, train=True)
            return jnp.mean((out[:, 0] - y) ** 2) if classes == 1 else cross_entropy(out, y).mean()

        params = minimise(loss, params, transform, jnp.arange(STEPS))
        out = model.apply(params, test, train=False)
        if classes > 1:
            return jnp.mean(out.argmax(-1) == truth)
        return 1 - jnp.mean((out[:, 0] - truth) ** 2) / jnp.var(truth)

    return jax.jit(train)


def measure(*, table: str, features: tuple[int, ...], seed: int) -> float:
    x, y = rows_of(table)
    order = np.random.RandomState(seed).permutation(len(y))
    train, test = np.split(order, [3 * len(y) // 4])
    x = (x - x[train].mean(0)) / (x[train].std(0) + 1e-9)
    if CLASSES[table] == 1:
        y = (y - y[train].mean()) / y[train].std()
    cast = jnp.int32 if CLASSES[table] > 1 else jnp.float32
    arrays = (jnp.asarray(x[train]), jnp.asarray(y[train], cast), jnp.asarray(x[test]), jnp.asarray(y[test], cast))
    return float(trained(features, CLASSES[table])(*arrays, jax.random.key(seed)))


study = Study(
    measure=measure,
    settings={
        f"{table}, {name}": {"table": table, "features": features}
        for table in CLASSES
        for name, features in (("MLP", (32, 32)), ("linear", ()))
    },
    comparisons=tuple(
        Comparison("C1", "dense networks suit tabular data", f"{table}, MLP", f"{table}, linear", 0.01, f"{table} rows")
        for table in CLASSES
    ),
    unit="test accuracy (two tables of classes), R² (two of numbers)",
)
