"""AlexNet and VGG in torchvision's names, VGG also in timm's, AlexNet of 2012 in Caffe's.

All of these flatten maps in the order channels, height, width.
"""

from jaxdl.models.alexnet import AlexNet
from jaxdl.models.vgg import VGG
from jaxdl.pretrained.layouts import flattened, pointwise
from jaxdl.pretrained.mapping import Names, Place, Rules


def alexnet(model: AlexNet, modules: set[str]) -> Names:
    del modules
    index = {
        1: 0,
        2: 3,
        3: 6,
        4: 8,
        5: 10,
    }  # of the convolutions in `features`, where activations and pools are numbered, too
    rules: Rules = {
        r"conv(\d)": lambda i: f"features.{index[i]}",
        "dense1": Place("classifier.1", flattened(model.grid, model.grid)),
        "dense2": "classifier.4",
        "head": "classifier.6",
    }
    return {"torchvision": rules}


def alexnet_2012(model: AlexNet, modules: set[str]) -> Names:
    """Names in Caffe's reference model. Its images are BGR, 0 to 255, minus a mean."""
    del modules
    rules: Rules = {
        r"conv(\d)": lambda i: f"conv{i}",
        "dense1": Place("fc6", flattened(model.grid, model.grid)),
        "dense2": "fc7",
        "head": "fc8",
    }
    return {"caffe": rules}


def vgg(model: VGG, modules: set[str]) -> Names:
    del modules
    index, place = {}, 0
    for stage, convolutions in enumerate(model.stages, 1):
        for j in range(1, convolutions + 1):
            index[stage, j] = place
            place += 2 if model.norm is None else 3  # convolution, norm, activation
        place += 1  # the pool
    features: Rules = {
        r"conv(\d)_(\d)": lambda i, j: f"features.{index[i, j]}",
        r"norm(\d)_(\d)": lambda i, j: f"features.{index[i, j] + 1}",
    }
    grid = model.grid
    torchvision = {
        "dense1": Place("classifier.0", flattened(grid, grid)),
        "dense2": "classifier.3",
        "head": "classifier.6",
    }
    timm = {
        "dense1": Place("pre_logits.fc1", flattened(grid, grid, kernel=True)),
        "dense2": Place("pre_logits.fc2", pointwise),
        "head": "head.fc",
    }
    return {"torchvision": {**features, **torchvision}, "timm": {**features, **timm}}
