"""Text: tokenizers, token windows for language models, labelled texts, pairs of sentences."""

from jaxdl.data.text.language import (
    Stream,
    Text,
    TokenWindows,
    cut,
    divide,
    documents,
    pack,
    python_topics,
    read_any_text,
    windows,
)

__all__ = [
    "Stream",
    "Text",
    "TokenWindows",
    "cut",
    "divide",
    "documents",
    "pack",
    "python_topics",
    "read_any_text",
    "windows",
]
