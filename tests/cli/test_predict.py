"""predict on imported weights: labels, JSON, and what is neither a run, nor weights, nor an image, in one line."""

import json
import shutil
import signal
import subprocess
import sys

import jax
import numpy as np
import pytest
from PIL import Image

from jaxdl.__main__ import main
from jaxdl.models.catalog import MODELS
from jaxdl.pretrained.folder import import_weights, open_weights, save_torch, shapes_of

pytestmark = pytest.mark.programs(10, "imported weights are opened and asked")

NAME, OPTIONS = "cifar_resnet20", {"classes": 3, "stages": (1, 1)}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A folder of import-weights and, beside it, an image."""
    root = tmp_path_factory.mktemp("weights")
    model, random = MODELS[NAME].build(**OPTIONS), np.random.default_rng(0)
    variables = jax.tree.map(lambda s: 0.3 * np.abs(random.normal(size=s.shape)).astype(np.float32), shapes_of(model))
    save_torch(model, variables, root / "net.safetensors", naming="kuangliu")
    config = {"size": 8, "crop_size": 8, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (root / "preprocessor_config.json").write_text(json.dumps(config), encoding="utf-8")
    import_weights(NAME, root / "net.safetensors", root / "set", labels=("cat", "dog", "bird"), **OPTIONS)
    Image.fromarray(random.integers(0, 256, (9, 12, 3), dtype=np.uint8)).save(root / "one.png")
    return root


def test_weights_name_the_likeliest_classes(weights, capsys):
    image = weights / "one.png"
    assert main(["predict", str(weights / "set"), str(image), str(image), "--json"]) == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    wanted = open_weights(weights / "set").predict([image])[0]
    np.testing.assert_allclose(first["probability"], wanted, atol=1e-6)
    assert first == second
    order = np.argsort(-wanted)
    assert [label for label, _ in first["top"]] == [("cat", "dog", "bird")[i] for i in order]
    assert first["label"] == order[0]
    (weights / "folder" / "below").mkdir(parents=True)
    shutil.copy(image, weights / "folder" / "below" / "two.PNG")
    assert main(["predict", str(weights / "set"), str(weights / "folder"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["file"].endswith("two.PNG"), found["probability"]) == (True, first["probability"])
    assert main(["predict", str(weights / "set"), str(image), "--top", "2"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.split(": ")[1].split()[::2] == [label for label, _ in first["top"][:2]]


LINES = {
    "no image": (("set", "preprocessor_config.json"), "preprocessor_config.json: is not a readable image"),
    "no file": (("set", "absent.png"), "absent.png"),
    "a folder without images": (("set", "set"), "set holds no images"),
    "neither": ((".", "one.png"), "is not a run folder: it has no config.json, and it does not hold imported weights"),
    "a weight file": (
        ("net.safetensors", "one.png"),
        "weights are imported first: python -m jaxdl import-weights NAME",
    ),
    "top": (("set", "one.png", "--top", "0"), "--top 0: must be 1 or more"),
    "damaged": (("broken", "one.png"), "weights.json is damaged"),
}


@pytest.mark.parametrize("what", LINES)
def test_one_line(weights, capfd, monkeypatch, what):
    monkeypatch.chdir(weights)
    (weights / "broken").mkdir(exist_ok=True)
    (weights / "broken" / "weights.json").write_text('{"name": 3', encoding="utf-8")
    args, message = LINES[what]
    assert main(["predict", *args]) == 2
    out, err = capfd.readouterr()
    assert message in err
    assert len(err.splitlines()) == 1
    assert not out


@pytest.mark.slow
@pytest.mark.parametrize("args", [["models", "--json"], ["--help"]], ids=" ".join)
def test_a_reader_that_leaves_ends_a_command_quietly(args):
    with subprocess.Popen(
        [sys.executable, "-m", "jaxdl", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()  # before it writes: what fits into the pipe's buffer would not be noticed
        assert process.stderr.read() == b""
    assert process.returncode in (141, -signal.SIGPIPE)
