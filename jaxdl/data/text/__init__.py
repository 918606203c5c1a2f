"""Text: tokenizers, token windows for language models, labelled texts, pairs of sentences."""

from jaxdl.data.text.language import (
    Stream,
    Text,
    TokenWindows,
    divide,
    documents,
    python_topics,
    read_any_text,
    windows,
)
from jaxdl.data.text.rows import cut, pack
from jaxdl.data.text.token_shards import TokenShards, shards

__all__ = ["Stream", "Text", "TokenShards", "TokenWindows", "cut", "divide", "documents", "pack", "python_topics"]
__all__ += ["read_any_text", "shards", "windows"]
