"""The widgets' own mathematics, run by Node.js, beside jaxdl's."""

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl import activations, optim
from jaxdl.data.image import vision
from jaxdl.layers.arithmetic import convolution_output_size
from jaxdl.layers.convolution import convolve
from jaxdl.layers.pooling import avg_pool, max_pool
from jaxdl.models.cnn import CNN
from jaxdl.models.transformer_block import Config
from jaxdl.models.transformer_heads import SequenceClassifier
from jaxdl.site.play import PLAY, exported
from jaxdl.types import UserError

SCRIPTS = Path(exported.__file__).parent
NODE = shutil.which("node")
LINES = 200
needs_node = pytest.mark.skipif(NODE is None, reason="Node.js is not installed: it runs the scripts of the widgets")


def run_node(script: str, expression: str, *inputs: Any) -> Any:
    """The value of a JavaScript expression over the exports `m` of a script and the `inputs`."""
    code = (
        f"const m = require({json.dumps(str(SCRIPTS / script))});"
        "let text = ''; process.stdin.on('data', (part) => { text += part; }).on('end', () => {"
        f"const inputs = JSON.parse(text); console.log(JSON.stringify({expression})); }});"
    )
    done = subprocess.run(
        [NODE or "node", "-e", code], input=json.dumps(inputs), capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_scripts_are_short_and_ask_for_nothing():
    for name in PLAY:
        text = (SCRIPTS / f"{name}.js").read_text(encoding="utf-8")
        assert len(text.splitlines()) <= LINES
        assert not [word for word in ("http:", "https:", "fetch(", "import ", "XMLHttpRequest") if word in text]


@needs_node
@pytest.mark.programs(90, "every activation with its derivative")
def test_activations_and_their_derivatives_are_jaxdls():
    x = np.linspace(-5, 5, 41)
    names = run_node("activations.js", "Object.keys(m.ACTIVATIONS)")
    spelled = {name for name in vars(activations) if name in names}
    assert spelled == set(names)
    expression = "inputs[0].map((n) => inputs[1].map((x) => [m.value(n, x), m.slope(n, x)]))"
    found = np.array(run_node("activations.js", expression, names, x.tolist()))
    with jax.enable_x64(True):
        for name, rows in zip(names, found, strict=True):
            f = getattr(activations, name)
            y, pull = jax.vjp(f, jnp.asarray(x))
            np.testing.assert_allclose(rows[:, 0], y, atol=1e-9, err_msg=name)
            smooth = np.abs(x[:, None] - [-3, -1, 0, 1, 3, 6]).min(1) > 1e-3  # away from the corners
            np.testing.assert_allclose(rows[smooth, 1], pull(jnp.ones_like(y))[0][smooth], atol=1e-6, err_msg=name)


@needs_node
@pytest.mark.parametrize("name", ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw", "lamb"])
def test_a_race_is_run_by_jaxdls_rules(name):
    shown = {"sgd": "SGD", "adagrad": "AdaGrad", "rmsprop": "RMSprop", "nesterov": "Nesterov", "lamb": "LAMB"}
    theirs = shown.get(name, {"adam": "Adam", "adamw": "AdamW"}.get(name, name))
    path = np.array(run_node("race.js", "m.race('banana', inputs[0], 0.002, 30)", theirs))
    options = {"mask": optim.everything} if name in ("adamw", "lamb") else {}
    transform = getattr(optim, name)(0.002, **options)

    def banana(w):
        return (1 - w[0]) ** 2 + 20 * (w[1] - w[0] ** 2) ** 2

    def step(carry, _):
        params, state = carry
        updates, state = transform.update(jax.grad(lambda p: banana(p["w"]))(params), state, params)
        return (optax.apply_updates(params, updates), state), params["w"]

    with jax.enable_x64(True):
        params = {"w": jnp.array([-1.5, 1.5], jnp.float64)}
        places = jax.jit(lambda p: jax.lax.scan(step, (p, transform.init(p)), length=31)[1])(params)
    np.testing.assert_allclose(path, places, atol=1e-7)


@needs_node
def test_sizes_and_values_of_windows_are_jaxdls():
    cases = [
        {"size": n, "kernel": k, "stride": s, "padding": p, "dilation": d}
        for n in (3, 5, 8)
        for k in (1, 2, 3, 5)
        for s in (1, 2, 3)
        for p in (0, 1)
        for d in (1, 2)
    ]
    for case, found in zip(cases, run_node("convolution.js", "inputs[0].map(m.outputSize)", cases), strict=True):
        try:
            wanted = convolution_output_size(**case)
        except UserError:
            assert found < 1
        else:
            assert found == wanted


@needs_node
@pytest.mark.programs(12, "one for each mode")
@pytest.mark.parametrize("mode", ["convolution", "max", "average"])
def test_outputs_of_windows_are_jaxdls(mode):
    case = {"size": 7, "kernel": 3, "stride": 2, "padding": 1, "dilation": 1, "mode": mode}
    values, weights, found = run_node(
        "convolution.js", "[m.input(7), m.filter(3), m.output(inputs[0], m.input(7))]", case
    )
    x = jnp.asarray(values, jnp.float32).reshape(1, 7, 7, 1)
    kernel = jnp.asarray(weights, jnp.float32).reshape(3, 3, 1, 1)
    layers = {
        "convolution": lambda x: convolve(x, kernel, strides=2, padding=1),
        "max": lambda x: max_pool(x, 3, 2, 1),
        "average": lambda x: avg_pool(x, 3, 2, 1),
    }
    np.testing.assert_allclose(found, np.ravel(jax.jit(layers[mode])(x)), atol=1e-5)


@needs_node
def test_a_drawing_is_counted_in_blocks_as_the_data_were_made():
    bits = np.zeros((32, 32), int)
    bits[0:32, 12:20] = 1  # full height: it stays as it is
    counts = np.array(run_node("digit.js", "m.reduce(inputs[0])", bits.ravel().tolist())).reshape(8, 8)
    np.testing.assert_array_equal(counts, bits.reshape(8, 4, 8, 4).sum((1, 3)))
    small = np.zeros((32, 32), int)
    small[4:12, 3:5] = 1  # a quarter of the size, elsewhere: it is scaled to the same
    np.testing.assert_array_equal(
        np.reshape(run_node("digit.js", "m.reduce(inputs[0])", small.ravel().tolist()), (8, 8)), counts
    )


def data_of(site: Path, name: str) -> dict[str, Any]:
    """What the page of a widget holds: the weights of its network."""
    text = (site / "play" / f"{name}.html").read_text(encoding="utf-8")
    return json.loads(re.search(rf'mount\(document\.getElementById\("play-{name}"\), (.*)\);$', text, re.MULTILINE)[1])


def unpacked(text: str, *shape: int) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f2").astype(np.float32).reshape(shape)


@needs_node
@pytest.mark.slow
@pytest.mark.programs(20, "its pieces are unpacked one by one")
def test_a_digit_passes_through_the_network_as_in_jaxdl(site):
    data = data_of(site, "digit")
    shapes = {"Conv_0": (3, 3, 1, 32), "Conv_1": (3, 3, 32, 64), "Dense_0": (256, 10)}
    params = {
        name: {"kernel": unpacked(data[f"kernel{i}"], *shape), "bias": unpacked(data[f"bias{i}"], shape[-1])}
        for i, (name, shape) in enumerate(shapes.items(), 1)
    }
    digits = vision.digits()
    part = digits.splits["test"]
    predict = lambda x: CNN(classes=10).apply(
        {"params": params}, digits.standardise(digits.prepare({"x": x}))["x"], train=False
    )
    plain = jax.jit(predict)(jnp.asarray(part["x"]))
    expression = "inputs[1].map((x) => m.forward(m.weights(inputs[0]), x)).map((y) => [y.logits, y.p])"
    found = run_node("digit.js", expression, data, part["x"].reshape(-1, 64).tolist())
    logits, p = (np.array([row[i] for row in found]) for i in (0, 1))
    np.testing.assert_allclose(logits, plain, atol=1e-4, rtol=1e-5)
    np.testing.assert_allclose(p, jax.nn.softmax(plain), atol=1e-5)
    assert (
        abs(np.mean(p.argmax(1) == part["y"]) - data["accuracy"]) < 0.01
    )  # 16 bits and the folded norm change next to nothing


@needs_node
@pytest.mark.slow
@pytest.mark.programs(120, "a Transformer whose weights of attention are looked at, eagerly")
def test_a_sentence_is_read_as_in_jaxdl(site):
    data, text = data_of(site, "attention"), "das Wetter ist heute schön"
    width, classes = data["width"], len(data["names"])
    config = Config(
        vocab=len(data["symbols"]) + 2, width=width, depth=2, heads=data["heads"], hidden=2 * width, order="first"
    )
    model = SequenceClassifier(config.but(embed_scale=width**0.5), classes, pool="mean", pad=0)
    numbers = run_node("attention.js", "m.encode(m.open(inputs[0]), inputs[1])", data, text)
    tokens = jnp.asarray(numbers)[None]
    like = jax.eval_shape(lambda tokens: model.init(jax.random.key(0), tokens, train=False), tokens)["params"]
    held = data["weights"]
    blocks = {f"blocks_{i}": nested(held[f"block{i}"]) for i in (0, 1)}
    texts = {
        "embed": {"embedding": held["embedding"]["all"]},
        "head": held["head"],
        "stack": {**blocks, "norm": held["norm"]},
    }
    params = jax.tree.map(lambda leaf, text: unpacked(text, *leaf.shape), like, texts)
    logits, seen = model.apply({"params": params}, tokens, train=False, mutable="intermediates")
    expression = "((model) => ((y) => [y.p, y.maps])(m.forward(model, m.encode(model, inputs[1]))))(m.open(inputs[0]))"
    found = run_node("attention.js", expression, data, text)
    np.testing.assert_allclose(found[0], jax.nn.softmax(logits)[0], atol=1e-5)
    weights = [leaf for leaf in jax.tree.leaves(seen) if leaf.ndim == 4]
    assert len(weights) == 2
    np.testing.assert_allclose(found[1], np.concatenate(weights), atol=1e-5)
    assert 1 / classes < data["accuracy"] < 1


def nested(block: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a block as the module has them."""
    norms = {name: block[name] for name in ("norm_attention", "norm_mlp")}
    parts = {"attention": ("query", "key", "value", "out"), "mlp": ("up", "down")}
    return norms | {part: {name: block[name] for name in names} for part, names in parts.items()}
