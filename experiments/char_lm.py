"""A small language model (GPT, LSTM or GRU) that learns to write from any text file, character by character.

Source: Karpathy 2022, nanoGPT's settings for a CPU (4 layers, 4 heads, width 128, context 64, batch 12, 2,000 steps).
Run:    python -m experiments.char_lm [--text FILE]; then python -m jaxdl generate RUN --prompt "The "
Cost:   PyTorch and jaxdl side by side on one busy core of a 2-core x86 CPU: 0.56 (0.54 to 0.58) of the time of nanoGPT's step
        (`benchmarks/char_lm.py`); 2,000 steps took 150 s on two cores shared with other work.
Expect: nats a character over the whole validation text (its last tenth, non-overlapping windows of 64), mean ± standard
        deviation over seeds 0-2, for Shakespeare (Karpathy's input.txt, 65 characters):

    --lr 2e-3                 1.808 ± 0.006      (default)
    --lr 1e-3                 1.906 ± 0.009      nanoGPT's rate; published for such a run: about 1.88, on random windows
    --model gru --depth 2     1.816 ± 0.018      (seeds 0 and 1; width 128, default rate)
    --model lstm --depth 2    2.069 ± 0.019      (the same)
    counting, one character before it: 2.486; four before it (interpolated, Witten and Bell): 1.669

The default text, the topics of Python 3.11's `help()` (103 characters): 1.355 (seed 0 alone); counting gives 2.318 and 1.320.
A model this small, after 2,000 steps, does not match tables of counts. More steps were not measured.
"""

from functools import partial
from typing import Literal

from jaxdl import Experiment, main
from jaxdl.data import text as texts
from jaxdl.data.text.tokenizers import BPE, Bytes, Characters, Tokenizer, kept
from jaxdl.layers.position import ALiBi, Learned, Rotary
from jaxdl.layers.recurrent import GRU, LSTM, Recurrent
from jaxdl.models.rnn import LanguageModel
from jaxdl.models.transformer import Decoder
from jaxdl.models.transformer_rules import rules
from jaxdl.models.transformer_sizes import nanogpt
from jaxdl.optim import adamw, clip, compose, schedules
from jaxdl.tasks.language import NextToken

POSITIONS = {
    "learned": lambda context: {"position": partial(Learned, context)},
    "rotary": lambda context: {"position": None, "relative": Rotary},
    "alibi": lambda context: {"position": None, "relative": ALiBi},
    "none": lambda context: {"position": None},
}


def config(
    *,
    text: str = "",
    model: Literal["transformer", "lstm", "gru"] = "transformer",
    tokens: Literal["characters", "bytes", "bpe"] = "characters",
    vocab: int = 512,
    steps: int = 2000,
    batch: int = 12,
    context: int = 64,
    width: int = 128,
    depth: int = 4,
    heads: int = 4,
    positions: Literal["learned", "rotary", "alibi", "none"] = "learned",
    rate: float | None = None,
    lr: float = 2e-3,
    decay: float = 0.1,
    smoothing: float = 0.0,
    seed: int = 0,
) -> Experiment:
    """Next-token prediction on a text file.

    Args:
        text: a text file in UTF-8; without one, the help topics of Python's `help()`.
        model: a Transformer that sees `context` tokens, or a recurrent network that carries its state from step to step.
        tokens: kind of token.
        vocab: vocabulary size of `--tokens bpe`.
        steps: updates.
        batch: rows per step.
        context: tokens in a row.
        width: channels.
        depth: blocks, or recurrent layers.
        heads: number of attention heads.
        positions: position encoding of the Transformer.
        rate: dropout; 0 draws none, which halves the time of a step.
        lr: peak learning rate, after 100 steps of warm-up and before a cosine to a tenth of it.
        decay: decoupled weight decay of matrices.
        smoothing: label smoothing.
        seed: random seed of the initialization, the windows and the dropout.
    """
    name, content = (text, texts.read_any_text(text)) if text else ("Python's help topics", texts.python_topics())
    tokenizer = kept("tokenizer", lambda: learned(tokens, content, vocab))
    data = texts.windows(content, tokenizer, batch=batch, context=context, contiguous=model != "transformer", name=name)
    dropped = 0.0 if rate is None else rate
    if model == "transformer":
        sizes = {"width": width, "depth": depth, "heads": heads, "hidden": 4 * width}
        rates = {"rate": dropped, "attention_rate": dropped}
        net = Decoder(nanogpt("cpu", vocab=tokenizer.size, **sizes, **rates, **POSITIONS[positions](context)))
    else:
        cell = {"lstm": LSTM, "gru": GRU}[model](width)
        core = Recurrent(cell, layers=depth, rate=dropped)
        net = LanguageModel(tokenizer.size, width, core, rate=dropped, stateful=True)
    schedule = schedules.warmup_cosine(peak=lr, steps=steps, warmup=min(100, steps // 2), end=lr / 10)
    return Experiment(
        data=data,
        task=NextToken(model=net, smoothing=smoothing),
        optimizer=compose(clip(norm=1.0), adamw(schedule, b2=0.99, decay=decay)),
        steps=steps,
        eval_every=max(1, steps // 8),
        seed=seed,
        rules=rules(net) if model == "transformer" else (),
    )


def learned(tokens: str, content: str, vocab: int) -> Tokenizer:
    """A tokenizer of this kind for a text; BPE learns from the part that is trained on."""
    if tokens == "characters":
        return Characters.of(content)
    return Bytes() if tokens == "bytes" else BPE.of(texts.divide(content)["train"], size=vocab)


if __name__ == "__main__":
    main(config)
