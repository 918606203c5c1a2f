"""The vision families in plain PyTorch, as torchvision writes them: the peers of `vision.py`.

Layer for layer the networks of `jaxdl.models` (a test compares the numbers of parameters). Imports only torch.
"""

import torch
from torch import nn


def unit(i: int, o: int, k: int = 1, stride: int = 1, groups: int = 1, act: type[nn.Module] | None = nn.ReLU):
    """Convolution, batch norm, activation."""
    layers = [nn.Conv2d(i, o, k, stride, k // 2, groups=groups, bias=False), nn.BatchNorm2d(o)]
    return nn.Sequential(*layers, *([act(inplace=True)] if act else []))


# -- ResNet -----------------------------------------------------------------------------------------------------------


class Residual(nn.Module):
    def __init__(self, i: int, width: int, stride: int, bottleneck: bool):
        super().__init__()
        o = width * (4 if bottleneck else 1)
        if bottleneck:
            layers = [unit(i, width), unit(width, width, 3, stride), unit(width, o, act=None)]
        else:
            layers = [unit(i, width, 3, stride), unit(width, o, 3, act=None)]
        self.body = nn.Sequential(*layers)
        self.shortcut = unit(i, o, 1, stride, act=None) if i != o or stride > 1 else nn.Identity()

    def forward(self, x):
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet(stages: tuple[int, ...], bottleneck: bool, classes: int, small_stem: bool) -> nn.Module:
    layers = [unit(3, 64, 3)] if small_stem else [unit(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)]
    i = 64
    for stage, blocks in enumerate(stages):
        width = 64 * 2**stage
        for j in range(blocks):
            layers.append(Residual(i, width, 2 if stage and j == 0 else 1, bottleneck))
            i = width * (4 if bottleneck else 1)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(i, classes))


# -- MobileNetV2 and EfficientNet-B0 ----------------------------------------------------------------------------------


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int, hidden: int):
        super().__init__()
        layers = [nn.Conv2d(channels, hidden, 1), nn.SiLU(inplace=True), nn.Conv2d(hidden, channels, 1), nn.Sigmoid()]
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), *layers)

    def forward(self, x):
        return x * self.gate(x)


class InvertedResidual(nn.Module):
    def __init__(self, i, o, expansion, k, stride, act, squeeze, drop_path):
        super().__init__()
        wide = i * expansion
        layers = [unit(i, wide, act=act)] if expansion > 1 else []
        layers += [unit(wide, wide, k, stride, wide, act)]
        layers += [SqueezeExcite(wide, max(1, i // 4))] if squeeze else []
        self.body = nn.Sequential(*layers, unit(wide, o, act=None))
        self.adds, self.drop_path = i == o and stride == 1, drop_path

    def forward(self, x):
        y = self.body(x)
        if not self.adds:
            return y
        if self.training and self.drop_path:
            keep = 1 - self.drop_path
            y = y * torch.empty(len(y), 1, 1, 1, device=y.device, dtype=y.dtype).bernoulli_(keep).div_(keep)
        return x + y


# expansion, kernel, stride of the first block, features, blocks
V2 = ((1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 3, 2, 32, 3), (6, 3, 2, 64, 4), (6, 3, 1, 96, 3), (6, 3, 2, 160, 3))
V2 += ((6, 3, 1, 320, 1),)
B0 = ((1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3), (6, 5, 2, 192, 4))
B0 += ((6, 3, 1, 320, 1),)


def inverted(table, act: type[nn.Module], squeeze: bool, drop_path: float, classes: int) -> nn.Module:
    layers, i, done, depth = [unit(3, 32, 3, 2, act=act)], 32, 0, sum(row[-1] for row in table)
    for expansion, k, stride, o, blocks in table:
        for j in range(blocks):
            rate = drop_path * done / depth
            layers.append(InvertedResidual(i, o, expansion, k, stride if j == 0 else 1, act, squeeze, rate))
            i, done = o, done + 1
    ends = [unit(i, 1280, act=act), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(1280, classes)]
    return nn.Sequential(*layers, *ends)


# -- Vision Transformer -----------------------------------------------------------------------------------------------


class ViT(nn.Module):
    def __init__(self, image: int, patch: int, width: int, depth: int, heads: int, classes: int):
        super().__init__()
        self.embed = nn.Conv2d(3, width, patch, patch)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.randn(1, (image // patch) ** 2 + 1, width) * 0.02)
        sizes = {"activation": "gelu", "batch_first": True, "norm_first": True, "dropout": 0.0}
        self.blocks = nn.Sequential(
            *(nn.TransformerEncoderLayer(width, heads, 4 * width, **sizes) for _ in range(depth))
        )
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, x):
        x = self.embed(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.positions
        return self.head(self.norm(self.blocks(x))[:, 0])


PEERS = {
    "cifar_resnet18": lambda: resnet((2, 2, 2, 2), False, 10, True),
    "resnet50": lambda: resnet((3, 4, 6, 3), True, 1000, False),
    "mobilenet_v2": lambda: inverted(V2, nn.ReLU6, False, 0.0, 1000),
    "efficientnet_b0": lambda: inverted(B0, nn.SiLU, True, 0.2, 1000),
    "vit_ti_4": lambda: ViT(32, 4, 192, 12, 3, 10),
}
