"""GRU against LSTM: rows of clothing (28 steps of 28 pixels) read one after the other, at equal width and at equal parameters.

LSTM of 64 units: 23,808 parameters, GRU of 64: 17,920, of 76: 24,016. 250 steps of 32 images. Speed is counted in training steps
per second of CPU time of the process (all threads, first run left out), from the same runs; a seed is a round in which all are
run one after the other; `recurrence` counts multiply-adds. Where GRU differs in accuracy, it is the better one: what fails is
the claim that they perform alike.
"""

import time
from functools import cache

import jax
import jax.numpy as jnp

from jaxdl.data.image import vision
from jaxdl.layers.recurrent import GRU, LSTM, Recurrent
from jaxdl.losses.classification import cross_entropy
from jaxdl.models.rnn import Classifier
from jaxdl.optim import adamw, schedules
from jaxdl.runs.claim_training import minimise
from jaxdl.runs.claims import Comparison, Study

CELLS = {"LSTM 64": LSTM(64), "GRU 64": GRU(64), "GRU 76": GRU(76)}
STEPS = 250


@cache
def arrays(split: str) -> tuple[jax.Array, jax.Array]:
    part = vision.clothing().splits[split]
    return jnp.asarray(part["x"][..., 0] / 255.0, jnp.float32), jnp.asarray(part["y"])


@cache
def programs(cell: str):
    """Compiled functions: (key) -> trained parameters; (parameters) -> test accuracy."""
    model = Classifier(classes=10, core=Recurrent(CELLS[cell]))
    transform = adamw(schedules.warmup_cosine(peak=5e-3, steps=STEPS), decay=0.01)

    def train(x, y, key):
        start, order = jax.random.split(key)
        params = model.init(start, x[:1], train=False)

        def loss(params, key):
            rows = jax.random.randint(key, (32,), 0, len(y))
            return cross_entropy(model.apply(params, x[rows], train=True), y[rows]).mean()

        return minimise(loss, params, transform, jax.random.split(order, STEPS))

    accuracy = jax.jit(lambda params, x, y: jnp.mean(model.apply(params, x, train=False).argmax(-1) == y))
    return jax.jit(train).lower(*arrays("train"), jax.random.key(0)).compile(), accuracy


@cache
def found(cell: str, seed: int) -> dict[str, float]:
    train, accuracy = programs(cell)
    began = time.process_time()
    params = jax.block_until_ready(train(*arrays("train"), jax.random.key(seed)))
    spent = time.process_time() - began
    return {"accuracy": float(accuracy(params, *arrays("test"))), "speed": float(jnp.log2(STEPS / spent))}


def measure(*, cell: str, what: str, seed: int) -> float:
    return found(cell, seed)[what]


study = Study(
    measure=measure,
    settings={f"{what}, {cell}": {"what": what, "cell": cell} for what in ("accuracy", "speed") for cell in CELLS},
    comparisons=(
        Comparison("C6", "GRU is a faster LSTM", "speed, GRU 64", "speed, LSTM 64", 0.05, "equal width"),
        Comparison("C6", "GRU is a faster LSTM", "speed, GRU 76", "speed, LSTM 64", 0.05, "equal parameters"),
        Comparison(
            "C7", "GRU performs like LSTM", "accuracy, GRU 64", "accuracy, LSTM 64", 0.01, "equal width", alike=True
        ),
        Comparison(
            "C7", "GRU performs like LSTM", "accuracy, GRU 76", "accuracy, LSTM 64", 0.01, "equal parameters", True
        ),
    ),
    unit="test accuracy; log2 of steps per CPU second",
)
