"""A Transformer of one block and a tokenizer that was learned from its text; `weights` begins from imported ones."""

from jaxdl import Experiment, main
from jaxdl.data import text as texts
from jaxdl.data.tokenizers import BPE, kept
from jaxdl.models.catalog import MODELS
from jaxdl.optim import adamw
from jaxdl.tasks.language import NextToken

TEXT = "the cat sat on the mat. the dog sat on the log. a cat and a dog met on the mat. " * 12
SIZES = {"width": 8, "depth": 1, "heads": 2, "hidden": 16, "length": 16}


def config(*, weights: str | None = None, lr: float = 0.01, steps: int = 20, seed: int = 0) -> Experiment:
    """The next token of a text of two sentences.

    Args:
        weights: a folder of imported weights to begin with.
        lr: learning rate.
        steps: updates.
        seed: of everything random.
    """
    tokenizer = kept("tokenizer", lambda: BPE.of(TEXT, size=270))
    return Experiment(
        data=texts.windows(TEXT, tokenizer, batch=8, context=12, name="two sentences"),
        task=NextToken(model=MODELS["gpt2"].build(vocab=tokenizer.size, **SIZES)),
        optimizer=adamw(lr),
        steps=steps,
        eval_every=20,
        init_from=weights,
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
