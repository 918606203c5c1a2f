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

from jaxdl.pretrained.families import shapes_of
from jaxdl.pretrained.mapping import leaves_by_path, unflat
from jaxdl.pretrained.preprocess import Preprocess
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
    """Imported weights with their model. `predict(images)` takes files, PIL images or uint8 arrays.

    Weights without a head have no classes: `features(images)` gives what a head would read.
    A language model is called as `model.apply(weights.variables, tokens, train=False)`; `tokenizer` is its file of the package
    `tokenizers`, if there is one.
    """

    name: str
    model: Any
    weights: Weights
    options: Mapping[str, Any]
    tokenizer: Path | None = None

    @property
    def headless(self) -> bool:
        return bool(self.weights.absent)

    def predict(self, images: Sequence[Any]) -> Float[np.ndarray, "images classes"]:
        """Probabilities of the classes."""
        x = self._prepared(images)
        if self.headless:
            raise UserError(
                f"these weights of {self.name} have no head: take features(images), or fine-tune them with init_from"
            )
        return np.asarray(self._probabilities(self.weights.variables, x))

    def features(self, images: Sequence[Any]) -> Float[np.ndarray, "images width"]:
        """The vectors that the head reads, of a model with or without a head."""
        return np.asarray(self._pooled(self.whole, self._prepared(images)))

    def label(self, index: int) -> str:
        return self.weights.labels[index] if self.weights.labels else f"class {index}"

    def _prepared(self, images: Sequence[Any]) -> np.ndarray:
        if self.weights.preprocess is None:
            raise UserError(
                f"{self.name} reads tokens, not images: call model.apply(weights.variables, tokens, train=False)"
            )
        return np.stack([self.weights.preprocess(image) for image in images])

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
