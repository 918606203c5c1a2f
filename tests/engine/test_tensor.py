"""Transformers cut over an axis "model": what one device trains, in parts; the rules name every large parameter."""

from importlib import import_module

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.engine.parallel import Plan, path_of
from jaxdl.models.cnn import CNN
from jaxdl.models.speech import Conformer, Transcriber
from jaxdl.models.transformer import Config, Decoder, EncoderDecoder
from jaxdl.models.transformer_rules import rules
from jaxdl.models.transformer_sizes import gpt2, t5, t5_v1_1
from jaxdl.models.vit import ViT
from jaxdl.tracing import along_time, cutting_time

run = import_module("tests.engine.test_parallel").run
CUT = {
    "gpt, fsdp=4,model=2": (8, 0.35),
    "translator, data=2,model=2": (10, 0.7),
    "conformer, data=2,model=2": (0, 0.85),
    "vit, data=2,model=4": (4, 0.35),
}
"""name -> hidden states cut along time, at least (two or three branches a block, forward and backward), and the share of the
parameters and their optimizer state that a device holds, at most: what is small it holds whole, as all convolutions."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The GPT, and what is compiled ahead."""
    return run("tensor_runs.py", tmp_path_factory.mktemp("tensor"), "gpt, one", next(iter(CUT)), "compiled")


@pytest.fixture(scope="module")
def nightly(tmp_path_factory):
    """The other models."""
    names = [name for mesh in list(CUT)[1:] for name in (f"{mesh.split(',')[0]}, one", mesh)]
    return run("tensor_runs.py", tmp_path_factory.mktemp("nightly"), *names)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        pytest.param(name, "nightly" if i else "runs", marks=pytest.mark.night if i else pytest.mark.slow)
        for i, name in enumerate(CUT)
    ],
)
def test_parts_train_what_one_device_trains(request, name, found):
    found = request.getfixturevalue(found)
    one, many = found[f"{name.split(',')[0]}, one"], found[name]
    np.testing.assert_allclose(many["losses"], one["losses"], atol=2e-6, rtol=0)
    np.testing.assert_allclose(many["params"], one["params"], atol=3e-5, rtol=0)  # four steps of Adam at 1e-3
    if "loss" in one:
        np.testing.assert_allclose(many["loss"], one["loss"], atol=2e-6, rtol=0)
    assert one["losses"][-1] < one["losses"][0] - 0.01  # it learns
    cuts, share = CUT[name]
    assert int(many["bytes"]) < share * int(one["bytes"])
    assert int(many["cuts"]) >= cuts
    assert int(one["cuts"]) == 0


@pytest.mark.slow
def test_gpt2_small_compiles_for_eight_devices_without_being_made(runs):
    """Two of its blocks on data=2,model=4: of blocks and their optimizer state a device holds a quarter."""
    found = runs["compiled"]
    blocks, rest = 2 * 7_087_872, 50257 * 768 + 1024 * 768 + 2 * 768
    assert found["share"] == pytest.approx((blocks / 4 + rest) / (blocks + rest), rel=2e-3)
    assert found["flops"] > 0
    assert found["collectives"].get("all-reduce", 0) + found["collectives"].get("reduce-scatter", 0) >= 4


MODELS = {
    "gpt2": (Decoder(gpt2(depth=1, vocab=40)), 1),
    "vaswani": (EncoderDecoder(Config(40, 8, depth=1, heads=4, hidden=16), source_vocab=20), 2),
    "t5": (EncoderDecoder(t5(depth=1, vocab=40)), 2),
    "t5_v1_1": (EncoderDecoder(t5_v1_1(depth=1, vocab=40, heads=8)), 2),
    "vit": (ViT(16, 64, 1, 4, classes=10, image=32), 0),
}


@pytest.mark.parametrize("name", MODELS)
def test_every_large_parameter_has_a_rule_and_every_rule_a_parameter(name):
    model, sequences = MODELS[name]
    inputs = (jnp.zeros((1, 2), jnp.int32),) * sequences or (jnp.zeros((1, 32, 32, 3)),)
    shapes = jax.eval_shape(lambda k: model.init(k, *inputs, train=False), jax.random.key(0))
    plan, used = Plan((("model", 4),), "jit", rules(model)), set()
    specs = {
        path_of(path): plan.spec(path, leaf, used) for path, leaf in jax.tree_util.tree_flatten_with_path(shapes)[0]
    }
    assert used == {rule for rule, _ in plan.rules}
    whole = [n for n, spec in specs.items() if "model" not in spec and n.endswith("kernel") and "block" in n]
    assert not whole
    assert {spec for n, spec in specs.items() if n.endswith("out/kernel")} == {("model", None)}


def test_a_conformer_is_cut_but_for_its_convolutions():
    model = Transcriber(5, Conformer(16, layers=2, heads=4, channels=2))
    shapes = jax.eval_shape(lambda k: model.init(k, jnp.zeros((1, 8, 8)), train=False), jax.random.key(0))["params"]
    plan, used = Plan((("model", 4),), "jit", rules(model)), set()
    kernels = {
        path_of(path): plan.spec(path, leaf, used)
        for path, leaf in jax.tree_util.tree_flatten_with_path(shapes["encoder"]["block_1"])[0]
    }
    assert used == {rule for rule, _ in plan.rules}
    names = lambda axes: {name.removesuffix("/kernel") for name, spec in kernels.items() if spec == axes}
    assert names((None, "model")) == {f"attention/{n}" for n in ("query", "key", "value")} | {
        f"{n}/expand" for n in ("first", "second")
    }
    assert names(("model", None)) == {"attention/out", "first/reduce", "second/reduce"}
    assert rules(model) == rules(model.encoder)


def test_a_soft_axis_cuts_where_it_divides():
    plan = Plan((("model", 4),), "jit", ((r"embedding$", ("model?", None)),))
    spec = lambda rows: plan.spec(
        (jax.tree_util.DictKey("embedding"),), jax.ShapeDtypeStruct((rows, 8), jnp.float32), set()
    )
    assert spec(40) == ("model", None)
    assert spec(41) == (None, None)


def test_models_ask_where_their_hidden_states_live():
    model, asked = Decoder(gpt2(width=8, depth=2, heads=2, vocab=8)), []

    def cut(x):
        asked.append(x.shape)
        return x

    tokens = jnp.zeros((3, 4), jnp.int32)
    with cutting_time(cut):
        jax.eval_shape(lambda k: model.init(k, tokens, train=False), jax.random.key(0))
    assert asked == [(3, 4, 8)] * 5  # the embedding, and both branches of two blocks
    assert along_time(tokens) is tokens


def test_a_model_without_rules():
    with pytest.raises(ValueError, match="CNN has no path rules"):
        rules(CNN(classes=2))
