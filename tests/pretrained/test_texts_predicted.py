"""`predict DIR lines.txt` with imported text models: classes, embeddings and answers are those of transformers."""

import json

import numpy as np
import pytest

from jaxdl.__main__ import main
from jaxdl.pretrained.folder import open_weights
from jaxdl.pretrained.text_settings import TextSettings
from tests.pretrained.test_named_by_config import BERT, DISTILBERT, MARIAN, T5, transformer

LINES = ["the cat sat on the mat", "a rat", "on the mat the rat sat the cat", "the rat sat on a cat a mat"]
WORDS = [*sorted({word for line in LINES for word in line.split()}), *(f"word{i}" for i in range(20))]
PAD, END, UNKNOWN, FIRST = 0, 1, 2, 3
FRAME = "[CLS] $A [SEP]"
SPECIALS = {"[PAD]": PAD, "[SEP]": END, "[UNK]": UNKNOWN, "[CLS]": FIRST}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.parity,
    pytest.mark.programs(60, "each array of a file is put on the device by itself"),
]


def tokenizer(frame):
    """transformers' tokenizer of words, whose file puts `frame` around a text."""
    package, transformers = pytest.importorskip("tokenizers"), pytest.importorskip("transformers")
    vocab = {**SPECIALS, **{word: i for i, word in enumerate(WORDS, len(SPECIALS))}}
    made = package.Tokenizer(package.models.WordLevel(vocab, unk_token="[UNK]"))
    made.pre_tokenizer = package.pre_tokenizers.WhitespaceSplit()
    tokens = [(token, number) for token, number in SPECIALS.items() if token in frame]
    made.post_processor = package.processors.TemplateProcessing(single=frame, special_tokens=tokens)
    names = {
        "pad_token": "[PAD]",
        "eos_token": "[SEP]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
    }
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, **names)


def randomised(kind, config, embedding=0.1, kernel=0.5):
    """A model of transformers whose outputs differ from text to text."""
    torch = pytest.importorskip("torch")
    model, generator = transformer(kind, {"pad_token_id": PAD, **config}), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.ndim > 1 and "embed_positions" not in name:
                table = "embed" in name or "shared" in name
                p.copy_((embedding if table else kernel) * torch.randn(p.shape, generator=generator))
            elif name.endswith("bias"):
                p.mul_(0.2)
    return model


def asked(model, tokens, folder, capsys, *flags):
    """The inputs of transformers' model, and what the command says of the same lines."""
    model.save_pretrained(folder / "hub")
    tokens.save_pretrained(folder / "hub")
    (folder / "lines.txt").write_text("\n".join(LINES) + "\n", encoding="utf-8")
    assert main(["import-weights", str(folder / "hub"), "-o", str(folder / "out")]) == 0
    capsys.readouterr()
    code = main(["predict", str(folder / "out"), str(folder / "lines.txt"), "--json", *flags])
    said = capsys.readouterr()
    assert code == 0, said.err
    inputs = {
        name: x for name, x in tokens(LINES, padding=True, return_tensors="pt").items() if name != "token_type_ids"
    }
    assert (inputs["attention_mask"] == 0).any(), "lines of different lengths"
    return inputs, [json.loads(line) for line in said.out.splitlines()]


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("BertForSequenceClassification", {**BERT, "id2label": {0: "joy", 1: "fear", 2: "none"}}),
        ("DistilBertForSequenceClassification", {**DISTILBERT, "id2label": {0: "bad", 1: "good"}}),
    ],
)
def test_classes_of_lines(kind, config, tmp_path, capsys):
    torch = pytest.importorskip("torch")
    model = randomised(kind, config)
    inputs, rows = asked(model, tokenizer(FRAME), tmp_path, capsys)
    with torch.no_grad():
        theirs = model(**inputs).logits.softmax(-1).numpy()
    assert theirs.std() > 0.05
    np.testing.assert_allclose([row["probability"] for row in rows], theirs, atol=1e-5)
    names = [model.config.id2label[i] for i in theirs.argmax(1)]
    assert [row["top"][0][0] for row in rows] == names
    assert [row["file"].rpartition("/")[2] for row in rows] == [f"lines.txt[{i}]" for i in range(len(LINES))]


@pytest.mark.parametrize(
    ("kind", "config", "pooling"),
    [
        ("BertModel", BERT, None),
        ("BertForQuestionAnswering", BERT, "mean_tokens"),
        ("DistilBertModel", DISTILBERT, "cls_token"),
    ],
)
def test_embeddings_of_lines(kind, config, pooling, tmp_path, capsys):
    """As sentence-transformers makes them: the mean over the tokens, [CLS] and [SEP] included, or [CLS]; then length 1."""
    torch = pytest.importorskip("torch")
    (tmp_path / "hub" / "1_Pooling").mkdir(parents=True)
    if pooling is not None:
        modes = {f"pooling_mode_{mode}": mode == pooling for mode in ("mean_tokens", "cls_token", "max_tokens")}
        (tmp_path / "hub" / "1_Pooling" / "config.json").write_text(json.dumps(modes), encoding="utf-8")
    model = randomised(kind, config)
    inputs, rows = asked(model, tokenizer(FRAME), tmp_path, capsys)
    network = getattr(model, "bert", model)
    with torch.no_grad():
        hidden = network(**inputs).last_hidden_state
    seen = inputs["attention_mask"].unsqueeze(-1)
    pooled = hidden[:, 0] if pooling == "cls_token" else (hidden * seen).sum(1) / seen.sum(1)
    theirs = torch.nn.functional.normalize(pooled, dim=1).numpy()
    rows, pairs = rows[: len(LINES)], rows[len(LINES) :]
    np.testing.assert_allclose([row["embedding"] for row in rows], theirs, atol=1e-5)
    assert len(pairs) == 6
    np.testing.assert_allclose([pair["similarity"] for pair in pairs[:3]], theirs[1:] @ theirs[0], atol=1e-5)


SMALL = {**T5, "vocab_size": len(SPECIALS) + len(WORDS)}
WRITERS = {
    "t5": ("T5ForConditionalGeneration", SMALL),
    "t5 1.1": (
        "T5ForConditionalGeneration",
        {**SMALL, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
    ),
    "marian": ("MarianMTModel", {**MARIAN, "vocab_size": SMALL["vocab_size"], "forced_eos_token_id": None}),
}
FORBIDDEN = len(SPECIALS) + 1


@pytest.mark.parametrize("beams", [None, 3])
@pytest.mark.parametrize("case", WRITERS)
def test_answers_to_lines(case, beams, tmp_path, capsys):
    """Greedy, or a search whose bound is ours ("never"); a token that the files forbid is not written."""
    torch = pytest.importorskip("torch")
    kind, config = WRITERS[case]
    model = randomised(kind, {**config, "decoder_start_token_id": PAD, "eos_token_id": END}, embedding=0.1, kernel=0.9)
    model.generation_config.update(
        decoder_start_token_id=PAD,
        eos_token_id=END,
        pad_token_id=PAD,
        bad_words_ids=None
        if beams
        else [[PAD], [FORBIDDEN]],  # in a search transformers keeps their share of probability
        max_length=9,
        forced_eos_token_id=None,
    )
    tokens = tokenizer("$A [SEP]")
    inputs, rows = asked(model, tokens, tmp_path, capsys, *([] if beams is None else ["--beam", str(beams)]))
    settings = open_weights(tmp_path / "out").settings
    assert settings == TextSettings(begin=(PAD,), end=(END,), never=() if beams else (PAD, FORBIDDEN), longest=9)
    how = {"num_beams": beams, "length_penalty": 1.0, "early_stopping": "never"} if beams else {"num_beams": 1}
    with torch.no_grad():
        written = model.generate(**inputs, do_sample=False, max_new_tokens=9, **how)
    theirs = tokens.batch_decode(written, skip_special_tokens=True)
    assert [row["text"] for row in rows] == theirs
    assert len(set(theirs)) > 1
    assert len({word for text in theirs for word in text.split()}) > 1
