"""The networks that the widgets run: trained by the repository's experiments, their weights rounded to 16 bits for the page."""

import base64
from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxdl import shipped
from jaxdl.experiment import load_config
from jaxdl.runs.run import Run
from jaxdl.runs.trial import trial

LANGUAGES = {
    "bg": "Bulgarian", "cs": "Czech", "da": "Danish", "de": "German", "en": "English", "es": "Spanish", "fi": "Finnish",
    "fr": "French", "hr": "Croatian", "hu": "Hungarian", "it": "Italian", "nb": "Norwegian", "nl": "Dutch", "pl": "Polish",
    "pt": "Portuguese", "ru": "Russian", "sk": "Slovak", "sl": "Slovenian", "sv": "Swedish", "uk": "Ukrainian",
}  # fmt: skip
HEADS = 4
TIME = 64


def packed(values: Any) -> str:
    """An array as base64 of 16-bit floats, little-endian."""
    return base64.b64encode(np.asarray(values).astype("<f2").tobytes()).decode()


def folded(kernel: Any, norm: Mapping[str, Any], running: Mapping[str, Any], eps: float = 1e-5) -> tuple[Any, Any]:
    """The kernel and the bias of a convolution and the batch norm behind it, in evaluation: one affine map."""
    kernel, norm, running = jax.tree.map(np.asarray, (kernel, norm, running))
    scale = norm["scale"] / np.sqrt(running["var"] + eps)
    return kernel * scale, norm["bias"] - running["mean"] * scale


def trained_digits() -> Run:
    """`experiments/digits_cnn` with its defaults."""
    return trial(load_config(shipped.locate("digits_cnn")))


def digit_arrays(run: Run) -> dict[str, Float[np.ndarray, "..."]]:
    """The weights of the network in evaluation, batch norm folded in, rounded to 16 bits."""
    params, state = run.weights
    arrays = {}
    for i in (0, 1):
        norm, running = params[f"BatchNorm_{i}"], state["batch_stats"][f"BatchNorm_{i}"]
        arrays[f"kernel{i + 1}"], arrays[f"bias{i + 1}"] = folded(params[f"Conv_{i}"]["kernel"], norm, running)
    arrays |= {"kernel3": params["Dense_0"]["kernel"], "bias3": params["Dense_0"]["bias"]}
    return {name: np.asarray(value, np.float16).astype(np.float32) for name, value in arrays.items()}


def digit_network(run: Run | None = None) -> dict[str, Any]:
    """The trained network of `experiments/digits_cnn`, how its inputs are scaled, and one example of each digit."""
    run = run or trained_digits()
    data = run.experiment.data
    ends = jnp.zeros((2, 8, 8, 1), jnp.uint8).at[1].set(16)
    low, high = data.standardise(data.prepare({"x": ends}))["x"][:, 0, 0, 0]
    part = data.splits["validation"]
    examples = [part["x"][np.flatnonzero(part["y"] == k)[0]].reshape(-1).tolist() for k in range(10)]
    scaled = {"slope": float(high - low) / 16, "offset": float(low), "examples": examples}
    accuracy = float(run.evaluate("test").metrics["accuracy"])
    return {**{name: packed(value) for name, value in digit_arrays(run).items()}, **scaled, "accuracy": accuracy}


def trained_languages() -> Run:
    """A Transformer of two blocks that names the language of a sentence, from `experiments/text_classification`."""
    config = load_config(shipped.locate("text_classification"))
    return trial(config, model="transformer", width=32, epochs=8, lr=4e-3, rate=0.1, time=TIME)


def rounded_params(run: Run) -> Any:
    """The parameters rounded to 16 bits."""
    return jax.tree.map(lambda a: np.asarray(a, np.float16).astype(np.float32), run.weights[0])


def language_network(run: Run | None = None) -> dict[str, Any]:
    """The weights of that network, its letters and the names of its classes."""
    run = run or trained_languages()
    data, params = run.experiment.data, rounded_params(run)
    dense = partial(jax.tree.map, packed)
    weights = {
        "embedding": {"all": packed(params["embed"]["embedding"])},
        "head": dense(params["head"]),
        "norm": dense(params["stack"]["norm"]),
    }
    for i in (0, 1):
        block = params["stack"][f"blocks_{i}"]
        parts = {
            **block["attention"],
            **block["mlp"],
            "norm_attention": block["norm_attention"],
            "norm_mlp": block["norm_mlp"],
        }
        weights[f"block{i}"] = dense(parts)
    return {
        "weights": weights,
        "width": params["head"]["kernel"].shape[0],
        "heads": HEADS,
        "time": TIME,
        "symbols": "".join(data.tokenizer.symbols),
        "names": [LANGUAGES[code] for code in data.classes],
        "accuracy": float(run.evaluate("test").metrics["accuracy"]),
    }
