"""Families of models that have PyTorch names, the inputs of their models, and the shapes of their variables."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxdl.models.alexnet import AlexNet, AlexNet2012
from jaxdl.models.efficientnet import EfficientNet
from jaxdl.models.inception import GoogLeNet
from jaxdl.models.inception_v3 import InceptionV3
from jaxdl.models.mobilenet import MobileNetV1, MobileNetV2, MobileNetV3
from jaxdl.models.resnet import ResNet
from jaxdl.models.transformer import Decoder, Encoder, EncoderDecoder
from jaxdl.models.transformer_heads import MaskedLanguageModel, PooledEncoder, SequenceClassifier
from jaxdl.models.vgg import VGG
from jaxdl.models.vit import ViT
from jaxdl.pretrained import bert, gpt2, inception, mobilenet, resnet, t5, vgg, vit
from jaxdl.pretrained.mapping import Names, bare, leaves_by_path, modules
from jaxdl.types import UserError

FAMILIES = {
    AlexNet: vgg.alexnet,
    AlexNet2012: vgg.alexnet_2012,
    VGG: vgg.vgg,
    ResNet: resnet.names,
    GoogLeNet: inception.googlenet,
    InceptionV3: inception.inception_v3,
    MobileNetV1: mobilenet.mobilenet_v1,
    MobileNetV2: mobilenet.mobilenet_v2,
    MobileNetV3: mobilenet.mobilenet_v3,
    EfficientNet: mobilenet.efficientnet,
    ViT: vit.names,
    **dict.fromkeys((Encoder, PooledEncoder, MaskedLanguageModel, SequenceClassifier), bert.names),
    Decoder: gpt2.names,
    EncoderDecoder: t5.names,
}
NETWORKS = {
    ResNet: "resnet.",
    MobileNetV1: "mobilenet_v1.",
    MobileNetV2: "mobilenet_v2.",
    EfficientNet: "efficientnet.",
}
"""Prefix that Hugging Face's classes with a head give to their network; the class of the network alone has none."""
READS_TOKENS = {
    Encoder: 1,
    PooledEncoder: 1,
    MaskedLanguageModel: 1,
    SequenceClassifier: 1,
    Decoder: 1,
    EncoderDecoder: 2,
}


def image_of(model: Any) -> tuple[int, int, int]:
    """Shape of an image with which the model can be initialised."""
    if isinstance(model, ViT):
        return model.grid[0] * model.patch, model.grid[1] * model.patch, 3
    return (299, 299, 3) if isinstance(model, InceptionV3) else (224, 224, 3)


def inputs_of(model: Any, image: Sequence[int] | None = None) -> tuple[jax.ShapeDtypeStruct, ...]:
    """Shapes of the model's inputs: an image, or one or two arrays of tokens."""
    if type(model) in READS_TOKENS:
        return (jax.ShapeDtypeStruct((1, 2), jnp.int32),) * READS_TOKENS[type(model)]
    return (jax.ShapeDtypeStruct((1, *(image or image_of(model))), jnp.float32),)


def shapes_of(model: Any, image: Sequence[int] | None = None) -> dict[str, Any]:
    init = lambda key, *inputs: model.init(key, *inputs, train=False)
    return jax.eval_shape(init, jax.random.key(0), *inputs_of(model, image))


def names_of(model: Any, shapes: Mapping[str, Any]) -> Names:
    """Known namings of a model's tensors. Raises UserError for a family without any."""
    if type(model) not in FAMILIES:
        raise UserError(
            f"{type(model).__name__} has no PyTorch names: take one of {', '.join(t.__name__ for t in FAMILIES)}"
        )
    names = FAMILIES[type(model)](model, modules(path for _, path in leaves_by_path(shapes)))
    if type(model) in NETWORKS and "huggingface" in names:
        names = {**names, "huggingface, bare": bare(names["huggingface"], NETWORKS[type(model)])}
    return names


def optional_parts(model: Any) -> tuple[str, ...]:
    """Patterns of the parts that a file may lack: the head, and what stands between a text model and its head."""
    if isinstance(model, SequenceClassifier):
        return ("head/.*", "pooler/.*")
    return () if type(model) in READS_TOKENS else (r"head(_distilled)?/.*",)
