"""English number words into French, from 1,000 pairs: an LSTM with and without attention, and a Transformer.

`experiments/number_words.py` with 20 epochs instead of 10; its learning rate was not tuned again. Exact match of whole words on
the 1,000 held-out numbers. Without attention the decoder gets the last states of the encoder only. A seed draws the
initialization, the order and the dropout; the split is the same.
"""

from dataclasses import replace
from typing import Literal

from jaxdl import Experiment
from jaxdl.experiment import load_config
from jaxdl.runs.claims import Comparison, Study, trained

number_words = load_config("number_words")


def config(
    *, model: Literal["recurrent", "transformer"] = "recurrent", attend: bool = True, numbers: int = 1000, seed: int = 0
) -> Experiment:
    """Number words, with or without the attention of the decoder."""
    made = number_words(model=model, language="fr", numbers=numbers, epochs=20, seed=seed)
    if attend:
        return made
    return replace(made, task=replace(made.task, model=made.task.model.clone(alignment=None), attention=False))


ATTEND, LANGUAGE = "a decoder that attends to the encoder helps", "Transformers suit translation"
study = Study(
    measure=trained(config, "exact_match"),
    settings={
        "LSTM with attention": {},
        "LSTM without attention": {"attend": False},
        "Transformer": {"model": "transformer"},
    },
    comparisons=(
        Comparison("C64", ATTEND, "LSTM with attention", "LSTM without attention", 0.02),
        Comparison("C9", LANGUAGE, "Transformer", "LSTM without attention", 0.02, "against an LSTM without attention"),
        Comparison("C9", LANGUAGE, "Transformer", "LSTM with attention", 0.02, "against an LSTM with attention"),
    ),
    unit="exact match",
)
