"""Which models stand for the families of convolutional networks, and what is read from them."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from jaxdl.models import efficientnet, inception, mobilenet, resnet, vgg
from jaxdl.models.alexnet import AlexNet
from jaxdl.site.pictures.blocks import Facts, model_facts

IMAGE = (224, 224, 3)
MODELS: Mapping[str, tuple[str, Any]] = {
    "alexnet": ("AlexNet", AlexNet()),
    "vgg": ("VGG-16", vgg.vgg(16)),
    "resnet": ("ResNet-50", resnet.resnet(50)),
    "inception": ("GoogLeNet (Inception v1)", inception.GoogLeNetPaper()),
    "mobilenet": ("MobileNet V1", mobilenet.MobileNetV1()),
    "efficientnet": ("EfficientNet-B0", efficientnet.efficientnet("b0")),
}


@cache
def family_facts(slug: str) -> Facts:
    return model_facts(MODELS[slug][1], IMAGE, train=False, features=True)
