"""How a text model is used, as the files beside its weights say: the tokens of an answer, the pooling of an embedding."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from jaxdl.pretrained.files import config_beside, read_json, reading
from jaxdl.types import UserError


@dataclass(frozen=True)
class TextSettings:
    """Use of a text model.

    Args:
        begin: the tokens with which every answer of an encoder-decoder begins.
        end: the tokens that end an answer.
        never: tokens that no answer holds.
        longest: most tokens of an answer.
        pooling: how the hidden states of a text become one vector: their mean, or the state of the first token.
    """

    begin: tuple[int, ...] = ()
    end: tuple[int, ...] = ()
    never: tuple[int, ...] = ()
    longest: int = 256
    pooling: Literal["mean", "first"] = "mean"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> "TextSettings":
        return TextSettings(**{key: tuple(v) if isinstance(v, list) else v for key, v in values.items()})


def text_settings_beside(path: str | Path) -> TextSettings:
    """Read config.json, generation_config.json and sentence-transformers' files beside weights; defaults for what is not said."""
    file = config_beside(path)
    config = {**_read(file), **_read(file.with_name("generation_config.json"))}
    with reading(file):
        begin = (config.get("decoder_start_token_id"), config.get("forced_bos_token_id"))
        never = [words[0] for words in config.get("bad_words_ids") or () if len(words) == 1]
        return TextSettings(
            begin=tuple(int(token) for token in begin if token is not None),
            end=_tokens(config.get("eos_token_id")),
            never=tuple(map(int, never)),
            longest=int(config.get("max_new_tokens") or config.get("max_length") or TextSettings.longest),
            pooling=_pooling(file.parent),
        )


def _pooling(folder: Path) -> Literal["mean", "first"]:
    """What sentence-transformers' files say; the mean without them. Raises UserError for a part that is not here."""
    modules = folder / "modules.json"
    if modules.is_file():
        with reading(modules):
            kinds = [str(module["type"]).rpartition(".")[2] for module in read_json(modules, list)]
        if other := sorted({*kinds} - {"Transformer", "Pooling", "Normalize"}):
            raise UserError(f"{modules} names a part of type {other[0]}, which is not known here")
    file = folder / "1_Pooling" / "config.json"
    with reading(file):
        config = _read(file)
        modes = {
            name.removeprefix("pooling_mode_")
            for name, on in config.items()
            if name[:13] == "pooling_mode_" and on is True
        }
        modes |= {str(config["pooling_mode"])} if "pooling_mode" in config else set()
        mode = modes.pop() if len(modes) == 1 else "mean_tokens" if not modes else ", ".join(sorted(modes))
        known = {"mean_tokens": "mean", "mean": "mean", "cls_token": "first", "cls": "first"}
        if mode not in known:
            raise UserError(f"{file} says pooling by {mode}: known are mean_tokens and cls_token")
        return known[mode]


def _tokens(value: Any) -> tuple[int, ...]:
    return () if value is None else tuple(map(int, value)) if isinstance(value, list) else (int(value),)


def _read(file: Path) -> dict[str, Any]:
    return read_json(file) if file.is_file() else {}
