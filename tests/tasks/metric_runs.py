"""What test_metric_learning.py compares, on 4 virtual devices in a process of its own: `python metric_runs.py OUT`."""

import json
import sys
from functools import cache
from pathlib import Path

import jax
import numpy as np

from jaxdl import api, runtime
from jaxdl.augment import views
from jaxdl.augment.rows import each_row
from jaxdl.data.stream import InMemory, balanced
from jaxdl.experiment import Experiment, experiment
from jaxdl.layers.normalization import BatchNorm
from jaxdl.losses import arcface, supervised_contrastive
from jaxdl.models.mlp import MLP
from jaxdl.optim import adamw
from jaxdl.tasks.metric_learning import MetricLearning
from jaxdl.train.evaluate import evaluate
from jaxdl.train.loop import Limits, nothing
from jaxdl.train.parallel import Plan

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


@experiment
def config(*, loss: str = "supcon", lr: float = 3e-3, seed: int = 0) -> Experiment:
    model = MLP(features=(16,), classes=8, norm=BatchNorm)
    tasks = {
        "supcon": MetricLearning(model, supervised_contrastive, views=2),
        "arcface": MetricLearning(model, arcface, classes=5),
    }
    return Experiment(
        data=data(),
        task=tasks[loss],
        optimizer=adamw(lr),
        augment=(views.several(each_row(noise)),) if loss == "supcon" else (each_row(noise),),
        steps=STEPS,
        eval_every=4,
        seed=seed,
    )


def train(loss, mesh, strategy):
    exp = config(loss=loss)
    prepared = api.prepare(exp, Plan() if mesh is None else Plan.make(mesh, strategy, exp))
    program, knobs = prepared.program, dict(prepared.traced)
    state, losses = program.init(knobs), []
    source = program.place(exp.data.source(0, STEPS, 0))
    for _ in range(STEPS):
        state, view = program.chunk(knobs, state, source, np.int32(1), np.int32(10))
        total, weight = jax.device_get(view["metrics"]["loss"])
        losses.append(float(total / weight))
        state = state.replace(metrics=jax.tree.map(nothing, state.metrics))
    result = evaluate(program, exp.task, knobs, program.weights(knobs, state), "test")
    params = np.concatenate([np.ravel(a) for a in jax.tree.leaves(jax.device_get(state.params))])
    return {"losses": losses, "params": params.tolist(), "map_at_r": result.metrics["map_at_r"]}


def digest(run):
    return [np.asarray(a).tobytes().hex() for a in jax.tree.leaves(jax.device_get(run.state.params))]


def main(out):
    runtime.configure(devices=4)
    plans = {"one": (None, "jit"), "data": ("data=4", "jit"), "pmap": ("data=4", "pmap")}
    found = {f"{loss} {name}": train(loss, *plan) for loss in ("supcon", "arcface") for name, plan in plans.items()}
    through = api.train(config(loss="arcface"), run=out / "runs", mesh="data=1", quiet=True)
    paused = api.train(config(loss="arcface"), run=out / "runs", mesh="data=1", quiet=True, limits=Limits(stop_at=5))
    resumed = api.train(config(loss="arcface"), resume=paused.folder, mesh="data=1", quiet=True)
    found |= {"through": digest(through), "resumed": digest(resumed)}
    found["pictures"] = [path.name for path in (through.folder / "plots").iterdir()]
    found["report"] = (through.folder / "report.md").read_text()
    (out / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
