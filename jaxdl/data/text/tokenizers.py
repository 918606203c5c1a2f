"""Tokenizers: text to numbers and back. Characters, bytes, words and BPE behind one small protocol, kept with the run.

    tokenizer = kept("tokenizer", lambda: Words.of(lines, size=10_000))      a run that is loaded gets its own

The tokenizers are in `symbols.py` and `bpe.py`; here is how they are saved, and what a report says of them.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.data.text.bpe import BPE, HuggingFace
from jaxdl.data.text.symbols import (
    END,
    PAD,
    SPECIALS,
    START,
    UNKNOWN,
    Bytes,
    Characters,
    Parts,
    Tokenizer,
    Tokens,
    Words,
    named,
)
from jaxdl.types import UserError

__all__ = [
    "BPE",
    "END",
    "PAD",
    "SPECIALS",
    "START",
    "UNKNOWN",
    "Bytes",
    "Characters",
    "HuggingFace",
    "Parts",
    "Tokenizer",
]
__all__ += ["Tokens", "Words", "at_home", "from_json", "home", "kept", "load_tokenizer", "named", "save", "summary"]

KINDS = {tokenizer.kind: tokenizer for tokenizer in (Characters, Words, Parts, Bytes, BPE, HuggingFace)}


def from_json(entry: dict[str, Any]) -> Tokenizer:
    """The tokenizer that `to_json` described.

    >>> from_json(Bytes(("<pad>",)).to_json())
    Bytes(specials=('<pad>',))
    """
    entry = {name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()}
    kind = entry.pop("kind", None)
    if kind not in KINDS:
        raise UserError(f"kind = {kind!r} is no tokenizer: take one of {', '.join(KINDS)}")
    return KINDS[kind](**{**KINDS[kind].earlier, **entry})


def save(tokenizer: Tokenizer, path: str | Path) -> None:
    Path(path).write_text(json.dumps(tokenizer.to_json(), ensure_ascii=False) + "\n", encoding="utf-8")


def load_tokenizer(path: str | Path) -> Tokenizer:
    """What `save` wrote; FileNotFoundError or a ValueError that begins with the path."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        return from_json(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: is not a saved tokenizer ({' '.join(str(error).split())})") from None


_home: ContextVar[Path | None] = ContextVar("home", default=None)


def home() -> Path | None:
    """The run folder whose experiment is being built again, if one is."""
    return _home.get()


@contextmanager
def at_home(folder: str | Path | None) -> Iterator[None]:
    """Inside this block `kept` loads from a run folder what the run was trained with."""
    token = _home.set(None if folder is None else Path(folder))
    try:
        yield
    finally:
        _home.reset(token)


def kept(name: str, make: Callable[[], Any]) -> Any:
    """RUN/<name>.json where a run is loaded or resumed, else what `make` gives.

    A new run writes every tokenizer of its data (`data.tokenizers`, a dictionary name -> tokenizer) into its folder, so that it
    reads its prompts with the vocabulary it learned, whatever became of the text.
    """
    path = None if home() is None else home() / f"{name}.json"
    return make() if path is None or not path.is_file() else load_tokenizer(path)


def summary(tokenizer: Tokenizer, rows: Sequence[Tokens], *, of: str = "", characters: int = 0) -> str:
    """What a report says of texts that became tokens: the vocabulary, the share of `<unk>`, and lengths.

    Args:
        rows: the tokens of each text.
        of: what the rows are called; "": their lengths say nothing.
        characters: of all texts together; 0: not told.

    >>> summary(Bytes(), [Bytes().encode(text) for text in ("abc", "é", "a")], of="texts", characters=5)
    'vocabulary 256, 0.83 characters a token; 3 texts of 1 to 3 tokens, median 2'
    """
    lengths = np.array([len(row) for row in rows])
    total = max(int(lengths.sum()), 1)
    said = f"vocabulary {tokenizer.size:,}"
    if characters:
        said += f", {characters / total:.2f} characters a token"
    if tokenizer.unknown is not None:
        said += f", {100 * sum(np.count_nonzero(row == tokenizer.unknown) for row in rows) / total:.2g} % unknown"
    if of:
        said += f"; {len(rows):,} {of} of {lengths.min()} to {lengths.max()} tokens, median {np.median(lengths):g}"
    return said
