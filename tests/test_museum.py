"""Run folders that earlier versions wrote (tests/museum): each loads, predicts and evaluates, the paused one goes on.

Compared to 1e-5: the last bits depend on the processor, on jax and its flags. That the paused run ends in the same bits as one
that was never paused was proved by the script that wrote it, on the machine and with the versions of stamp.json.
"""

import json
import re
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxdl import formats, load, train
from jaxdl.experiment import load_config
from jaxdl.pretrained.folder import open_weights
from jaxdl.record.leaves import flatten

pytestmark = pytest.mark.programs(30, "run folders are loaded, evaluated and asked, each by itself")

MUSEUM = Path(__file__).parent / "museum"
SETS = sorted(MUSEUM.glob("format-*"))
EXPECTED = {folder: json.loads((folder / "expected.json").read_text(encoding="utf-8")) for folder in SETS}
LOADED = [(folder, name) for folder in SETS for name in EXPECTED[folder] if name not in ("weights", "paused end")]
QUICK = ("mlp best", "sweep 3", "gan last", "finetuned last")
"""One of each kind of run, by default of the latest format, and the first of every format; a finetuned language model is one."""
ROWS = [
    pytest.param(*row, marks=[] if row[1] in (QUICK if row[0] == SETS[-1] else QUICK[:1]) else pytest.mark.slow)
    for row in LOADED
]


def close(found, expected):
    np.testing.assert_allclose(np.asarray(found, np.float64), np.asarray(expected, np.float64), atol=1e-5, rtol=1e-5)


def check(run, expected):
    for split, metrics in expected["metrics"].items():
        found = run.evaluate(split).metrics
        assert found.keys() >= metrics.keys()
        close([found[name] for name in metrics], list(metrics.values()))
    x = np.asarray(expected["inputs"])
    outputs = run.predict(x.astype(run.experiment.data.example()["x"].dtype))
    assert outputs.keys() >= expected["outputs"].keys()
    for name, values in expected["outputs"].items():
        close(outputs[name], values)


def test_there_is_a_museum():
    """Whoever changes the format adds a set of the runs of today (`tests/museum/write.py`)."""
    assert [folder.name for folder in SETS] == [f"format-{number}" for number in range(1, formats.FORMAT + 1)]
    assert len(LOADED) == 14 * len(SETS)
    for folder in SETS:
        configs = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*/config.json")]
        assert {f"format-{config.get('format', 1)}" for config in configs} == {folder.name}


@pytest.mark.parametrize(("folder", "name"), ROWS, ids=lambda part: getattr(part, "name", part))
def test_a_run_loads_predicts_and_evaluates_as_then(folder, name):
    kind, which = name.split()
    more = {"member": int(which)} if which.isdecimal() else {"checkpoint": which}
    check(load(folder / kind, **more), EXPECTED[folder][name])


@pytest.mark.parametrize(
    "folder",
    [pytest.param(f, marks=[pytest.mark.slow] * (f != SETS[-1])) for f in SETS],
    ids=lambda folder: folder.name,
)
def test_a_paused_run_goes_on_to_the_end_it_would_have_had(folder, tmp_path):
    copy = shutil.copytree(folder / "paused", tmp_path / "paused")
    run = train(load_config(copy / "experiment.py"), resume=copy, quiet=True)
    check(run, EXPECTED[folder]["paused end"])
    found = flatten(run.state)
    with np.load(folder / "paused-end.npz") as end:
        assert set(end.files) == {name for name in found if name.split("/")[0] in ("params", "model_state", "ema")}
        for name in end.files:
            close(found[name], end[name])


@pytest.mark.parametrize("folder", SETS, ids=lambda folder: folder.name)
def test_imported_weights(folder):
    imported, expected = open_weights(folder / "weights"), EXPECTED[folder]["weights"]
    model, tokens = imported.model, np.asarray(expected["inputs"], np.int32)
    logits = jax.jit(lambda variables: model.apply(variables, tokens, train=False))(imported.weights.variables)
    close(logits, expected["outputs"])


@pytest.mark.parametrize("folder", SETS, ids=lambda folder: folder.name)
def test_no_folder_names_the_machine_that_wrote_it(folder):
    texts = [path for name in ("config.json", "env.json", "commit_success.txt") for path in folder.rglob(name)]
    assert len(texts) > 20
    for path in texts:
        assert not re.search(r'(^|["\s])/\w', path.read_text(encoding="utf-8")), path
    stamp = json.loads((folder / "stamp.json").read_text(encoding="utf-8"))
    assert {"jax", "flax", "optax", "orbax-checkpoint", "python"} <= stamp["versions"].keys()
    assert stamp["processor"]
    assert len(stamp["commit"]) == 40
