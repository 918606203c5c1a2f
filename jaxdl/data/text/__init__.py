"""Text: tokenizers, token windows for language models, labelled texts, pairs of sentences."""

from jaxdl.data.text.language import (
    Stream,
    Text,
    TokenShards,
    TokenWindows,
    cut,
    divide,
    documents,
    pack,
    python_topics,
    read_any_text,
    shards,
    windows,
)

__all__ = ["Stream", "Text", "TokenShards", "TokenWindows", "cut", "divide", "documents", "pack", "python_topics"]
__all__ += ["read_any_text", "shards", "windows"]
