"""Tensor parallelism of Transformers: path rules for `Experiment.rules`, used by a mesh with an axis `model`.

    queries, keys, values, MLP in      by columns    each device holds some heads and some hidden channels
    attention out, MLP out             by rows       partial sums are added over the devices, twice per block
    embedding and output               by tokens     if the number of devices divides the number of tokens

Source: Shoeybi et al. 2019, arXiv:1909.08053, section 3; activations between them are split along time (Korthikanti et al. 2022,
arXiv:2205.05198), see `jaxdl.tracing.along_time`.
"""

from typing import Any

from jaxdl.models.speech import Conformer
from jaxdl.models.vit import ViT
from jaxdl.types import UserError

Rules = tuple[tuple[str, tuple[str | None, ...]], ...]
COLUMNS, ROWS = (None, "model"), ("model", None)


def rules(model: Any) -> Rules:
    """Path rules of a model made from a `Config`, of a `ViT`, or of a `Conformer` (whose convolutions are not split).

    The numbers of heads and of hidden channels must be multiples of the number of devices along `model`. Raises UserError for
    other models.
    """
    if isinstance(model, ViT):
        return (*_attention(True), *_mlp("feed_forward/dense1", "feed_forward/dense2", True))
    if isinstance(getattr(model, "encoder", model), Conformer):
        return (*_attention(True), *_mlp("(first|second)/expand", "(first|second)/reduce", True))
    config = getattr(model, "config", None)
    if config is None:
        raise UserError(
            f"{type(model).__name__} has no path rules: take a Transformer, a ViT or a Conformer, or write rules"
        )
    up = "mlp/(up|gate)" if config.gate else "mlp/up"
    found = [*_attention(config.use_bias), *_mlp(up, "mlp/down", config.use_bias)]
    found.append((r"embed/embedding$", ("model?", None)))
    if not config.tied:
        found.append((r"head/dense/kernel$", (None, "model?")))
    return tuple(found)


def _attention(bias: bool) -> Rules:
    biases = ((r"attention/(query|key|value)/bias$", ("model",)),) if bias else ()
    return ((r"attention/(query|key|value)/kernel$", COLUMNS), (r"attention/out/kernel$", ROWS), *biases)


def _mlp(up: str, down: str, bias: bool) -> Rules:
    biases = ((rf"{up}/bias$", ("model",)),) if bias else ()
    return ((rf"{up}/kernel$", COLUMNS), (rf"{down}/kernel$", ROWS), *biases)
