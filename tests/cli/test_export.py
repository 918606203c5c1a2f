"""An exported run: the same predictions, from files that need no jaxdl."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file

from jaxdl.cli import export, predict
from jaxdl.data.table.columns import from_columns
from jaxdl.experiment import ExperimentError
from jaxdl.record.leaves import flatten
from jaxdl.types import UserError

pytestmark = pytest.mark.programs(10, "a run is loaded and exported")


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "made"
    export.write(trained, folder)
    return folder


def test_the_exported_function_predicts_the_same_for_any_number_of_rows(trained, exported, tiny):
    predict = export.load(exported)
    for n in (1, 5, 12):
        x = tiny.rows(n, 2)["x"]
        ours, theirs = trained.predict(x), predict(x)
        np.testing.assert_array_equal(theirs["label"], ours["label"])
        np.testing.assert_allclose(theirs["probability"], ours["probability"], atol=1e-6, rtol=0)


def test_the_weights_are_those_of_the_run(trained, exported):
    params, model_state = trained.weights
    arrays = load_file(exported / "weights.safetensors")
    wanted = flatten({"params": params, "model_state": model_state})
    assert arrays.keys() == wanted.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, wanted[name])


def test_the_signature_says_what_it_takes(exported):
    signature = json.loads((exported / "signature.json").read_text(encoding="utf-8"))
    assert signature["input"] == {"shape": ["batch", 6], "dtype": "float32"}
    assert signature["any_batch"]
    assert signature["platforms"] == ["cpu", "cuda", "tpu"]
    assert (exported / "predict.stablehlo").read_bytes()[:4] == b"ML\xefR"  # MLIR bytecode
    with pytest.raises(ValueError, match=r"x has shape \(2, 7\), should be \(batch, 6\)"):
        export.load(exported)(np.zeros((2, 7)))
    with pytest.raises(UserError, match=r"float32.*U5"):
        export.load(exported)([["Osaka"] * 6])


def test_the_signature_names_the_numbers_of_an_encoded_row():
    """A table of one number and a category of two values is three numbers."""
    rows = {"age": np.arange(20.0), "city": np.array(["Lagos", "Osaka"] * 10), "bought": np.arange(20) % 2}
    assert list(from_columns(rows, y="bought", batch=4).columns) == ["age", "city = Lagos", "city = Osaka"]


def test_predict_takes_the_exported_folder(trained, exported, tiny, tmp_path, capsys):
    x = tiny.rows(4, 2)["x"]
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", x=x[0])
    assert predict.run([str(exported), str(tmp_path / "x.npy"), str(tmp_path / "x.npz"), "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    names = [f"{tmp_path / 'x.npy'}[{row}]" for row in range(4)]
    assert [one["file"] for one in found] == [*names, str(tmp_path / "x.npz")]
    assert found[0]["top"][0][0] in ("a", "b", "c")
    wanted = trained.predict(x)["probability"]
    np.testing.assert_allclose([one["probability"] for one in found], [*wanted, wanted[0]], atol=1e-6)
    np.save(tmp_path / "bad.npy", np.full((1, 6), np.nan))
    (tmp_path / "a.txt").write_text("a", encoding="utf-8")
    for bad in ("bad.npy", "a.txt"):
        with pytest.raises(UserError) as caught:
            predict.run([str(exported), str(tmp_path / bad)])
        assert str(tmp_path / bad) in str(caught.value)


@pytest.mark.slow
def test_the_command_writes_into_the_run_and_never_over_it(trained, tmp_path, capsys):
    copy = tmp_path / "run"
    shutil.copytree(trained.folder, copy)
    assert export.run([str(copy)]) == 0
    assert "any number of examples at a time" in capsys.readouterr().out
    assert sorted(p.name for p in (copy / "export").iterdir()) == [
        "MANIFEST.json",
        "predict.jax",
        "predict.stablehlo",
        "signature.json",
        "weights.safetensors",
    ]
    with pytest.raises(ExperimentError, match="exists"):
        export.run([str(copy)])


def test_a_damaged_export_is_noticed(exported, tmp_path):
    copy, rng = tmp_path / "copy", np.random.default_rng(0)
    shutil.copytree(exported, copy)
    for name in ("predict.jax", "weights.safetensors", "signature.json"):
        whole = (copy / name).read_bytes()
        for place in rng.integers(0, len(whole), 4):
            (copy / name).write_bytes(whole[:place] + bytes([whole[place] ^ 1 << rng.integers(8)]) + whole[place + 1 :])
            with pytest.raises(UserError) as caught:
                export.load(copy)
            assert name in str(caught.value)
        (copy / name).unlink()
        with pytest.raises(UserError) as caught:
            export.load(copy)
        assert name in str(caught.value)
        (copy / name).write_bytes(whole)
    (copy / "MANIFEST.json").unlink()  # as in exports of earlier versions
    assert export.load(copy)(np.zeros((2, 6)))["label"].shape == (2,)


@pytest.mark.slow
def test_the_files_need_no_jaxdl(trained, exported, tiny, tmp_path):
    """Another process, without this package: jax.export and safetensors are enough."""
    x = tiny.rows(5, 2)["x"]
    np.save(tmp_path / "x.npy", x)
    program = f"""
import sys, jax, numpy as np
from safetensors.numpy import load_file
exported = jax.export.deserialize(bytearray(open(r"{exported}/predict.jax", "rb").read()))
trees = {{"params": {{}}, "model_state": {{}}}}
for path, array in load_file(r"{exported}/weights.safetensors").items():
    *names, last = path.split("/")
    node = trees
    for name in names: node = node.setdefault(name, {{}})
    node[last] = array
out = jax.jit(exported.call)(trees["params"], trees["model_state"], np.load(r"{tmp_path}/x.npy"))
np.save(r"{tmp_path}/p.npy", out["probability"])
assert not any(name.startswith(("jaxdl", "flax")) for name in sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)
    np.testing.assert_allclose(np.load(tmp_path / "p.npy"), trained.predict(x)["probability"], atol=1e-6, rtol=0)
