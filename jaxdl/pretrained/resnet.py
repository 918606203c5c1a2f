"""ResNets in the names of torchvision (and timm), Hugging Face and two CIFAR repositories."""

from jaxdl.models.resnet import ResNet
from jaxdl.pretrained.layouts import pointwise
from jaxdl.pretrained.mapping import Names, Place, Rules

BLOCK = r"stage(\d+)_block(\d+)"


def names(model: ResNet, modules: set[str]) -> Names:
    if model.preactivation:
        return {"timm": timm_v2(), "xternalz": wide()}
    return {"torchvision": torchvision(modules, averages(model)), "huggingface": huggingface(), "kuangliu": kuangliu()}


def averages(model: ResNet) -> bool:
    return bool(getattr(model.shortcut, "keywords", {}).get("average"))


def torchvision(modules: set[str], averages: bool) -> Rules:
    stem = sum(f"stem/conv{i}" in modules for i in range(1, 9))
    plain = {"stem/conv1": "conv1", "stem/norm1": "bn1"}
    deep = {  # timm's -D: three times (conv, bn, act); the last norm has the name bn1
        f"stem/norm{stem}": "bn1",
        r"stem/conv(\d+)": lambda i: f"conv1.{3 * i - 3}",
        r"stem/norm(\d+)": lambda i: f"conv1.{3 * i - 2}",
    }
    first = 1 if averages else 0  # after the average pool
    return {
        **(plain if stem == 1 else deep),
        rf"{BLOCK}/conv(\d)": lambda i, j, k: f"layer{i}.{j - 1}.conv{k}",
        rf"{BLOCK}/norm(\d)": lambda i, j, k: f"layer{i}.{j - 1}.bn{k}",
        rf"{BLOCK}/shortcut/conv": lambda i, j: f"layer{i}.{j - 1}.downsample.{first}",
        rf"{BLOCK}/shortcut/norm": lambda i, j: f"layer{i}.{j - 1}.downsample.{first + 1}",
        rf"{BLOCK}/squeeze/reduce": lambda i, j: Place(f"layer{i}.{j - 1}.se.fc1", pointwise),
        rf"{BLOCK}/squeeze/expand": lambda i, j: Place(f"layer{i}.{j - 1}.se.fc2", pointwise),
        "head": "fc",
    }


def kuangliu() -> Rules:
    """Names in kuangliu/pytorch-cifar and akamaster/pytorch_resnet_cifar10."""
    return {
        "stem/conv1": "conv1",
        "stem/norm1": "bn1",
        rf"{BLOCK}/conv(\d)": lambda i, j, k: f"layer{i}.{j - 1}.conv{k}",
        rf"{BLOCK}/norm(\d)": lambda i, j, k: f"layer{i}.{j - 1}.bn{k}",
        rf"{BLOCK}/shortcut/conv": lambda i, j: f"layer{i}.{j - 1}.shortcut.0",
        rf"{BLOCK}/shortcut/norm": lambda i, j: f"layer{i}.{j - 1}.shortcut.1",
        "head": "linear",
    }


def wide() -> Rules:
    """Names of wide ResNets in xternalz/WideResNet-pytorch."""
    return {
        "stem/conv1": "conv1",
        rf"{BLOCK}/conv(\d)": lambda i, j, k: f"block{i}.layer.{j - 1}.conv{k}",
        rf"{BLOCK}/norm(\d)": lambda i, j, k: f"block{i}.layer.{j - 1}.bn{k}",
        rf"{BLOCK}/shortcut/conv": lambda i, j: f"block{i}.layer.{j - 1}.convShortcut",
        "norm": "bn1",
        "head": "fc",
    }


def timm_v2() -> Rules:
    return {
        "stem/conv1": "stem.conv",
        rf"{BLOCK}/(conv|norm)(\d)": lambda i, j, kind, k: f"stages.{i - 1}.blocks.{j - 1}.{kind}{k}",
        rf"{BLOCK}/shortcut/conv": lambda i, j: f"stages.{i - 1}.blocks.{j - 1}.downsample.conv",
        "norm": "norm",
        "head": Place("head.fc", pointwise),
    }


def huggingface() -> Rules:
    def inner(kind: str):
        return lambda i, j, k: f"resnet.encoder.stages.{i - 1}.layers.{j - 1}.layer.{k - 1}.{kind}"

    def shortcut(kind: str):
        return lambda i, j: f"resnet.encoder.stages.{i - 1}.layers.{j - 1}.shortcut.{kind}"

    return {
        "stem/conv1": "resnet.embedder.embedder.convolution",
        "stem/norm1": "resnet.embedder.embedder.normalization",
        rf"{BLOCK}/conv(\d)": inner("convolution"),
        rf"{BLOCK}/norm(\d)": inner("normalization"),
        rf"{BLOCK}/shortcut/conv": shortcut("convolution"),
        rf"{BLOCK}/shortcut/norm": shortcut("normalization"),
        "head": "classifier.1",
    }
