"""What test_metric_learning.py compares, on 4 virtual devices in a process of its own: `python metric_runs.py OUT`."""

import json
import sys
from functools import cache
from pathlib import Path

import jax
import numpy as np

import jaxdl
from jaxdl import Experiment, runtime
from jaxdl.augment import views
from jaxdl.augment.rows import each_row
from jaxdl.data.source import InMemory, balanced
from jaxdl.engine.loop import Limits, nothing
from jaxdl.engine.parallel import Plan
from jaxdl.layers.normalization import BatchNorm
from jaxdl.losses import supervised_contrastive
from jaxdl.models.mlp import MLP
from jaxdl.optim import momentum
from jaxdl.runs.prepare import prepare
from jaxdl.setup import Setup
from jaxdl.tasks.metric_learning import MetricLearning

STEPS = 12


@cache
def data():
    def split(n, classes, seed):
        rng = np.random.default_rng(seed)
        y = (np.arange(n) % len(classes)).astype(np.int32)
        middle = np.random.default_rng(7).uniform(0, 255, (9, 6, 6, 1))
        x = middle[np.asarray(classes)[y]] + rng.normal(size=(n, 6, 6, 1)) * 40
        return {"x": x.clip(0, 255).astype(np.uint8), "y": np.asarray(classes, np.int32)[y]}

    splits = {
        "train": split(60, range(5), 0),
        "validation": split(21, range(5, 8), 1),
        "test": split(18, range(6, 9), 2),
    }
    names = tuple("abcdefghi")
    return balanced(InMemory(splits, 16, scaled, name="patches", split="made", classes=names), classes=4, each=4)


def scaled(batch):
    return {**batch, "x": batch["x"].astype(np.float32) / 255}


def noise(key, x):
    return x + 0.05 * jax.random.normal(key, x.shape)


def config(*, lr: float = 0.03, seed: int = 0) -> Experiment:
    return Experiment(
        data=data(),
        task=MetricLearning(MLP(features=(16,), classes=8, norm=BatchNorm), supervised_contrastive, views=2),
        optimizer=momentum(
            lr
        ),  # Adam would make a step of the rounding in a bias before batch norm, whose gradient is zero
        augment=(views.several(each_row(noise)),),
        steps=STEPS,
        eval_every=6,
        seed=seed,
    )


def train(mesh, strategy):
    exp = config()
    program = prepare(Setup.of(config, {}), Plan() if mesh is None else Plan.make(mesh, strategy, exp))
    state, losses = program.init(), []
    source = program.place(exp.data.source(0, STEPS, 0))
    for _ in range(STEPS):
        state, view = program.chunk(state, source, np.int32(1), np.int32(10))
        total, weight = jax.device_get(view["metrics"]["loss"])
        losses.append(float(total / weight))
        state = state.replace(metrics=jax.tree.map(nothing, state.metrics))
    params = np.concatenate([np.ravel(a) for a in jax.tree.leaves(jax.device_get(state.params))])
    return {"losses": losses, "params": params.tolist()}


def digest(run):
    return [np.asarray(a).tobytes().hex() for a in jax.tree.leaves(jax.device_get(run.state.params))]


def main(out):
    runtime.configure(devices=4)
    plans = {"one": (None, "jit"), "data": ("data=4", "jit"), "pmap": ("data=4", "pmap")}
    found = {name: train(*plan) for name, plan in plans.items()}
    through = jaxdl.train(config, run=out / "runs", mesh="data=4", quiet=True)
    paused = jaxdl.train(config, run=out / "runs", mesh="data=4", quiet=True, limits=Limits(stop_at=5))
    resumed = jaxdl.train(config, resume=paused.folder, mesh="data=4", quiet=True)
    found |= {"through": digest(through), "resumed": digest(resumed)}
    found["pictures"] = [path.name for path in (through.folder / "plots").iterdir()]
    found["report"] = (through.folder / "report.md").read_text(encoding="utf-8")
    (out / "found.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
