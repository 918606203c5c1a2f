"""Data sets: where batches come from.

`vision`, `tabular`, `series`, `text`, `text_classes`, `translation`, `speech`, `spoken`, `identities` and `images` hold ready
ones; arrays of one's own are an `InMemory`; any other set is a subclass of `jaxdl.types.Data`.
"""

from jaxdl.data.source import InMemory

__all__ = ["InMemory"]
