"""MobileNets and EfficientNets in the names of torchvision, timm, Hugging Face and EfficientNet-PyTorch."""

from collections.abc import Callable, Sequence
from itertools import groupby

from jaxdl.models.efficientnet import EfficientNet
from jaxdl.models.mobilenet import MobileNetV1, MobileNetV2, MobileNetV3
from jaxdl.pretrained.layouts import pointwise
from jaxdl.pretrained.mapping import Names, Place, Rules

Where = Callable[..., str]
"""Function from a block's numbers to its name, such as `blocks.2.0`."""


# -- one block --------------------------------------------------------------------------------------------------------


def block_parts(modules: set[str], block: str) -> list[str]:
    """Parts of a block among expand, depthwise, squeeze and project, in this order."""
    return [part for part in ("expand", "depthwise", "squeeze", "project") if f"{block}/{part}" in modules]


def torchvision_blocks(modules: set[str], pattern: str, block: Callable[..., str], where: Where) -> Rules:
    """Rules for `<where>.block.<k>.0` and `.1`, convolution and norm of part k; `.fc1` and `.fc2` in squeeze-and-excitation."""

    def unit(*numbers: int | str) -> str:
        *numbers, part, kind = numbers
        index = block_parts(modules, block(*numbers)).index(part)
        return f"{where(*numbers)}.block.{index}.{'01'[kind == 'norm']}"

    def squeeze(*numbers: int | str) -> Place:
        *numbers, which = numbers
        index = block_parts(modules, block(*numbers)).index("squeeze")
        return Place(f"{where(*numbers)}.block.{index}.fc{1 if which == 'reduce' else 2}", pointwise)

    units = rf"{pattern}/(expand|depthwise|project)/(conv|norm)"
    return {units: unit, rf"{pattern}/squeeze/(reduce|expand)": squeeze}


def timm_blocks(modules: set[str], pattern: str, block: Callable[..., str], where: Where) -> Rules:
    """Rules for conv_pw, conv_dw, conv_pwl, bn1, bn2, bn3; for blocks without expansion conv_dw, conv_pw, bn1, bn2."""

    def unit(*numbers: int | str) -> str:
        *numbers, part, kind = numbers
        here = [p for p in block_parts(modules, block(*numbers)) if p != "squeeze"]
        if kind == "norm":
            return f"{where(*numbers)}.bn{here.index(part) + 1}"
        last = "conv_pwl" if "expand" in here else "conv_pw"
        return f"{where(*numbers)}.{ {'expand': 'conv_pw', 'depthwise': 'conv_dw', 'project': last}[part] }"

    units = rf"{pattern}/(expand|depthwise|project)/(conv|norm)"
    squeezes = rf"{pattern}/squeeze/(reduce|expand)"
    return {units: unit, squeezes: lambda *n: Place(f"{where(*n[:-1])}.se.conv_{n[-1]}", pointwise)}


def runs(features: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Map block numbers (from 1) to (stage, place in the stage), both from 0. A stage is a run of blocks of equal width."""
    out, block = {}, 0
    for stage, (_, group) in enumerate(groupby(features)):
        for place, _ in enumerate(group):
            block += 1
            out[block] = stage, place
    return out


def numbered(i: int) -> str:
    return f"block{i}"


def torchvision_ends(last: int) -> Rules:
    """Rules for the first and the last convolution, modules 0 and `last` of `features`, and their norms."""
    return {
        rf"{part}/(conv|norm)": lambda kind, i=i: f"features.{i}.{'01'[kind == 'norm']}"
        for part, i in (("stem", 0), ("last", last))
    }


TIMM_ENDS: Rules = {"stem/conv": "conv_stem", "stem/norm": "bn1", "last/conv": "conv_head", "last/norm": "bn2"}


# -- families ---------------------------------------------------------------------------------------------------------


def mobilenet_v1(model: MobileNetV1, modules: set[str]) -> Names:
    del modules
    stages = runs([width for width, _ in model.table])
    kinds = {"conv": "convolution", "norm": "normalization"}

    def timm(i: int, part: str, kind: str) -> str:
        name = {"depthwise": ("conv_dw", "bn1"), "pointwise": ("conv_pw", "bn2")}[part][kind == "norm"]
        return f"blocks.{stages[i][0]}.{stages[i][1]}.{name}"

    def huggingface(i: int, part: str, kind: str) -> str:
        return f"mobilenet_v1.layer.{2 * i - 2 + (part == 'pointwise')}.{kinds[kind]}"

    unit = r"block(\d+)/(depthwise|pointwise)/(conv|norm)"
    return {
        "timm": {"stem/conv": "conv_stem", "stem/norm": "bn1", unit: timm, "head": "classifier"},
        "huggingface": {
            r"stem/(conv|norm)": lambda kind: f"mobilenet_v1.conv_stem.{kinds[kind]}",
            unit: huggingface,
            "head": "classifier",
        },
    }


def mobilenet_v2(model: MobileNetV2, modules: set[str]) -> Names:
    widths = [(row[1], i) for i, row in enumerate(model.table) for _ in range(row[2])]
    stages, kinds = runs(widths), {"conv": "convolution", "norm": "normalization"}
    unit = r"block(\d+)/(expand|depthwise|project)/(conv|norm)"

    def torchvision(i: int, part: str, kind: str) -> str:
        index = block_parts(modules, f"block{i}").index(part)
        if part == "project":  # not wrapped
            return f"features.{i}.conv.{index + (kind == 'norm')}"
        return f"features.{i}.conv.{index}.{'01'[kind == 'norm']}"

    def huggingface(i: int, part: str, kind: str) -> str:
        name = {"expand": "expand_1x1", "depthwise": "conv_3x3", "project": "reduce_1x1"}[part]
        block = "conv_stem" if i == 1 else f"layer.{i - 2}"  # stem and first block are one module there
        return f"mobilenet_v2.{block}.{name}.{kinds[kind]}"

    def timm_block(i: int) -> str:
        return "blocks.{}.{}".format(*stages[i])

    return {
        "torchvision": {
            **torchvision_ends(len(widths) + 1),
            unit: torchvision,
            "head": "classifier.1",
        },
        "timm": {**TIMM_ENDS, **timm_blocks(modules, r"block(\d+)", numbered, timm_block), "head": "classifier"},
        "huggingface": {
            r"stem/(conv|norm)": lambda kind: f"mobilenet_v2.conv_stem.first_conv.{kinds[kind]}",
            unit: huggingface,
            r"last/(conv|norm)": lambda kind: f"mobilenet_v2.conv_1x1.{kinds[kind]}",
            "head": "classifier",
        },
    }


def mobilenet_v3(model: MobileNetV3, modules: set[str]) -> Names:
    stages = runs([row.features for row in model.rows])
    after = max(stage for stage, _ in stages.values()) + 1

    def timm_block(i: int) -> str:
        return "blocks.{}.{}".format(*stages[i])

    return {
        "torchvision": {
            **torchvision_ends(len(model.rows) + 1),
            **torchvision_blocks(modules, r"block(\d+)", numbered, lambda i: f"features.{i}"),
            "hidden": "classifier.0",
            "head": "classifier.3",
        },
        "timm": {
            "stem/conv": "conv_stem",
            "stem/norm": "bn1",
            **timm_blocks(modules, r"block(\d+)", numbered, timm_block),
            r"last/(conv|norm)": lambda kind: f"blocks.{after}.0.{ {'conv': 'conv', 'norm': 'bn1'}[kind] }",
            "hidden": Place("conv_head", pointwise),
            "head": "classifier",
        },
    }


def efficientnet(model: EfficientNet, modules: set[str]) -> Names:
    pattern, depths = r"stage(\d+)_block(\d+)", [len(stage) for stage in model.blocks()]

    def block(i: int, j: int) -> str:
        return f"stage{i}_block{j}"

    def number(i: int, j: int) -> int:
        return sum(depths[: i - 1]) + j - 1

    def serial(i: int, j: int) -> str:
        return f"efficientnet.encoder.blocks.{number(i, j)}"

    def underscored(i: int, j: int, part: str, kind: str) -> str:
        norm = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}[part]
        return f"_blocks.{number(i, j)}.{norm if kind == 'norm' else f'_{part}_conv'}"

    def huggingface(i: int, j: int, part: str, kind: str) -> str:
        group = {"expand": "expansion", "depthwise": "depthwise_conv", "project": "projection"}[part]
        norm = "norm" if part == "depthwise" else "bn"
        return f"{serial(i, j)}.{group}.{part}_{norm if kind == 'norm' else 'conv'}"

    return {
        "torchvision": {
            **torchvision_ends(len(depths) + 1),
            **torchvision_blocks(modules, pattern, block, lambda i, j: f"features.{i}.{j - 1}"),
            "head": "classifier.1",
        },
        "timm": {
            **TIMM_ENDS,
            **timm_blocks(modules, pattern, block, lambda i, j: f"blocks.{i - 1}.{j - 1}"),
            "head": "classifier",
        },
        "huggingface": {
            "stem/conv": "efficientnet.embeddings.convolution",
            "stem/norm": "efficientnet.embeddings.batchnorm",
            rf"{pattern}/(expand|depthwise|project)/(conv|norm)": huggingface,
            rf"{pattern}/squeeze/(\w+)": lambda i, j, n: Place(f"{serial(i, j)}.squeeze_excite.{n}", pointwise),
            "last/conv": "efficientnet.encoder.top_conv",
            "last/norm": "efficientnet.encoder.top_bn",
            "head": "classifier",
        },
        "efficientnet-pytorch": {
            "stem/conv": "_conv_stem",
            "stem/norm": "_bn0",
            rf"{pattern}/(expand|depthwise|project)/(conv|norm)": underscored,
            rf"{pattern}/squeeze/(\w+)": lambda i, j, n: Place(f"_blocks.{number(i, j)}._se_{n}", pointwise),
            "last/conv": "_conv_head",
            "last/norm": "_bn1",
            "head": "_fc",
        },
    }
