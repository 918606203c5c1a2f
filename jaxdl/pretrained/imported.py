"""Imported weights with their model, ready to predict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxdl.data.text.tokenizers import HuggingFace
from jaxdl.pretrained.families import shapes_of
from jaxdl.pretrained.mapping import leaves_by_path, unflat
from jaxdl.pretrained.preprocess import Preprocess
from jaxdl.pretrained.text_settings import TextSettings
from jaxdl.pretrained.texts import TextModel
from jaxdl.types import UserError


@dataclass(frozen=True)
class Weights:
    """Variables of a model, the naming of their file, the preprocessing of images, and the names of the classes if known.

    `absent` are leaves of the model that the file lacks, those of its head; `ignored` tensors of the file that it does not have.
    """

    variables: dict[str, Any]
    naming: str
    preprocess: Preprocess | None
    labels: tuple[str, ...] | None = None
    absent: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True)
class Imported:
    """Imported weights with their model. Images are files, PIL images or uint8 arrays.

    `predict(images)` or `predict(texts)` gives probabilities of classes. Weights without a head have no classes: `features`
    gives what a head would read of an image, or the embedding of a text. `text` is a text model with its tokenizer, whose
    `answers(texts)` are translations. Any model is called as `model.apply(weights.variables, inputs, train=False)`.
    """

    name: str
    model: Any
    weights: Weights
    options: Mapping[str, Any]
    tokenizer: Path | None = None
    settings: TextSettings | None = None
    """Of a text model."""

    @property
    def reads_texts(self) -> bool:
        return self.weights.preprocess is None

    @property
    def headless(self) -> bool:
        return bool(self.weights.absent)

    def predict(self, inputs: Sequence[Any]) -> Float[np.ndarray, "inputs classes"]:
        """Probabilities of the classes of images or texts."""
        if self.headless:
            raise UserError(
                f"these weights of {self.name} have no head: take features(...), or fine-tune them with init_from"
            )
        if self.reads_texts:
            return self.text.probabilities(inputs)
        return np.asarray(self._probabilities(self.weights.variables, self._prepared(inputs)))

    def features(self, inputs: Sequence[Any]) -> Float[np.ndarray, "inputs width"]:
        """The vectors that the head reads of images, of a model with or without a head; the embeddings of texts."""
        if self.reads_texts:
            return self.text.embeddings(inputs)
        return np.asarray(self._pooled(self.whole, self._prepared(inputs)))

    @cached_property
    def text(self) -> TextModel:
        """A text model with its tokenizer. Raises UserError where there is none."""
        if not self.reads_texts:
            raise UserError(f"{self.name} reads images")
        if self.tokenizer is None:
            raise UserError(
                f"{self.name} has no tokenizer.json: import a folder that holds one, which transformers writes by "
                "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)"
            )
        tokenizer = HuggingFace(self.tokenizer.read_text(encoding="utf-8"))
        return TextModel(self.name, self.model, self.whole, tokenizer, self.settings or TextSettings())

    def label(self, index: int) -> str:
        return self.weights.labels[index] if self.weights.labels else f"class {index}"

    def _prepared(self, images: Sequence[Any]) -> np.ndarray:
        preprocess = self.weights.preprocess
        assert preprocess is not None, "a text model does not come here"
        return np.stack([preprocess(image) for image in images])

    @cached_property
    def _probabilities(self) -> Any:
        return jax.jit(lambda variables, x: jax.nn.softmax(self.model.apply(variables, x, train=False)))

    @cached_property
    def _pooled(self) -> Any:
        return jax.jit(lambda variables, x: self.model.apply(variables, x, train=False, features=True)[1]["pooled"])

    @cached_property
    def whole(self) -> dict[str, Any]:
        """The variables with zeros for a head that is not there."""
        if not self.headless:
            return self.weights.variables
        shapes, there = leaves_by_path(shapes_of(self.model)), leaves_by_path(self.weights.variables)
        return unflat({key: there.get(key, jnp.zeros(spec.shape, spec.dtype)) for key, spec in shapes.items()})
