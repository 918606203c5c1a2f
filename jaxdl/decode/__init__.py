"""Writing sequences: greedy, by sampling, by beam search, each one compiled loop. The model arrives as a value, a function

    step(params, cache, tokens, positions) -> logits, cache

    tokens, positions   (batch, n): new tokens, one or many, and where they stand; position -1 is padding
    logits              (batch, n, vocab): of the token after each
    cache               any tree whose leaves have the batch on axis 0: a Transformer's keys and values, an RNN's state. Of a
                        dictionary, what stands under "self" may have `slots`, the most tokens that it holds: this is checked

`step_of(model)` makes it from a module with a method `step(cache, tokens, positions)`; the models' `start` makes the first cache.
`recompute(logits)` makes it from any causal model, without a cache.
"""

from jaxdl.decode.beam import Beams, beam_search, length_penalty
from jaxdl.decode.generate import Generated, generate, recompute, step_of
from jaxdl.decode.pick import Pick, greedy, sample
from jaxdl.decode.stream import stream

__all__ = [
    "Beams",
    "Generated",
    "Pick",
    "beam_search",
    "generate",
    "greedy",
    "length_penalty",
    "recompute",
    "sample",
    "step_of",
    "stream",
]
