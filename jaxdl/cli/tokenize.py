"""`tokenize FILES -o DIR`: write a corpus as token shards, which language models read while they train."""

import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from jaxdl.cli.options import read_flags
from jaxdl.data.text.tokenizing import tokenize
from jaxdl.data.walker import Note
from jaxdl.types import UserError


@dataclass(frozen=True)
class Options:
    """Write a corpus as token shards, for `jaxdl.data.text.shards(DIR, ...)`.

    A second call goes on where an interrupted one ended, and writes shards that are missing or damaged again.
    """

    files: tyro.conf.Positional[tuple[Path, ...]]
    """Files of text, JSON lines or parquet, also gzipped, or folders of them."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """The folder of the shards: new, or begun by a call with the same files and flags."""
    tokenizer: str = "bpe"
    """bpe, learned from the corpus; bytes; or a file, such as the tokenizer.json of GPT-2."""
    vocab: int = 32768
    """Tokens that bpe learns at most."""
    field: str = "text"
    """The field of JSON lines, or the column of parquet, that holds the text."""
    validation: float = 0.005
    """Share of the documents that are set apart for validation; equal documents stay together."""
    workers: int | None = None
    """Number of processes. None: one for each core. It does not change the result."""


def run(args: Sequence[str]) -> int:
    options = read_flags(Options, args, prog="python -m jaxdl tokenize")
    if not options.files:
        raise UserError("tokenize needs at least one file or folder")
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always", UserWarning)
        manifest = tokenize(
            options.files,
            options.output,
            tokenizer=options.tokenizer,
            vocab=options.vocab,
            field=options.field,
            validation=options.validation,
            workers=options.workers,
            say=lambda line: print(line, file=sys.stderr),
        )
    splits, bits = manifest["splits"], 8 * (2 if manifest["dtype"] == "uint16" else 4)
    if not splits["validation"]["tokens"]:
        warnings.warn(
            f"no document of {splits['train']['documents']:,} is for validation (--validation)", Note, stacklevel=1
        )
    for note in notes:
        print(f"note: {note.message}", file=sys.stderr)
    sizes = " and ".join(f"{splits[split]['tokens']:,} {split}" for split in splits)
    what = f"{len(manifest['shards'])} shards, vocabulary {manifest['vocab']:,}"
    print(f"{options.output}: {sizes} tokens of {bits} bits in {what}")
    return 0
