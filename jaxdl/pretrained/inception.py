"""Inception v1 and v3 in torchvision's names, which timm shares for v3."""

from jaxdl.models.inception import GoogLeNet
from jaxdl.models.inception_v3 import InceptionV3
from jaxdl.pretrained.layouts import flattened
from jaxdl.pretrained.mapping import Names, Place, Rules

KINDS = {"conv": "conv", "norm": "bn"}


def googlenet(model: GoogLeNet, modules: set[str]) -> Names:
    del model, modules
    branches = {
        "one": "branch1",
        "reduce3": "branch2.0",
        "three": "branch2.1",
        "reduce5": "branch3.0",
        "five": "branch3.1",
        "pool": "branch4.1",
    }
    rules: Rules = {
        r"conv(\d)/(conv|norm)": lambda i, kind: f"conv{i}.{KINDS[kind]}",
        r"inception(\w\w)/(\w+)/(conv|norm)": lambda n, branch, kind: f"inception{n}.{branches[branch]}.{KINDS[kind]}",
        r"aux(\d)/conv/(conv|norm)": lambda i, kind: f"aux{i}.conv.{KINDS[kind]}",
        r"aux(\d)/hidden": lambda i: Place(f"aux{i}.fc1", flattened(4, 4)),
        r"aux(\d)/head": lambda i: f"aux{i}.fc2",
        "head": "fc",
    }
    return {"torchvision": rules}


STEM = {"1a": "3x3", "2a": "3x3", "2b": "3x3", "3b": "1x1", "4a": "3x3"}
A = {
    "one": "branch1x1",
    "five_1": "branch5x5_1",
    "five_2": "branch5x5_2",
    **{f"double_{i}": f"branch3x3dbl_{i}" for i in (1, 2, 3)},
    "pool": "branch_pool",
}
B = {**A, "three": "branch3x3"}
C = {
    "one": "branch1x1",
    **{f"seven_{i}": f"branch7x7_{i}" for i in (1, 2, 3)},
    **{f"double_{i}": f"branch7x7dbl_{i}" for i in (1, 2, 3, 4, 5)},
    "pool": "branch_pool",
}
D = {
    "three_1": "branch3x3_1",
    "three_2": "branch3x3_2",
    **{f"seven_{i}": f"branch7x7x3_{i}" for i in (1, 2, 3, 4)},
}
E = {
    "one": "branch1x1",
    **{f"three_{i}": f"branch3x3_{i}" for i in ("1", "2a", "2b")},
    **{f"double_{i}": f"branch3x3dbl_{i}" for i in ("1", "2", "3a", "3b")},
    "pool": "branch_pool",
}
BRANCHES = {**dict.fromkeys(("5b", "5c", "5d"), A), "6a": B, **dict.fromkeys(("6b", "6c", "6d", "6e"), C)}
BRANCHES |= {"7a": D, "7b": E, "7c": E}


def inception_v3(model: InceptionV3, modules: set[str]) -> Names:
    del model, modules
    rules: Rules = {
        r"(\d[ab])/(conv|norm)": lambda n, kind: f"Conv2d_{n}_{STEM[n]}.{KINDS[kind]}",
        r"mixed(\w\w)/(\w+)/(conv|norm)": lambda n, branch, kind: f"Mixed_{n}.{BRANCHES[n][branch]}.{KINDS[kind]}",
        r"aux1/conv(\d)/(conv|norm)": lambda i, kind: f"AuxLogits.conv{i - 1}.{KINDS[kind]}",
        "aux1/head": "AuxLogits.fc",
        "head": "fc",
    }
    return {"torchvision": rules}
