"""Every file in experiments/: it says where it comes from, documents its knobs, and trains for two steps.

Sets that are not bundled are read from a folder of small random files in the formats people have. By default one of each
kind is traced; all of them train under `slow`, on models of few layers, for two steps are mostly compilation; `night`
traces each at its own size.
"""

import ast
import inspect
import os
import re
from dataclasses import replace
from functools import cache, wraps
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from jaxdl import runtime, shipped
from jaxdl.cli.options import check_signature
from jaxdl.data.text.tokenizing import tokenize
from jaxdl.engine.evaluate import evaluate
from jaxdl.experiment import load_config
from jaxdl.models import inception_v3
from jaxdl.models.efficientnet import B0
from jaxdl.models.mobilenet import V2
from jaxdl.runs.prepare import prepare
from jaxdl.setup import Setup
from tests.made_files import crowds, idx, recordings

EXPERIMENTS = shipped.files(Path(__file__).parents[1] / "experiments")
RECIPES = [path for path in EXPERIMENTS if path.parent.name == "at_scale"]
LARGE = {
    "cifar10_fast": ({"width": 4}, {}),
    "cifar10_resnet18": ({"width": 8}, {"stages": (1, 1)}),
    "cifar10_sngan": ({"width": 8, "critic_width": 8}, {}),
    "cifar10_vit": ({"width": 32, "depth": 1, "heads": 2}, {}),
    "cifar10_wide_resnet": ({"depth": 10, "widen": 1}, {}),
    "faces": ({"width": 8, "dim": 16, "size": 16}, {"stages": (1, 1)}),
    "gpt2_pretrain": ({"width": 16, "depth": 1, "heads": 2, "context": 16}, {}),
    "imagenet_alexnet": ({"image": 64, "hidden": 16}, {}),
    "imagenet_efficientnet_b0": ({"image": 32, "stem": 8}, {"table": B0[:2]}),
    "imagenet_inception_v3": ({"image": 75, "auxiliary": False}, {"share": 0.1}),
    "imagenet_mobilenet_v2": ({"image": 32, "stem": 8}, {"table": V2[:2]}),
    "imagenet_resnet50": ({"image": 32, "width": 8, "recipe": "modern"}, {"stages": (1, 1)}),
    "imagenet_vgg16": ({"image": 32, "width": 8, "hidden": 16}, {"stages": (1, 1, 1)}),
    "imagenet_vit_s16": ({"image": 32, "width": 32, "depth": 1, "heads": 2}, {}),
    "imagenette_resnet50": ({"image": 32, "width": 8}, {"stages": (1, 1)}),
    "lfw_verification": ({"width": 8, "dim": 16, "image_size": 16}, {"stages": (1, 1)}),
    "librispeech_conformer": ({"width": 16, "layers": 1}, {}),
    "wmt14_transformer_base": (
        {"longest": 20, "buckets": 1},
        {"config": {"width": 16, "depth": 1, "heads": 2, "hidden": 16}},
    ),
}
"""Large experiments: knobs, and fields of the model, with which they are traced and trained here; `night` traces them whole."""
SMALL = {
    "back_translation": {"width": 8},
    "char_lm": {"width": 16, "depth": 1, "heads": 2, "context": 16},
    "contrast_small_batch_norm": {"width": 16},
    "digits_autoencoder": {"width": 2, "hidden": 16},
    "digits_gan": {"width": 16, "latent": 4},
    "digits_metric": {"dim": 8},
    "digits_resnet": {"width": 4},
    "digits_segmentation": {"width": 2, "depth": 1},
    "digits_simclr": {"dim": 16, "projection": 8},
    "digits_vae": {"width": 2, "hidden": 16, "importance": 2},
    "digits_vit": {"width": 16, "depth": 1, "heads": 2},
    "finetune_folder": {"model": "cifar_resnet20", "crop": 32},
    "fashion_mnist_dcgan": {"width": 4, "latent": 4},
    "fashion_mnist_resnet": {"width": 4},
    "fashion_mnist_vqvae": {"width": 8, "codes": 16, "dim": 4},
    "mnist_vae": {"width": 2, "hidden": 16, "importance": 2},
    "number_words": {"width": 16},
    "omniglot_metric": {"dim": 8},
    "ring_gan": {"width": 16, "depth": 2},
    "speech_commands": {"width": 16, "layers": 1},
    "spoken_digits": {"width": 16, "layers": 1},
    "sunspots_lstm": {"hidden": 8},
    "text_classification": {"width": 8, "time": 32},
    "translate": {"width": 16, "depth": 1, "heads": 2, "buckets": 1, "beams": 1},
}
"""The same for those whose own sizes are only slower; what is in neither table is small."""
TRACED = (
    "breast_cancer_mlp", "char_lm", "digits_cnn", "digits_multilabel", "etth1_forecast", "ring_gan",
)  # fmt: skip
"""One for each kind of data and task, by default."""
TRAINED = ("digits_mlp", "diabetes_mlp")
"""And the two that train by default."""

FAST_TO_COMPILE = {
    "xla_backend_optimization_level": 0,
    "xla_cpu_parallel_codegen_split_count": 1,
    **({"xla_cpu_use_fusion_emitters": False} if "fusion_emitters" in os.environ["XLA_FLAGS"] else {}),
}
"""Without LLVM's passes and MLIR's emitters: 0.8 CPU seconds for the step of digits_cnn, where level 1 takes 3.4."""


def each(*default, otherwise=pytest.mark.slow):
    """Every experiment, of which these by default."""
    assert not set(default) - {path.stem for path in EXPERIMENTS}
    marks = {path: () if path.stem in default else otherwise for path in EXPERIMENTS}
    return pytest.mark.parametrize("path", [pytest.param(p, id=p.stem, marks=marks[p]) for p in EXPERIMENTS])


every = pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda p: p.stem)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """MNIST's files, CIFAR-10's and CIFAR-100's, folders of images, ETTh1's, parallel text, recordings: a few of each."""
    root, rng = tmp_path_factory.mktemp("sets"), np.random.default_rng(0)
    for prefix, n in (("train", 400), ("t10k", 60)):
        images, labels = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8), (np.arange(n) % 10).astype(np.uint8)
        (root / f"{prefix}-images-idx3-ubyte").write_bytes(idx(images))
        (root / f"{prefix}-labels-idx1-ubyte").write_bytes(idx(labels))

    def cifar(name, n, labels):
        records = rng.integers(0, 256, (n, len(labels) + 3072), dtype=np.uint8)
        for i, classes in enumerate(labels):
            records[:, i] = np.arange(n) % classes
        (root / name).write_bytes(records.tobytes())

    for name in (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"):
        cifar(name, 100, (10,))
    cifar("train.bin", 1000, (20, 100))
    cifar("test.bin", 100, (20, 100))
    hours = np.datetime64("2016-07-01") + np.arange(20 * 30 * 24).astype("timedelta64[h]")
    rows = [f"{hour},{','.join(map(str, rng.integers(0, 99, 7)))}" for hour in hours]
    (root / "ETTh1.csv").write_text("\n".join(["date,HUFL,HULL,MUFL,MULL,LUFL,LULL,OT", *rows]), encoding="utf-8")
    for part, n in (("train", 64), ("val", 5), ("test", 5)):
        lines = [" ".join(rng.choice(["a", "dog", "runs", "far", "away", "and", "back", "."], 6)) for _ in range(n)]
        for language in ("en", "de"):
            (root / f"{part}.{language}").write_text("\n".join(lines), encoding="utf-8")
    recordings(root, rng)
    crowds(root, rng)
    (root / "corpus.jsonl").write_text('{"text": "a dog runs far away"}\n' * 2000, encoding="utf-8")
    (root / "more.jsonl").write_text("".join(f'{{"text": "and back {i}"}}\n' for i in range(999)), encoding="utf-8")
    corpus = [root / "corpus.jsonl", root / "more.jsonl"]
    tokenize(corpus, root / "tokens", tokenizer="bytes", validation=0.2, workers=1)
    for part, n in (("train", 8), ("val", 2)):
        for name in ("bird", "cat", "dog"):
            (root / "photographs" / part / name).mkdir(parents=True)
            for i in range(n):
                pixels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / "photographs" / part / name / f"{i}.{'jpg' if i % 2 else 'png'}")
    return root


FILES = {
    "etth1_forecast": {"file": "ETTh1.csv"},
    "faces": {"folder": "people"},
    "finetune_folder": {"folder": "photographs"},
    **{path.stem: {"folder": "photographs"} for path in EXPERIMENTS if path.stem.startswith("imagenet")},
    "gpt2_pretrain": {"folder": "tokens"},
    "lfw_verification": {"folder": "people", "lfw": "people", "pairs": "pairs.txt", "dev_pairs": "pairs.txt"},
    "librispeech_conformer": {"folder": "librispeech"},
    "omniglot_metric": {"folder": "characters"},
    "speech_commands": {"folder": "commands"},
    "spoken_digits": {"folder": "spoken"},
}
"""experiment -> knob -> file of the folder, where a knob names a file that is not bundled."""


def setup_of(path, folder, **knobs):
    """The experiment's function with its own knobs, small where they only say how much."""
    config = load_config(path)
    parameters = inspect.signature(config).parameters
    files = {name: str(folder / file) for name, file in FILES.get(path.stem, {}).items()}
    few = {"folder": str(folder), "batch": 16, "workers": 0, "classifier_epochs": 1, **files, **knobs}
    return Setup.of(config, {name: value for name, value in few.items() if name in parameters})


@pytest.fixture
def small(folder, monkeypatch):
    """path -> the experiment's function with its own recipe, on a model of few layers and units."""
    monkeypatch.setattr(inception_v3, "V3", {name: inception_v3.V3[name] for name in ("5b", "6a")})
    monkeypatch.setattr(runtime, "compiler_options", cache(lambda: FAST_TO_COMPILE))

    def make(path):
        knobs, model = LARGE.get(path.stem, (SMALL.get(path.stem, {}), {}))
        setup = setup_of(path, folder, batch=4 if path.stem in LARGE else 16, **knobs)
        if not model:
            return setup

        @wraps(setup.config)
        def shallow(**values):
            exp = setup.config(**values)
            whole, fields = exp.task.model, model
            if "config" in fields:  # sizes of a Transformer; its vocabulary stays
                fields = {"config": whole.config.but(**fields["config"])}
            return replace(exp, task=replace(exp.task, model=whole.clone(**fields)))

        return replace(setup, config=shallow)

    return make


@every
def test_says_what_it_is(path):
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    assert text.split("\n")[0].endswith("."), "the first line is a sentence: `python -m jaxdl list` shows it"
    for word in ("Source:", "Run:", "Cost:", "Expect:"):
        assert word in text, f"the docstring of {path.name} lacks {word}"
    assert f"experiments.{path.stem}" in text, "the command"


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_a_recipe_claims_no_measured_number(path):
    text = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("Expect:")[1]
    assert "not measured" in text
    assert "%" not in text or re.search("[Pp]ublished", text), "a number that is not said to be published"


@every
def test_every_knob_is_typed_has_a_default_and_is_documented(path):
    config = load_config(path)
    check_signature(config)
    text = inspect.getdoc(config) or ""
    for name, parameter in inspect.signature(config).parameters.items():
        assert parameter.kind is parameter.KEYWORD_ONLY
        assert f"{name}:" in text or f"{name}, " in text or f", {name}" in text, f"{name} is not documented"


def traced(setup):
    """Its program, of which shapes of one initialization and one step say: the learning rate is a traced knob."""
    program = prepare(setup)
    exp = program.exp
    assert sum(leaf.size for leaf in jax.tree.leaves(program.shapes.params)) > 0
    assert program.knobs, "no knob of it can be swept"
    floats = {name for name, value in setup.knobs.items() if type(value) is float}
    assert "lr" not in floats or "lr" in program.knobs
    exp.task.check(exp.data.splits["train"]["y"])
    assert exp.data.split, "the report says how the splits were made"
    return program


@pytest.mark.parametrize("path", [path for path in EXPERIMENTS if path.stem in TRACED], ids=lambda p: p.stem)
def test_its_step_can_be_traced(path, small):
    """Without compiling anything; the others are traced where they train, below."""
    traced(small(path))


@each("imagenet_alexnet", otherwise=pytest.mark.night)
def test_its_step_can_be_traced_at_its_own_size(path, folder):
    traced(setup_of(path, folder))


@pytest.mark.programs(25, "two steps and an evaluation; of a GAN, the classifier that judges it is trained, too")
@each(*TRAINED)
def test_trains_for_two_steps(path, small):
    """Its recipe moves the parameters, every number is finite, and what is not large is evaluated, too."""
    program = traced(small(path))
    exp, state = program.exp, program.init()
    before = jax.device_get(state.params)
    draws = max(phase.repeats for phase in exp.task.phases)
    for i in range(2):
        source = program.place(exp.data.source(i * draws, (i + 1) * draws, 0))
        state, view = program.chunk(state, source, np.int32(1), np.int32(10))
    view = jax.device_get(view)
    assert (view["step"], view["skipped"]) == (2, 0)
    assert all(np.isfinite(total / weight) for total, weight in view["metrics"].values())
    after = jax.device_get(state.params)
    changed = [(a != b).any() for a, b in zip(*map(jax.tree.leaves, (before, after)), strict=True)]
    assert np.mean(changed) > 0.9
    if path.stem not in LARGE:
        result = evaluate(program, program.weights(state), "validation")
        assert np.isfinite(result.metrics[exp.select[0]])


def test_there_are_experiments():
    names = {path.stem for path in EXPERIMENTS}
    assert {"mnist_mlp", "mnist_cnn", *TRACED, *TRAINED, *LARGE, *SMALL, *FILES} <= names


@pytest.mark.parametrize("path", [p for p in EXPERIMENTS if p.stem.startswith("fashion_mnist")], ids=lambda p: p.stem)
def test_fashion_mnist_needs_no_folder(path):
    """10,000 training images are bundled, of which 1,000 are for validation."""
    data = load_config(path)().data
    assert {part: arrays["x"].shape for part, arrays in data.splits.items()} == {
        "train": (9000, 28, 28, 1),
        "validation": (1000, 28, 28, 1),
        "test": (2000, 28, 28, 1),
    }
