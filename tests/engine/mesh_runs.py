"""What test_parallel.py compares, trained on 8 virtual devices in a process of its own: `python mesh_runs.py OUT NAME ...`.

30 Adam steps of a network with batch norm, dropout and augmentation on every mesh; writes losses, parameters, evaluations
and where arrays lived to OUT/<name>.npz, and errors to OUT/errors.json.
"""

import json
import sys
from functools import cache
from pathlib import Path

import jax
import numpy as np

from jaxdl import Experiment, runtime
from jaxdl.augment import image
from jaxdl.data.source import InMemory
from jaxdl.engine.evaluate import evaluate
from jaxdl.engine.loop import nothing
from jaxdl.engine.parallel import Plan
from jaxdl.layers.normalization import BatchNorm
from jaxdl.models.cnn import CNN
from jaxdl.optim import adamw
from jaxdl.runs.prepare import prepare
from jaxdl.setup import Setup
from jaxdl.tasks.classification import Classification

STEPS = 30
RULES = (
    (r"Conv_1/kernel", (None, None, None, "model")),
    (r"Dense_0/kernel", ("model", None)),
)

RUNS = {
    "one": (None, "jit", 1),
    "data": ("data=8", "jit", 1),
    "data again": ("data=8", "jit", 1),
    "fsdp": ("fsdp=8", "jit", 1),
    "data and model": ("data=4,model=2", "jit", 1),
    "fsdp and model": ("fsdp=4,model=2", "jit", 1),
    "pmap": ("data=8", "pmap", 1),
    "one, in parts": (None, "jit", 2),
    "data, in parts": ("data=8", "jit", 2),
    "pmap, in parts": ("data=8", "pmap", 2),
}
"""name -> mesh, strategy, micro-batches."""

WRONG = {
    "batch": ("data=3", "jit", {}),
    "parts": ("data=8", "jit", {"accumulate": 8}),
    "size": ("data=16", "jit", {}),
    "rule": ("data=4,model=2", "jit", {"rules": ((r"Attention/kernel", (None, "model")),)}),
    "no rules": ("model=8", "jit", {"rules": ()}),
    "cut": ("model=8", "jit", {"rules": ((r"Dense_0/kernel", (None, "model")),)}),
    "pmap": ("data=4,model=2", "pmap", {}),
}
"""name -> mesh, strategy and changes that cannot work."""


@cache
def data():
    def split(n, seed):
        rng = np.random.default_rng(seed)
        y = np.arange(n, dtype=np.int32) % 4
        x = rng.integers(0, 100, (n, 8, 8, 1))
        x[np.arange(n), y, y] += 150
        return {"x": x.astype(np.uint8), "y": y}

    return InMemory({"train": split(80, 0), "validation": split(44, 1)}, 32, scaled)


def scaled(batch):
    return {**batch, "x": batch["x"].astype(np.float32) / 255}


def config(*, lr: float = 1e-3, seed: int = 0, rules: tuple = RULES) -> Experiment:
    return Experiment(
        data=data(),
        task=Classification(model=CNN(classes=4, features=(8, 16), norm=BatchNorm, rate=0.3)),
        optimizer=adamw(lr, decay=0.01),
        augment=(image.flip(), image.crop(pad=1)),
        steps=STEPS,
        seed=seed,
        rules=rules,
    )


def on(mesh, strategy, values):
    """The program of `config` with changes, on a mesh."""
    setup = Setup.of(config, values)
    exp = setup.build()
    return prepare(setup, Plan() if mesh is None else Plan.make(mesh, strategy, exp), exp=exp)


def train(mesh, strategy, parts):
    program = on(mesh, strategy, {"accumulate": parts})
    state, losses = program.init(), []
    born = [leaf.sharding for leaf in jax.tree.leaves(state.params)]
    source = program.place(program.data.source(0, STEPS, 0))
    for _ in range(STEPS):
        state, view = program.chunk(state, source, np.int32(1), np.int32(10))
        view = jax.device_get(view)
        losses.append(view["metrics"]["loss"][0] / view["metrics"]["loss"][1])
        state = state.replace(metrics=jax.tree.map(nothing, state.metrics))
    result = evaluate(program, program.weights(state), "validation")
    first = jax.devices()[0]
    kept = jax.tree.leaves((state.params, state.opt_state))
    return {
        "losses": np.asarray(losses),
        "params": np.concatenate([np.ravel(a) for a in jax.tree.leaves(jax.device_get(state.params))]),
        "statistics": np.concatenate([np.ravel(a) for a in jax.tree.leaves(jax.device_get(state.model_state))]),
        "bytes": sum(s.data.nbytes for a in kept for s in a.addressable_shards if s.device == first),
        "total": sum(a.nbytes for a in kept),
        "stayed": born == [leaf.sharding for leaf in jax.tree.leaves(state.params)],
        "outputs": result.outputs["probability"],
        "loss": result.metrics["loss"],
    }


def main(out, *names):
    runtime.configure(devices=8)
    for name in names:
        np.savez(out / f"{name}.npz", **train(*RUNS[name]))
    errors = {}
    for name, (mesh, strategy, changes) in WRONG.items():
        try:
            on(mesh, strategy, changes).function("init")
        except ValueError as error:
            errors[name] = str(error)
    (out / "errors.json").write_text(json.dumps(errors), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
