"""`generate` for a model that makes images: a picture or numbers from the run folder alone, nothing overwritten."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import jaxdl
from jaxdl.__main__ import main
from jaxdl.cli.generate_examples import labels_of
from jaxdl.experiment import ExperimentError, load_config

pytestmark = pytest.mark.programs(20, "a run is made, loaded and drawn from")

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "digits_vae.py"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    small = {"epochs": 1, "width": 2, "hidden": 8, "importance": 1}
    return jaxdl.train(load_config(EXPERIMENT), **small, run=tmp_path_factory.mktemp("runs"), quiet=True).folder


@pytest.mark.slow
def test_examples_are_drawn_by_the_seed_and_kept(made, tmp_path, capsys):
    def generate(*args):
        code = main(["generate", str(made), *map(str, args)])
        return code, capsys.readouterr()

    code, said = generate()
    assert (code, said.out) == (0, f"64 examples: {made / 'generated-1.png'}\n")
    with Image.open(made / "generated-1.png") as picture:
        assert picture.size == (8 * 50, 8 * 50)
    assert generate("--samples", 3)[1].out == f"3 examples: {made / 'generated-2.png'}\n"
    numbers = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        assert generate("--samples", 4, "--seed", seed, "--out", tmp_path / f"{name}.npy")[0] == 0
        numbers.append(np.load(tmp_path / f"{name}.npy"))
    assert numbers[0].shape == (4, 8, 8, 1)
    np.testing.assert_array_equal(numbers[0], numbers[1])
    assert (numbers[0] != numbers[2]).any()
    for args, words in (
        (["--out", tmp_path / "a.npy"], "a.npy exists"),
        (["--out", tmp_path / "a.jpg"], "name a .png or a .npy"),
        (["--label", "3"], "--label 3: "),
    ):
        code, said = generate(*args)
        assert (code, said.err.count("\n")) == (2, 1)
        assert words in said.err


def test_a_class_has_a_name_and_a_number():
    assert labels_of(None, ("ant", "bee"), 3).tolist() == [0, 1, 0]
    assert labels_of("bee", ("ant", "bee"), 2).tolist() == labels_of("1", ("ant", "bee"), 2).tolist() == [1, 1]
    with pytest.raises(ExperimentError, match=r"--label wasp: the classes are ant, bee \(or their numbers from 0\)"):
        labels_of("wasp", ("ant", "bee"), 2)
    with pytest.raises(ExperimentError, match="--label ²: the classes are ant, bee"):
        labels_of("²", ("ant", "bee"), 2)
    with pytest.raises(ExperimentError, match="the data of this run name none"):
        labels_of(None, (), 2)
