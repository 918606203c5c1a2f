"""GPT-2's weights with their tokenizer.json, from a folder of the hub to text on the terminal."""

import json

import jax
import numpy as np
import pytest

from jaxdl.__main__ import main
from jaxdl.data.text.tokenizers import BPE, HuggingFace, from_json
from jaxdl.decode import generate, step_of
from jaxdl.models.catalog import MODELS
from jaxdl.pretrained.folder import open_weights, save_torch, shapes_of
from tests.programs import one_program

TINY = {"vocab": 300, "width": 16, "depth": 1, "heads": 2, "hidden": 24, "length": 32}
TEXT = "the cat sat on the mat, the rat sat on the cat. " * 3


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """Random weights, and a tokenizer whose last token is GPT-2's end of a text."""
    tokenizers = pytest.importorskip("tokenizers")
    folder = tmp_path_factory.mktemp("hub")
    learned = tokenizers.Tokenizer.from_str(BPE.of(TEXT, size=280).model)
    learned.add_special_tokens(["<|endoftext|>"])
    learned.save(str(folder / "tokenizer.json"))
    vocab = learned.get_vocab_size()
    model = MODELS["gpt2"].build(**{**TINY, "vocab": vocab})
    random = np.random.default_rng(0)
    variables = jax.tree.map(lambda s: random.normal(0, 0.5, s.shape).astype(np.float32), shapes_of(model))
    save_torch(model, variables, folder / "model.safetensors", naming="huggingface gpt2")
    names = {"width": "n_embd", "depth": "n_layer", "heads": "n_head", "hidden": "n_inner", "length": "n_positions"}
    config = {theirs: TINY[ours] for ours, theirs in names.items()} | {"vocab_size": vocab, "model_type": "gpt2"}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def test_a_tokenizer_made_elsewhere(hub):
    tokenizer = HuggingFace((hub / "tokenizer.json").read_text(encoding="utf-8"))
    assert (tokenizer.pad, tokenizer.unknown) == (None, None)
    assert tokenizer.start == tokenizer.end == tokenizer.size - 1
    tokens = tokenizer.encode("the rat")
    assert tokenizer.decode([*tokens, tokenizer.end]) == "the rat"
    assert from_json(tokenizer.to_json()) == tokenizer


@pytest.mark.slow
@pytest.mark.programs(60, "two commands, with the files they read and write")
def test_from_the_hub_to_text(hub, tmp_path, capsys):
    out = tmp_path / "gpt2"
    assert main(["import-weights", "gpt2", str(hub), "-o", str(out)]) == 0
    capsys.readouterr()
    assert main(["generate", str(out), "--prompt", "the cat", "--steps", "6", "--temperature", "0"]) == 0
    shown = capsys.readouterr().out
    found, tokenizer = open_weights(out), HuggingFace((hub / "tokenizer.json").read_text(encoding="utf-8"))
    prompt = tokenizer.encode("the cat")[None]

    def write(params, prompt):
        cache = found.model.start(1, prompt.shape[1] + 6)
        return generate(step_of(found.model), params, cache, prompt, steps=6, end=tokenizer.end)

    written = one_program(write, found.weights.variables["params"], prompt)
    text = tokenizer.decode(written.tokens[0, : int(written.lengths[0])])
    # random weights may end in the first bytes of a character, which the stream keeps back
    assert shown == "the cat" + text.rstrip("\N{REPLACEMENT CHARACTER}") + "\n"
    assert len(shown) > len("the cat\n")
    (out / "tokenizer.json").unlink()
    assert main(["generate", str(out), "--prompt", "the"]) == 2
    assert "has no tokenizer.json" in capsys.readouterr().err
