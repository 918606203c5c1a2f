"""Language models against Hugging Face's classes, from random weights: hidden states, logits, what `generate` writes."""

from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.decode import beam_search, generate, step_of
from jaxdl.models.catalog import MODELS
from jaxdl.pretrained import sizes
from jaxdl.pretrained.folder import names_of, shapes_of
from jaxdl.pretrained.mapping import to_tensors, variables_of
from tests.programs import one_program

VOCAB, PAD, END = 29, 0, 1
WRITERS = ("gpt2", "t5_small", "marian")
TINY = {"vocab": VOCAB, "width": 16, "depth": 2, "heads": 2, "hidden": 24}
CHOICES = {
    "distilbert": {"activation": "gelu"},
    "t5": {"d_kv": 5, "pad_token_id": PAD, "decoder_start_token_id": PAD, "eos_token_id": END},
    "t5_v1_1": {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
    "gpt2": {"bos_token_id": END, "eos_token_id": END, "pad_token_id": PAD},
    "marian": {
        "activation_function": "swish",
        "scale_embedding": True,
        "pad_token_id": PAD,
        "eos_token_id": END,
        "decoder_start_token_id": PAD,
        "max_position_embeddings": 512,
        "forced_eos_token_id": None,
        "decoder_layers": 2,
        "decoder_attention_heads": 2,
        "decoder_ffn_dim": 24,
    },
}
# name in the catalog, the class of transformers, the naming it is read in
CASES = {
    "bert_base": ("BertModel", "huggingface bert, bare"),
    "bert_base_mlm": ("BertForMaskedLM", "huggingface bert"),
    "bert_base_classifier": ("BertForSequenceClassification", "huggingface bert"),
    "distilbert": ("DistilBertModel", "huggingface distilbert, bare"),
    "distilbert_mlm": ("DistilBertForMaskedLM", "huggingface distilbert"),
    "distilbert_classifier": ("DistilBertForSequenceClassification", "huggingface distilbert"),
    "gpt2": ("GPT2LMHeadModel", "huggingface gpt2"),
    "t5_small": ("T5ForConditionalGeneration", "huggingface t5"),
    "t5_v1_1_small": ("T5ForConditionalGeneration", "huggingface t5"),
    "marian": ("MarianMTModel", "huggingface marian"),
}
LENGTHS = np.array([7, 4])
TOKENS = np.where(np.arange(7)[None] < LENGTHS[:, None], np.random.default_rng(0).integers(3, VOCAB, (2, 7)), PAD)
TARGET = np.random.default_rng(1).integers(3, VOCAB, (2, 5))


def family_of(name):
    return next(f for f in sizes.SIZES if name.startswith(f))


def reference(name):
    """A tiny model of `transformers`, every parameter random (norms and biases too)."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    family = family_of(name)
    options = {sizes.SIZES[family][k]: v for k, v in TINY.items()} | CHOICES.get(family, {})
    options |= CHOICES["t5_v1_1"] if "v1_1" in name else {}
    kind = getattr(transformers, CASES[name][0])
    rate = {"attn_pdrop": 0.0} if family == "gpt2" else {}
    torch.manual_seed(0)
    model = kind(kind.config_class(**options, **rate)).eval()
    generator = torch.Generator().manual_seed(1)
    for key, p in model.named_parameters():
        if "embed_positions" in key:
            continue
        # those that write have small embeddings, large kernels: tied to their embedding, random weights repeat one token
        embedding = key.split(".")[-2] in ("wte", "shared", "embed_tokens")
        size = 0.05 if p.ndim == 1 else 0.1 if embedding else 0.9 if name in WRITERS else 0.25
        with torch.no_grad():
            noise = torch.randn(p.shape, generator=generator)
            p.copy_(1 + 0.25 * noise if p.ndim == 1 and key.endswith("weight") else size * noise)
    if family == "marian":
        model.final_logits_bias.copy_(0.05 * torch.randn(1, VOCAB, generator=generator))
    return model


def ours(name, **options):
    dim = {"dim": 5} if name.startswith("t5") else {}
    return MODELS[name].build(**{**TINY, **dim, **options})


def numpy_of(module):
    return {key: value.detach().numpy().copy() for key, value in module.state_dict().items()}


def read(name, module):
    model = ours(name)
    shapes = shapes_of(model)
    loaded = variables_of(shapes, numpy_of(module), names_of(model, shapes))
    assert loaded.naming == CASES[name][1]
    return model, loaded.variables, names_of(model, shapes)[loaded.naming]


@pytest.fixture(scope="module")
def pairs():
    """name -> (theirs, ours, variables, rules), each made once."""
    made = {}

    def pair(name):
        if name not in made:
            theirs = reference(name)
            made[name] = (theirs, *read(name, theirs))
        return made[name]

    return pair


def outputs(theirs):
    """Logits or hidden states (and what BERT pools), with padding masked."""
    import torch

    inputs = {"input_ids": torch.tensor(TOKENS), "attention_mask": torch.tensor(TOKENS != PAD).long()}
    if theirs.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = torch.tensor(TARGET)
    with torch.no_grad():
        found = theirs(**inputs)
    if "logits" in found:
        return (found.logits.numpy(),)
    return tuple(found[k].numpy() for k in ("last_hidden_state", "pooler_output") if k in found)


@pytest.mark.parity
@pytest.mark.programs(30, "Marian's table of sines is made by the library, operation by operation")
@pytest.mark.parametrize("name", CASES)
def test_same_numbers_and_back(pairs, name):
    import torch

    theirs, model, variables, rules = pairs(name)
    back = to_tensors(variables, rules)
    for key, value in numpy_of(theirs).items():  # every tensor of the file, tied and computed ones included
        atol = 3e-5 if "embed_positions" in key else 0  # sines of 512, there in float64
        np.testing.assert_allclose(back[key], value, rtol=0, atol=atol, err_msg=key)
    theirs.load_state_dict({k: torch.tensor(v) for k, v in back.items()}, strict=True)
    inputs = (TOKENS, TARGET, LENGTHS) if theirs.config.is_encoder_decoder else (TOKENS, LENGTHS)
    actual = one_program(partial(model.apply, train=False), variables, *inputs)
    expected = outputs(theirs)
    seen = np.ones(TOKENS.shape, bool) if theirs.config.is_encoder_decoder else np.asarray(TOKENS != PAD)
    for a, b in zip(actual if isinstance(actual, tuple) else (actual,), expected, strict=True):
        if a.shape[:2] == seen.shape:
            a, b = np.asarray(a)[seen], b[seen]
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * max(1.0, np.abs(b).max()), err_msg=name)


# -- writing ----------------------------------------------------------------------------------------------------------

STEPS = 9


def continued(theirs, **options):
    """What `generate` of transformers writes behind the prompts, without the prompt or start token; pads after the end."""
    import torch

    text = theirs.config.is_encoder_decoder
    tokens = TOKENS if text else np.stack([np.roll(row, 7 - n) for row, n in zip(TOKENS, LENGTHS, strict=True)])
    with torch.no_grad():
        found = theirs.generate(
            torch.tensor(tokens),
            attention_mask=torch.tensor(tokens != PAD).long(),  # a decoder's prompts are padded on the left there
            max_new_tokens=STEPS,
            min_new_tokens=0,
            do_sample=False,
            pad_token_id=PAD,
            eos_token_id=END,
            **options,
        ).numpy()
    found = found[:, 1 if text else 7 :]
    found = np.pad(found, ((0, 0), (0, STEPS - found.shape[1])), constant_values=PAD)
    ended = np.cumsum(found == END, 1) - (found == END) > 0
    return np.where(ended, PAD, found)  # beam search there fills up with the end token where padding is 0


def written(search, theirs, model, variables):
    """What a search writes, compiled with the first cache and what stands in it: the source and a start token, or a prompt."""

    def run(variables, tokens, lengths):
        if theirs.config.is_encoder_decoder:
            cache = model.apply(variables, tokens, STEPS + 1, lengths, method="start")
            return search(variables["params"], cache, jnp.full((2, 1), PAD), None).tokens
        return search(variables["params"], model.start(2, 7 + STEPS), tokens, lengths).tokens

    return one_program(run, variables, TOKENS, LENGTHS)


@pytest.mark.parity
@pytest.mark.parametrize("name", WRITERS)
def test_same_greedy_text(pairs, name):
    theirs, model, variables, _ = pairs(name)
    found = written(partial(generate, step_of(model), steps=STEPS, end=END, pad=PAD), theirs, model, variables)
    expected = continued(theirs)
    assert len(np.unique(expected)) > 2, "a text of one token would be equal too easily"
    np.testing.assert_array_equal(found, expected)


BEAMED = [(name, alpha) for name in (*WRITERS, "t5_v1_1_small") for alpha in (0.0, 1.0)]
QUICK = {("gpt2", 1.0)}


@pytest.mark.programs(30, "a converted model's weights are placed one by one")
@pytest.mark.parametrize(
    ("name", "alpha"),
    [pytest.param(*case, marks=pytest.mark.parity if case in QUICK else pytest.mark.night) for case in BEAMED],
)
def test_same_text_of_four_beams(pairs, name, alpha):
    """transformers divides by the number of tokens to the power alpha; "never" is the bound that our search stops at."""
    theirs, model, variables, _ = pairs(name)
    penalty = lambda n: n**alpha
    search = partial(beam_search, step_of(model), steps=STEPS, end=END, pad=PAD, beams=4, penalty=penalty)
    found = written(search, theirs, model, variables)
    expected = continued(theirs, num_beams=4, length_penalty=alpha, early_stopping="never")
    np.testing.assert_array_equal(found[:, 0], expected)
