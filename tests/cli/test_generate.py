"""`generate`: what a language model writes, from the run folder alone; what is refused, in one line."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

import jaxdl
from jaxdl.__main__ import main
from jaxdl.cli.generate import writer
from jaxdl.data.text.tokenizers import SPECIALS, Characters
from jaxdl.experiment import ExperimentError, load_config
from jaxdl.models.seq2seq import Seq2Seq
from jaxdl.models.transformer import Config, EncoderDecoder
from jaxdl.tasks.seq2seq import Translation

pytestmark = pytest.mark.programs(20, "one program for each length that the text has when it is read anew")

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "char_lm.py"
TEXT = "the cat sat on the mat; the rat ate the cat's hat.\n" * 8


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder of a run of char_lm, on a small text that is another one afterwards."""
    folder = tmp_path_factory.mktemp("text")
    (folder / "cat.txt").write_text(TEXT, encoding="utf-8")
    small = {"text": str(folder / "cat.txt"), "steps": 2, "batch": 2, "context": 8, "width": 8, "depth": 1, "heads": 1}
    run = jaxdl.train(load_config(EXPERIMENT), **small, run=folder, quiet=True)
    (folder / "cat.txt").write_text("the cat " * 60, encoding="utf-8")  # fewer characters: the run has its own
    return run.folder


def out(capsys, *args):
    code = main(["generate", *map(str, args)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(scope="module")
def loaded(written):
    return jaxdl.load(written)


@pytest.fixture
def once(loaded, monkeypatch):
    """The run is loaded once for all flags that are tried: its model is traced when it is loaded."""
    monkeypatch.setattr("jaxdl.cli.options.load", lambda *_, **__: loaded)


@pytest.mark.slow
def test_writes_what_the_seed_says(written, capsys, once):
    code, first, err = out(capsys, written, "--prompt", "the", "--steps", 12)
    assert (code, first[:3], len(first)) == (0, "the", 3 + 12 + 1)
    assert set(first[3:]) <= set(TEXT)
    assert "8 positions" in err
    assert "last 4 tokens" in err
    assert out(capsys, written, "--prompt", "the", "--steps", 12)[1] == first
    assert out(capsys, written, "--prompt", "the", "--steps", 12, "--seed", 1)[1] != first


def test_writes_as_many_texts_as_are_asked_for(written, capsys, once):
    twice = out(capsys, written, "--prompt", "the", "--steps", 4, "--temperature", 0, "--samples", 2)[1]
    greedy = twice[:-1].split("\n---\n")
    assert greedy[0] == greedy[1]
    beams = out(capsys, written, "--prompt", "the", "--steps", 4, "--beam", 2, "--samples", 2)[1]
    assert len(beams.split("\n---\n")) == 2


WRONG = {
    "unknown characters": (["--prompt", "the ☃ Ä"], "--prompt: '☃', 'Ä'"),
    "bytes that are no text": (["--prompt", "the \udcff"], "--prompt: is not text in UTF-8"),
    "steps": (["--steps", 0], "--steps 0 must be 1 or more"),
    "temperature": (["--temperature", -1], "--temperature -1.0 must be 0 or more"),
    "top_p": (["--top-p", 2], "--top-p 2.0"),
    "samples of a beam": (["--beam", 2, "--samples", 3], "--samples 3 must be at most --beam 2"),
    "beam beyond the context": (["--beam", 2, "--steps", 9], "--steps 9"),
    "seed": (["--seed", -1], "--seed -1 must be between 0 and"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_refused(name, written, capsys, once):
    flags, words = WRONG[name]
    code, _, err = out(capsys, written, *flags)
    assert code == 2
    assert words in err
    assert err.count("\n") == 1


def test_a_run_that_is_no_language_model(trained, capsys):
    code, _, err = out(capsys, trained.folder)
    assert (code, "Classification" in err, err.count("\n")) == (2, True, 1)


OWN = """
import flax.linen as nn
import jax.numpy as jnp
import optax
from jaxdl import Experiment
from jaxdl.data import text as texts
from jaxdl.data.text.tokenizers import Characters
from jaxdl.tasks.language import NextToken

class Net(nn.Module):
    causal: bool

    @nn.compact
    def __call__(self, idx, deterministic=True):
        x = nn.Embed(16, 8)(idx) + nn.Embed(8, 8)(jnp.arange(idx.shape[1]))[None]
        mask = nn.make_causal_mask(idx) if self.causal else None
        return nn.Dense(16)(x + nn.MultiHeadDotProductAttention(1)(x, mask=mask))

def config(*, causal: bool = True, seed: int = 0):
    text = "abcdefg " * 40
    data = texts.windows(text, Characters.of(text), batch=8, context=8)
    return Experiment(data=data, task=NextToken(model=Net(causal)), optimizer=optax.adam(3e-2), steps=60, seed=seed)
"""


@pytest.mark.slow
@pytest.mark.programs(32, "a training, and one program for each length that the text has when it is read anew")
@pytest.mark.parametrize("causal", [True, False])
def test_a_model_of_the_users_own_writes_if_it_is_causal(causal, tmp_path, capsys):
    """It gives logits and has no cache. The text repeats eight letters, which the model continues without an error."""
    file = tmp_path / "own.py"
    file.write_text(OWN, encoding="utf-8")
    run = jaxdl.train(load_config(file), causal=causal, run=tmp_path, quiet=True)
    capsys.readouterr()
    code, text, err = out(capsys, run.folder, "--prompt", "abcd", "--steps", 8, "--temperature", 0)
    if causal:
        assert (code, text) == (0, "abcdefg abcd\n")
        assert out(capsys, run.folder, "--prompt", "abcd", "--steps", 4, "--beam", 2)[1] == "abcdefg \n"
    else:
        assert (code, "Net is not causal" in err, err.count("\n")) == (2, True, 1)


@pytest.mark.parametrize("model", [EncoderDecoder(Config(8)), Seq2Seq(8)], ids=["transformer", "recurrent"])
def test_a_translator_is_sent_to_predict(model):
    """It has `start` and `step`, too, but what it starts from is a source."""
    letters = Characters.of("abcd", specials=SPECIALS)
    task = Translation(model, letters, letters, steps=5)
    exp = SimpleNamespace(task=task, data=SimpleNamespace(tokenizers={"tokenizer": letters}))
    with pytest.raises(ExperimentError, match=r"python -m jaxdl predict RUN file.txt"):
        writer(SimpleNamespace(experiment=exp), Path("RUN"))


def test_a_text_that_is_gone(written, capsys, tmp_path):
    copy = shutil.copytree(written, tmp_path / "run")
    config = (copy / "config.json").read_text(encoding="utf-8")
    (copy / "config.json").write_text(config.replace("cat.txt", "dog.txt"), encoding="utf-8")
    code, _, err = out(capsys, copy)
    assert (code, "dog.txt: no such file" in err) == (2, True)
