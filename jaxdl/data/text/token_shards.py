"""Language models on corpora larger than memory: windows of token shards, read while training, chosen by position alone.

    data = shards("tokens", batch=8, context=1024)          `python -m jaxdl tokenize FILES -o tokens` wrote them

The shards are one long sequence. An epoch cuts it into windows of `context` tokens, beginning at an offset of its own, and reads
them in a keyed order; which window is row r of step t is a function of (seed, t), so a run resumes by its step number. Files are
read by `read`, not mapped: a mapped file that loses its end kills the process without a word, and what was read of it counts as
memory of the process.
"""

import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from jaxdl.counts import check_counts
from jaxdl.data.arrays import check_batch
from jaxdl.data.files import read_npy
from jaxdl.data.order import permute
from jaxdl.data.text.rows import IGNORE
from jaxdl.data.text.shard_files import Tokens, check_shards, read_manifest
from jaxdl.data.text.tokenizers import Tokenizer, kept, load_tokenizer
from jaxdl.types import Batch, Data, UserError

SOURCE = 1 << 21
"""Tokens that one source holds, about."""
SHOWN = 64
"""Rows of a split that are looked at before training."""


@dataclass(frozen=True, eq=False)
class TokenShards(Data):
    """Windows of token shards. Every row has `x` and `y` `(time,)` and `characters`, as in `language`.

    Args:
        tokens: "train" and possibly "validation" -> the tokens on disk.
        batch: rows in a step.
        context: tokens in a row.
        end: the token that ends a document; None: nothing does.
        segments: give the documents of a row `segments` and `positions` of their own, so that none sees another (`pack`); else
            a row is one sequence, as GPT-2 reads it.
        eval_rows: evaluate this many windows, evenly spread; None: all, each target once.
        per_token: characters that a token stands for, by split.
        checksums: of the shards.
        window: steps that one source serves. Not part of the result.
    """

    tokens: Mapping[str, Tokens]
    batch: int
    context: int
    end: int | None
    segments: bool
    eval_rows: int | None
    per_token: Mapping[str, float]
    checksums: int
    window: int
    tokenizer: Tokenizer
    name: str = ""
    split: str = ""
    resident: bool = field(default=False, init=False)
    by_row: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        check_counts(context=self.context, eval_rows=self.eval_rows, window=self.window)
        for split, tokens in self.tokens.items():
            if len(tokens) < (least := 2 * self.context if split == "train" else 2):
                raise UserError(
                    f"{self.name}: {len(tokens)} {split} tokens are too few, context = {self.context} needs {least}"
                )
        check_batch(self)

    @property
    def tokenizers(self) -> Mapping[str, Tokenizer]:
        """What the run keeps in its folder."""
        return {"tokenizer": self.tokenizer}

    def _windows(self, split: str) -> int:
        """All windows of a split; in training there is one more, of which the offset of an epoch takes a part."""
        tokens = len(self.tokens[split])
        return tokens // self.context - 1 if split == "train" else -(-(tokens - 1) // self.context)

    def size(self, split: str) -> int:
        """Number of windows of a split that are read."""
        if split not in self.tokens:
            raise UserError(f"split = {split!r} is not one of {', '.join(self.tokens)}")
        return min(self._windows(split), (split != "train" and self.eval_rows) or self._windows(split))

    @cached_property
    def splits(self) -> Mapping[str, Mapping[str, np.ndarray]]:
        """The targets of some evenly spread windows of each split; all others stay on disk."""
        some = {split: np.arange(min(SHOWN, n := self._windows(split))) * n // min(SHOWN, n) for split in self.tokens}
        return {split: {"y": self._read(split, rows)["tokens"][:, 1:].astype(np.int32)} for split, rows in some.items()}

    def fingerprint(self) -> str:
        return f"{self.checksums:08x}"

    # -- training -----------------------------------------------------------------------------------------------------
    def starts(self, seed: int, first: int, stop: int) -> Int[np.ndarray, "draws batch"]:
        """Where the windows of draws `first` … `stop`-1 begin in the training tokens."""
        size = self.size("train")
        epoch, position = np.divmod(np.arange(first * self.batch, stop * self.batch), size)
        windows = permute(seed, epoch, position, size).astype(np.int64)
        starts = windows * self.context + permute(seed, epoch, np.zeros_like(position), self.context)
        return starts.reshape(-1, self.batch)

    def span(self, draw: int) -> int:
        return self.window - draw % self.window

    def source(self, start: int, stop: int, seed: int) -> Mapping[str, np.ndarray]:
        """The windows of draws `start` … `stop`-1; a draw has the slot of its number modulo `window`, the others are zero."""
        if stop - start > self.span(start):
            raise UserError(f"draws {start} … {stop - 1} pass the window of {self.window}: ask `span` first")
        source, starts = self.blank_source(), self.starts(seed, start, stop).reshape(-1)
        rows = self.tokens["train"].read(starts, np.full(len(starts), self.context + 1), self.context + 1)
        slots = slice(start % self.window, start % self.window + stop - start)
        source["tokens"][slots] = rows.reshape(-1, self.batch, self.context + 1)
        return source

    def blank_source(self) -> dict[str, np.ndarray]:
        """A source of zeros: its shapes, without reading anything."""
        return {"tokens": np.zeros((self.window, self.batch, self.context + 1), self.tokens["train"].dtype)}

    def train_batch(self, source: Mapping[str, Array], seed: Any, draw: Any) -> Batch:
        """The raw batch of a draw, picked inside the compiled program."""
        rows = jnp.take(source["tokens"], draw % self.window, axis=0)
        return self._batch(rows, jnp.full(self.batch, self.context), jnp.float32(self.per_token["train"]))

    def _batch(self, rows: Int[Array, "batch time_and_one"], lengths: Int[Array, "batch"], per_token: Array) -> Batch:
        x, y = rows[:, :-1].astype(jnp.int32), rows[:, 1:].astype(jnp.int32)
        place = jnp.broadcast_to(jnp.arange(self.context, dtype=jnp.int32), x.shape)
        real = place < lengths[:, None]
        y, more = jnp.where(real, y, IGNORE), {}
        if self.segments:
            ends = x == self.end
            number = jnp.cumsum(ends, axis=1, dtype=jnp.int32) - ends + 1
            first = jnp.pad(ends, ((0, 0), (1, 0)))[:, :-1] | (place == 0)
            y = jnp.where(ends, IGNORE, y)
            positions = place - jax.lax.cummax(jnp.where(first, place, 0), axis=1)
            more = {"segments": jnp.where(real, number, 0), "positions": positions}
        counted = (y != IGNORE).sum(1) * per_token
        return {"x": x, "y": y, **more, "characters": counted, "mask": (lengths > 0).astype(jnp.float32)}

    def example(self) -> Batch:
        """One raw batch of zeros, for shapes."""
        names = ("x", "y", "segments", "positions") if self.segments else ("x", "y")
        zeros = {name: np.zeros((self.batch, self.context), np.int32) for name in names}
        return {**zeros, "characters": np.zeros(self.batch, np.float32), "mask": np.ones(self.batch, np.float32)}

    # -- evaluation ---------------------------------------------------------------------------------------------------
    def _read(self, split: str, windows: Int[np.ndarray, "n"]) -> dict[str, np.ndarray]:
        """Windows by their numbers, from the beginning of the split on."""
        starts = windows.astype(np.int64) * self.context
        lengths = np.minimum(self.context, len(self.tokens[split]) - 1 - starts)
        per_token = np.full(len(windows), self.per_token[split], np.float32)
        tokens = self.tokens[split].read(starts, lengths + 1, self.context + 1)
        return {"tokens": tokens, "lengths": lengths.astype(np.int32), "per_token": per_token}

    def eval_sources(self, split: str) -> Iterator[tuple[int, Mapping[str, np.ndarray]]]:
        """(1, one batch) after another; without `eval_rows` every token but the first is a target once."""
        size, windows = self.size(split), self._windows(split)
        for first in range(0, size, self.batch):
            found = self._read(split, np.arange(first, min(first + self.batch, size)) * windows // size)
            missing = self.batch - len(found["lengths"])
            yield 1, {name: np.pad(a, ((0, missing), *[(0, 0)] * (a.ndim - 1)))[None] for name, a in found.items()}

    def eval_batch(self, source: Mapping[str, Array], index: Any) -> Batch:
        """Batch `index` of a source, with its mask."""
        return self._batch(*(source[name][index] for name in ("tokens", "lengths", "per_token")))

    # -- prediction ---------------------------------------------------------------------------------------------------
    def read(self, path: str | Path) -> dict[str, np.ndarray]:
        """Tokens in an npy file, as inputs to predict for."""
        if Path(path).suffix != ".npy":
            raise UserError(f"{path}: expected tokens as npy or npz, got {Path(path).suffix or 'no suffix'!r}")
        return {"x": np.asarray(read_npy(path))}

    def close(self) -> None:
        """Close the files; they are opened again when they are needed."""
        for tokens in self.tokens.values():
            tokens.close()


def shards(
    folder: str | Path,
    *,
    batch: int,
    context: int = 1024,
    segments: bool = False,
    eval_rows: int | None = None,
    check: bool = True,
    name: str = "",
) -> TokenShards:
    """A corpus that `python -m jaxdl tokenize` wrote, read while training.

    Args:
        folder: with manifest.json and the shards.
        batch, context: rows of a step, tokens of a row.
        segments: documents of a row do not see each other.
        eval_rows: windows of the validation split that an evaluation reads, evenly spread; None: all.
        check: compare the checksum of every shard once a process (about a second for each GB).
        name: what the report calls the set; "": the folder's name.

    Errors: UserError for a corpus that is not complete or damaged, or has too few tokens.
    """
    path = Path(folder).expanduser()
    if not (path / "manifest.json").is_file():
        begun = (path / "plan.json").is_file()
        why = "is not complete: call tokenize again" if begun else "holds no manifest.json: write it with"
        raise FileNotFoundError(f"{path}: {why} (python -m jaxdl tokenize FILES -o {path})")
    stamp = (path / "manifest.json").stat().st_mtime_ns
    own = kept("tokenizer", lambda: None)
    check_counts(batch=batch, context=context)
    return _shards(path, (stamp, own), batch, context, segments, eval_rows, check, name)


@cache
def _shards(
    path: Path, stamp: Any, batch: int, context: int, segments: bool, eval_rows: int | None, check: bool, name: str
) -> TokenShards:
    manifest = read_manifest(path, stamp[0])
    if check:
        check_shards(path, stamp[0])
    tokens = {}
    for split, about in manifest["splits"].items():
        listed = [shard for shard in manifest["shards"] if shard["split"] == split]
        counts = [shard["tokens"] for shard in listed]
        if about["tokens"]:
            paths = [path / shard["file"] for shard in listed]
            tokens[split] = Tokens(paths, counts, np.dtype(manifest["dtype"]).newbyteorder("<"), manifest["vocab"])
    if segments and manifest["end"] is None:
        raise UserError(f"{path}: segments = True needs a tokenizer with an end token, such as </s> or <|endoftext|>")
    splits = manifest["splits"]
    sizes = " / ".join(f"{splits[split]['tokens']:,} {split}" for split in tokens)
    made = f"{sizes} tokens of {splits['train']['documents']:,} training documents, by their checksums"
    seen = "; evaluated in windows of {context}" + ("" if eval_rows is None else f", {eval_rows} evenly spread ones")
    return TokenShards(
        tokens,
        batch,
        context,
        manifest["end"],
        segments,
        eval_rows,
        {split: splits[split]["characters"] / splits[split]["tokens"] for split in tokens},
        zlib.crc32(json.dumps([shard["crc32"] for shard in manifest["shards"]]).encode()),
        max(1, min(64, SOURCE // (batch * (context + 1)))),
        kept("tokenizer", lambda: load_tokenizer(path / "tokenizer.json")),
        name=name or path.resolve().name,
        split=made + seen.format(context=context) + f"; vocabulary {manifest['vocab']:,}",
    )
