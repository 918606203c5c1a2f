"""What test_tensor.py compares, trained on 8 virtual devices in a process of its own: `python tensor_runs.py OUT NAME ...`.

Four Adam steps of a small GPT and a smaller ViT, and four of plain gradient descent of a translator and a Conformer (of which
some biases have no gradient but rounding, which Adam would blow up), on meshes with an axis "model"; then two blocks of
GPT-2 small, compiled ahead and never run. Writes OUT/<name>.npz and, for the name "compiled", OUT/compiled.json.
"""

import json
import sys
from functools import cache
from pathlib import Path

import jax
import numpy as np

from jaxdl import Experiment, runtime
from jaxdl.cli.compile import compiled
from jaxdl.data.source import InMemory
from jaxdl.data.text.tokenizers import SPECIALS, Characters
from jaxdl.engine.evaluate import evaluate
from jaxdl.engine.loop import nothing
from jaxdl.engine.parallel import Plan
from jaxdl.models.speech import Conformer, SpeechClassifier
from jaxdl.models.transformer import Config, Decoder, EncoderDecoder
from jaxdl.models.transformer_rules import rules
from jaxdl.models.transformer_sizes import gpt2
from jaxdl.models.vit import ViT
from jaxdl.optim import adamw, sgd
from jaxdl.runs.prepare import prepare
from jaxdl.setup import Setup
from jaxdl.tasks.classification import Classification
from jaxdl.tasks.language import NextToken
from jaxdl.tasks.seq2seq import Translation

STEPS = 4
RUNS = {
    "gpt, one": ("gpt", None),
    "gpt, fsdp=4,model=2": ("gpt", "fsdp=4,model=2"),
    "translator, one": ("translator", None),
    "translator, data=2,model=2": ("translator", "data=2,model=2"),
    "conformer, one": ("conformer", None),
    "conformer, data=2,model=2": ("conformer", "data=2,model=2"),
    "vit, one": ("vit", None),
    "vit, data=2,model=4": ("vit", "data=2,model=4"),
}
"""name -> model, mesh."""


@cache
def texts(vocab, time, rows):
    x = np.cumsum(np.random.default_rng(0).integers(0, 3, (rows, time + 1)), 1) % vocab
    split = {"x": x[:, :-1].astype(np.int32), "y": x[:, 1:].astype(np.int32)}
    return InMemory({"train": split, "validation": split}, 8)


@cache
def images():
    random = np.random.default_rng(0)
    y = np.arange(32, dtype=np.int32) % 4
    x = random.normal(size=(32, 16, 16, 3)).astype(np.float32) + y[:, None, None, None]
    return InMemory({"train": {"x": x, "y": y}, "validation": {"x": x, "y": y}}, 8)


def gpt(*, lr: float = 1e-3, rate: float = 0.1, seed: int = 0) -> Experiment:
    sizes = {"width": 64, "depth": 2, "heads": 8, "hidden": 128, "length": 16}
    model = Decoder(gpt2(vocab=40, rate=rate, attention_rate=rate, **sizes))
    data = texts(40, 16, 32)
    return Experiment(data=data, task=NextToken(model), optimizer=adamw(lr), steps=STEPS, seed=seed, rules=rules(model))


def translator(*, lr: float = 0.3, rate: float = 0.1, seed: int = 0) -> Experiment:
    """Sentences backwards: both sides have a vocabulary of their own, and every target its end token."""
    source, target = (Characters(tuple(letters), SPECIALS) for letters in ("abcdefghijkl", "abcdefghijklmnopqrst"))
    x = np.random.default_rng(0).integers(4, 16, (32, 12), np.int32)
    x[::2, 9:], x[:, -1] = source.pad, source.end
    split = {"x": x, "y": np.concatenate([x[:, -2::-1], x[:, -1:]], 1)}
    data = InMemory({"train": split, "validation": split}, 8)
    sizes = Config(target.size, 32, depth=1, heads=4, hidden=64, order="first", rate=rate, embed_scale=6.0)
    model = EncoderDecoder(sizes, source_vocab=source.size)
    task = Translation(model, source, target, steps=12, smoothing=0.1)
    return Experiment(data=data, task=task, optimizer=sgd(lr), steps=STEPS, seed=seed, rules=rules(model))


def conformer(*, lr: float = 0.03, seed: int = 0) -> Experiment:
    x, y = np.random.default_rng(0).normal(size=(32, 24, 8)).astype(np.float32), np.arange(32, dtype=np.int32) % 4
    split = {"x": x + y[:, None, None], "y": y}
    data = InMemory({"train": split, "validation": split}, 8)
    model = SpeechClassifier(classes=4, encoder=Conformer(32, layers=1, heads=2, kernel=4, channels=4))
    task = Classification(model=model)
    return Experiment(data=data, task=task, optimizer=sgd(lr), steps=STEPS, seed=seed, rules=rules(model))


def vit(*, lr: float = 1e-3, seed: int = 0) -> Experiment:
    model = ViT(4, 64, 1, 8, 128, classes=4, image=16, pool="average")
    task = Classification(model=model)
    return Experiment(data=images(), task=task, optimizer=adamw(lr), steps=STEPS, seed=seed, rules=rules(model))


def gpt2_small(*, lr: float = 1e-4, seed: int = 0) -> Experiment:
    """Two of its twelve blocks; its vocabulary, a prime times three, is not cut."""
    model = Decoder(gpt2(depth=2))
    data = texts(50257, 256, 8)
    return Experiment(data=data, task=NextToken(model), optimizer=adamw(lr), steps=STEPS, seed=seed, rules=rules(model))


def on(mesh, config):
    setup = Setup.of(config, {})
    exp = setup.build()
    return prepare(setup, Plan() if mesh is None else Plan.make(mesh, "jit", exp), exp=exp)


def train(name, mesh):
    program = on(mesh, {"gpt": gpt, "translator": translator, "conformer": conformer, "vit": vit}[name])
    state, losses = program.init(), []
    source = program.place(program.data.source(0, STEPS, 0))
    text = program.function("chunk").lower(program.knobs, state, source, np.int32(1), np.int32(10)).as_text()
    for _ in range(STEPS):
        state, view = program.chunk(state, source, np.int32(1), np.int32(10))
        view = jax.device_get(view)
        losses.append(view["metrics"]["loss"][0] / view["metrics"]["loss"][1])
        state = state.replace(metrics=jax.tree.map(nothing, state.metrics))
    seen = {}
    if name == "gpt":
        seen["loss"] = evaluate(program, program.weights(state), "validation").metrics["loss"]
    first, kept = jax.devices()[0], jax.tree.leaves((state.params, state.opt_state))
    return seen | {
        "losses": np.asarray(losses),
        "params": np.concatenate([np.ravel(a) for a in jax.tree.leaves(jax.device_get(state.params))]),
        "bytes": sum(s.data.nbytes for a in kept for s in a.addressable_shards if s.device == first),
        "total": sum(a.nbytes for a in kept),
        "cuts": sum("sharding_constraint" in line and '{"model"}' in line for line in text.splitlines()),
    }


def ahead():
    program = on("data=2,model=4", gpt2_small)
    kept = jax.tree.leaves((program.shapes.params, program.shapes.opt_state))
    share = sum(np.prod(a.sharding.shard_shape(a.shape), dtype=np.int64) for a in kept if hasattr(a, "sharding"))
    row = next(row for row in compiled(program) if row.name == "step")
    return {
        "share": float(share / sum(a.size for a in kept)),
        "memory": row.memory,
        "flops": row.flops,
        "collectives": dict(row.collectives),
    }


def main(out, *names):
    runtime.configure(devices=8)
    for name in names:
        if name == "compiled":
            (out / "compiled.json").write_text(json.dumps(ahead()), encoding="utf-8")
        else:
            np.savez(out / f"{name}.npz", **train(*RUNS[name]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
