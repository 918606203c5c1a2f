"""Fine-tuning: weights of a run or imported ones under a head of its own; what fits, what is said, what is refused."""

import copy
import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl import train
from jaxdl.engine.loop import Limits
from jaxdl.experiment import ExperimentError
from jaxdl.models.catalog import MODELS
from jaxdl.models.mlp import MLP
from jaxdl.optim import freeze, groups, sgd
from jaxdl.pretrained.folder import import_weights, save_torch, shapes_of
from jaxdl.pretrained.preprocess import Preprocess
from jaxdl.runs.prepare import prepare
from jaxdl.runs.weights import Fit, as_seen, described_weights, flat, initialised_from, match_leaves
from jaxdl.setup import Setup
from jaxdl.tasks.classification import Classification
from tests.programs import one_program

pytestmark = pytest.mark.programs(25, "first states, and weights put into them")

NAME, OPTIONS = "cifar_resnet20", {"classes": 3, "stages": (1, 1)}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A folder of import-weights: random weights of a small ResNet for three classes, for images of 8x8."""
    root = tmp_path_factory.mktemp("weights")
    model, random = MODELS[NAME].build(**OPTIONS), np.random.default_rng(0)
    variables = jax.tree.map(lambda s: np.abs(random.normal(size=s.shape)).astype(np.float32), shapes_of(model))
    save_torch(model, variables, root / "net.safetensors", naming="kuangliu")
    (root / "preprocessor_config.json").write_text(
        json.dumps({"size": 10, "crop_size": 8, "image_mean": [0.5] * 3, "image_std": [0.25] * 3}), encoding="utf-8"
    )
    import_weights(NAME, root / "net.safetensors", root / "out", **OPTIONS)
    return root / "out", variables


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two classes of images of noise, 20 each, in files."""
    from PIL import Image

    root, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for i in range(40):
        (root / "ab"[i % 2]).mkdir(exist_ok=True)
        Image.fromarray(random.integers(0, 256, (12, 14, 3), dtype=np.uint8)).save(root / "ab"[i % 2] / f"{i}.png")
    return root


def by_name(variables):
    return flat(variables)


SHAPES = {"params/stem/kernel": (3, 4), "params/head/kernel": (4, 5), "params/head/bias": (5,)}
OTHER_HEAD = {"params/head/kernel": (4, 7), "params/head/bias": (7,)}
STEM, HEAD = ("params/stem/kernel",), ("params/head/kernel", "params/head/bias")

# changes of ours, changes of theirs (None: gone), named, taken, fresh, problems
FITS = {
    "all": ({}, {}, (), STEM + HEAD, (), ()),
    "another head": ({}, OTHER_HEAD, (), STEM, HEAD, ()),
    "a wider head": ({}, {"params/head/kernel": (9, 5)}, (), STEM, HEAD, ()),  # its bias would fit, and mean nothing
    "named": ({}, {}, ("^head/",), STEM, HEAD, ()),
    "no head there": ({}, dict.fromkeys(HEAD), (), STEM, HEAD, ()),
    "a head more there": (
        {},
        {"params/aux1/fc/kernel": (1, 5), "params/head_distilled/bias": (5,)},
        (),
        STEM + HEAD,
        (),
        (),
    ),
    "another stem": (
        {},
        {STEM[0]: (3, 8)},
        (),
        HEAD,
        (),
        ("of another shape: params/stem/kernel (3x8 there, 3x4 here)",),
    ),
    "another stem, named": ({}, {STEM[0]: (3, 8)}, ("stem",), HEAD, STEM, ()),
    "missing": ({"batch_stats/norm/mean": (4,)}, {}, (), STEM + HEAD, (), ("missing there: batch_stats/norm/mean",)),
    "left over": ({}, {"params/dense9/bias": (2,)}, (), STEM + HEAD, (), ("left over there: params/dense9/bias",)),
    "no names": (
        {**dict.fromkeys(SHAPES), "params/Dense_0/bias": (4,), "params/Dense_1/bias": (5,)},
        {**dict.fromkeys(SHAPES), "params/Dense_0/bias": (4,), "params/Dense_1/bias": (6,)},
        (),
        ("params/Dense_0/bias",),
        ("params/Dense_1/bias",),
        (),
    ),
}


@pytest.mark.parametrize("case", FITS)
def test_what_fits(case):
    here, there, named, taken, fresh, problems = FITS[case]
    ours, theirs = (
        {n: np.zeros(shape, np.float32) for n, shape in {**SHAPES, **changes}.items() if shape is not None}
        for changes in (here, there)
    )
    assert match_leaves(ours, theirs, named) == Fit(taken, fresh, problems)


def test_many_names_are_not_all_told():
    ours = {f"params/layer{i}/bias": np.zeros(1, np.float32) for i in range(50)}
    (problem,) = match_leaves(ours, {}).problems
    assert problem.endswith("params/layer5/bias and 44 more")


@pytest.mark.slow
def test_the_run_of_other_classes(tiny, trained):
    """A run folder as the source, a model for five classes here: the first layer is taken, the last one starts afresh."""
    exp = tiny.config(seed=4)
    exp = replace(exp, init_from=str(trained.folder), task=Classification(model=MLP(features=(8,), classes=5)))
    program, lines = prepare(Setup.of(lambda: exp, {})), []
    start = program.init()
    state = initialised_from(program, start, lines.append)
    old, new, before = (by_name({"params": p}) for p in (trained.weights[0], state.params, start.params))
    np.testing.assert_array_equal(new["params/Dense_0/kernel"], old["params/Dense_0/kernel"])
    np.testing.assert_array_equal(new["params/Dense_1/kernel"], before["params/Dense_1/kernel"])
    assert lines == [f"56 parameters from {trained.folder} (run), Dense_1 from seed 4"]
    again = replace(exp, task=tiny.config().task, fresh=("Dense_1/bias",))
    program = prepare(Setup.of(lambda: again, {}))
    initialised_from(program, program.init(), lines.append)
    assert lines[-1].startswith("80 parameters")
    wrong = prepare(Setup.of(lambda: replace(again, fresh=("haed",)), {}))
    with pytest.raises(ExperimentError, match="fresh = 'haed' matches no parameter"):
        initialised_from(wrong, wrong.shapes)


def test_a_source_that_is_none(tiny, tmp_path):
    with pytest.raises(ValueError, match=r"is not a run folder: it has no config\.json, and it holds no weights\.json"):
        train(tiny.config, init_from=str(tmp_path), run=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
    with pytest.raises(FileNotFoundError, match="no folder of imported weights"):
        described_weights(tmp_path)


def finetune(**values) -> Setup:
    from experiments.finetune_folder import config

    return Setup.of(config, {"batch": 8, "epochs": 1, **values})


@pytest.fixture(scope="module")
def begun(weights, photos):
    """The first state of `experiments/at_scale/finetune_folder.py` with imported weights, and what was said."""
    setup = finetune(folder=str(photos), init_from=str(weights[0]), freeze="^(?!head/)")
    program, lines = prepare(setup), []
    return setup, program, initialised_from(program, program.init(), lines.append), lines


def variables_of(state):
    return by_name({"params": state.params, **state.model_state})


def equal_but_head(now, old):
    for name, value in by_name(old).items():
        if "head" not in name:
            np.testing.assert_array_equal(now[name], value, err_msg=name)


def test_imported_weights_under_another_head(begun, weights):
    """All but the head is taken, and images look as weights.json says."""
    (_, program, state, lines), (path, old) = begun, weights
    exp = program.exp
    assert lines == [f"19,088 parameters from {path} (cifar_resnet20 weights), head from seed 0"]
    assert variables_of(state)["params/head/kernel"].shape == (32, 2)
    equal_but_head(variables_of(state), old)
    assert exp.steps == 3
    image = exp.data.splits["test"]["x"][:1]
    assert image.shape == (1, 10, 10, 3)
    seen = exp.data.standardise(exp.data.prepare({"x": image}))["x"]
    as_imported = Preprocess(8, 8, (0.5,) * 3, (0.25,) * 3)(image[0, 1:-1, 1:-1])
    np.testing.assert_allclose(seen[0], as_imported, atol=1e-6)


@pytest.mark.slow
def test_frozen_features_stay(begun, weights, tmp_path):
    """Parameters and the statistics of the batch norms; the head moves."""
    setup, _, state, _ = begun
    run = train(setup.config, **setup.knobs, run=tmp_path, quiet=True, limits=Limits(stop_at=2, log_every=1))
    equal_but_head(variables_of(run.state), weights[1])
    assert (variables_of(run.state)["params/head/bias"] != variables_of(state)["params/head/bias"]).all()


@pytest.mark.slow
def test_finetune_folder_without_weights_and_with_wrong_ones(weights, photos, tiny):
    folder = str(photos)
    assert finetune(folder=folder, crop=32).build().task.model == MODELS["resnet18"].build(classes=2)
    assert finetune(folder=folder, crop=32, model="vgg11").build().task.model.classes == 2
    with pytest.raises(ValueError, match="model = 'resnet81' is no image model"):
        finetune(folder=folder, model="resnet81").build()
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        finetune(folder="nowhere").build()
    data = finetune(folder=folder, crop=8).build().data
    with pytest.raises(ValueError, match="images of 9x9 are smaller than the crop = 20"):
        as_seen(data, crop=20, mean=(0.5,) * 3, std=(0.5,) * 3)
    program = prepare(finetune(folder=folder, init_from=str(weights[0]), model="cifar_resnet32"))
    with pytest.raises(
        ExperimentError, match=r"do not fit.*missing there: params/stage1_block2/conv1/kernel.* and 124 more"
    ):
        initialised_from(program, program.shapes)


def test_weights_that_saw_other_images(begun, monkeypatch):
    """`--init-from` with an experiment that scales images in its own way: it is said."""
    _, program, state, _ = begun
    other, lines, taken = copy.copy(program), [], []
    other.exp = replace(program.exp, data=replace(program.exp.data, standardise=lambda batch: batch))
    monkeypatch.setattr(
        "jaxdl.runs.weights.with_weights", lambda *arguments: taken.append(arguments)
    )  # another test compiles it
    initialised_from(other, state, lines.append)
    assert len(taken) == 1
    assert lines[1:] == [
        "note: these weights were trained on images of 8x8 pixels, mean (0.5, 0.5, 0.5), deviation (0.25, 0.25, 0.25); "
        "this data set does otherwise"
    ]


def test_frozen_stages_and_lower_rates():
    """The two ways together: the stem stays, each stage learns at half the rate of the next."""
    names = ("stem", "stage1_block1", "stage1_block2", "stage2_block1", "norm", "head")
    tx = freeze(optax.chain(sgd(1.0), groups.scale_stages(jnp.float32(0.5))), "^stem")
    updates = one_program(lambda params: tx.update(params, tx.init(params), params)[0], {n: np.ones(2) for n in names})
    rates = {name: -float(u[0]) for name, u in updates.items()}
    expected = {
        "stem": 0,
        "stage1_block1": 0.125,
        "stage1_block2": 0.125,
        "stage2_block1": 0.25,
        "norm": 0.5,
        "head": 1,
    }
    assert rates == expected
