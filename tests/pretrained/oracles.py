"""The reference networks as plain PyTorch modules, with the parameter names of torchvision (or who is named beside them).

Written for these tests from the papers and the public state dicts, small and without dropout.
"""

from torch import nn
from torch.nn import functional as F


def conv(i, o, k=1, s=1, g=1, bias=False, p=None):
    return nn.Conv2d(i, o, k, s, (k - 1) // 2 if p is None else p, groups=g, bias=bias)


def seq(*layers):
    return nn.Sequential(*layers)


# -- AlexNet, VGG -----------------------------------------------------------------------------------------------------


class AlexNet(nn.Module):
    def __init__(self, hidden, classes):
        super().__init__()
        relu, pool = nn.ReLU, lambda: nn.MaxPool2d(3, 2)
        self.features = seq(
            *(conv(3, 64, 11, 4, bias=True, p=2), relu(), pool()),
            *(conv(64, 192, 5, bias=True), relu(), pool()),
            *(conv(192, 384, 3, bias=True), relu()),
            *(conv(384, 256, 3, bias=True), relu()),
            *(conv(256, 256, 3, bias=True), relu(), pool()),
        )
        wide = 256 * 36
        drop = nn.Identity
        hidden_layers = (drop(), nn.Linear(wide, hidden), relu(), drop(), nn.Linear(hidden, hidden), relu())
        self.classifier = seq(*hidden_layers, nn.Linear(hidden, classes))

    def forward(self, x):
        return self.classifier(F.adaptive_avg_pool2d(self.features(x), 6).flatten(1))


class AlexNet2012(nn.Module):
    """Caffe's: grouped, local response normalization (whose α PyTorch divides by the size), its layers' names."""

    def __init__(self, hidden, classes):
        super().__init__()
        sizes = ((3, 96, 11, 4, 1, 2), (96, 256, 5, 1, 2, 2), (256, 384, 3, 1, 1, 1), (384, 384, 3, 1, 2, 1))
        for i, (a, b, k, s, g, p) in enumerate((*sizes, (384, 256, 3, 1, 2, 1)), 1):
            setattr(self, f"conv{i}", conv(a, b, k, s, g, bias=True, p=p))
        self.respond = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)
        self.fc6, self.fc7, self.fc8 = (
            nn.Linear(256 * 36, hidden),
            nn.Linear(hidden, hidden),
            nn.Linear(hidden, classes),
        )

    def forward(self, x):
        for i in (1, 2):
            x = F.max_pool2d(self.respond(F.relu(getattr(self, f"conv{i}")(x))), 3, 2)
        x = F.max_pool2d(F.relu(self.conv5(F.relu(self.conv4(F.relu(self.conv3(x)))))), 3, 2)
        x = F.adaptive_avg_pool2d(x, 6).flatten(1)
        return self.fc8(F.relu(self.fc7(F.relu(self.fc6(x)))))


class VGG(nn.Module):
    def __init__(self, stages, width, hidden, classes, norm):
        super().__init__()
        layers, i = [], 3
        for stage, count in enumerate(stages):
            o = width * 2 ** min(stage, 3)
            for _ in range(count):
                layers += [conv(i, o, 3, bias=True), *([nn.BatchNorm2d(o)] if norm else []), nn.ReLU()]
                i = o
            layers.append(nn.MaxPool2d(2))
        self.features, none = seq(*layers), nn.Identity()
        first = nn.Linear(i * 49, hidden)
        self.classifier = seq(
            first, nn.ReLU(), none, nn.Linear(hidden, hidden), nn.ReLU(), none, nn.Linear(hidden, classes)
        )

    def forward(self, x):
        return self.classifier(F.adaptive_avg_pool2d(self.features(x), 7).flatten(1))


# -- ResNet -----------------------------------------------------------------------------------------------------------


class SE(nn.Module):
    """timm's."""

    def __init__(self, channels, hidden):
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(channels, hidden, 1), nn.Conv2d(hidden, channels, 1)

    def forward(self, x):
        return x * self.fc2(self.fc1(x.mean((2, 3), keepdim=True)).relu()).sigmoid()


class Block(nn.Module):
    def __init__(self, i, layers, s, average=False, se=0, linear_names=False):
        super().__init__()
        self.count = len(layers)
        first, o = i, layers[-1][0]
        for n, (width, k, step, g) in enumerate(layers, 1):
            setattr(self, f"conv{n}", conv(i, width, k, step, g))
            setattr(self, f"bn{n}", nn.BatchNorm2d(width))
            i = width
        self.se = SE(o, se) if se else nn.Identity()
        short = None
        if s > 1 or first != o:
            down = [nn.AvgPool2d(s, s, ceil_mode=True, count_include_pad=False)] if average and s > 1 else []
            down = down or ([nn.Identity()] if average else [])
            short = seq(*down, conv(first, o, 1, 1 if average else s), nn.BatchNorm2d(o))
        setattr(self, "shortcut" if linear_names else "downsample", short)
        self.short = [short]

    def forward(self, x):
        y = x
        for n in range(1, self.count + 1):
            y = getattr(self, f"bn{n}")(getattr(self, f"conv{n}")(y))
            y = y.relu() if n < self.count else y
        return (self.se(y) + (x if self.short[0] is None else self.short[0](x))).relu()


class ResNet(nn.Module):
    def __init__(self, stages, block, width, classes, deep=False, average=False, se=None, small=0):
        super().__init__()
        if deep:
            first = (conv(3, 32, 3, 2), nn.BatchNorm2d(32), nn.ReLU())
            self.conv1 = seq(*first, conv(32, 32, 3), nn.BatchNorm2d(32), nn.ReLU(), conv(32, 64, 3))
        else:
            self.conv1 = conv(3, small, 3) if small else conv(3, 64, 7, 2)
        i = small or 64
        self.bn1, self.pool = nn.BatchNorm2d(i), nn.Identity() if small else nn.MaxPool2d(3, 2, 1)
        for n, count in enumerate(stages, 1):
            blocks = []
            for j in range(count):
                s = 2 if n > 1 and j == 0 else 1
                layers = block(width * 2 ** (n - 1), s)
                blocks.append(Block(i, layers, s, average, se(layers[-1][0]) if se else 0, bool(small)))
                i = layers[-1][0]
            setattr(self, f"layer{n}", seq(*blocks))
        self.stages, self.last = len(stages), "linear" if small else "fc"
        setattr(self, self.last, nn.Linear(i, classes))

    def forward(self, x):
        x = self.pool(self.bn1(self.conv1(x)).relu())
        for n in range(1, self.stages + 1):
            x = getattr(self, f"layer{n}")(x)
        return getattr(self, self.last)(x.mean((2, 3)))


class PreBlock(nn.Module):
    """Pre-activation, timm's names."""

    def __init__(self, i, layers, s):
        super().__init__()
        self.count, self.downsample = len(layers), None
        if s > 1 or i != layers[-1][0]:
            self.downsample = nn.Module()
            self.downsample.conv = conv(i, layers[-1][0], 1, s)
        for n, (width, k, step, g) in enumerate(layers, 1):
            setattr(self, f"norm{n}", nn.BatchNorm2d(i))
            setattr(self, f"conv{n}", conv(i, width, k, step, g))
            i = width

    def forward(self, x):
        y = self.norm1(x).relu()
        x = x if self.downsample is None else self.downsample.conv(y)
        y = self.conv1(y)
        for n in range(2, self.count + 1):
            y = getattr(self, f"conv{n}")(getattr(self, f"norm{n}")(y).relu())
        return x + y


class ResNetV2(nn.Module):
    """timm's resnetv2_50 names."""

    def __init__(self, stages, block, width, classes):
        super().__init__()
        self.stem = nn.Module()
        self.stem.conv = conv(3, 64, 7, 2)
        self.stages, i = nn.ModuleList(), 64
        for n, count in enumerate(stages):
            stage = nn.Module()
            stage.blocks = nn.ModuleList()
            for j in range(count):
                s = 2 if n > 0 and j == 0 else 1
                layers = block(width * 2**n, s)
                stage.blocks.append(PreBlock(i, layers, s))
                i = layers[-1][0]
            self.stages.append(stage)
        self.norm, self.head = nn.BatchNorm2d(i), nn.Module()
        self.head.fc = nn.Conv2d(i, classes, 1)

    def forward(self, x):
        x = F.max_pool2d(self.stem.conv(x), 3, 2, 1)
        for stage in self.stages:
            for block in stage.blocks:
                x = block(x)
        return self.head.fc(self.norm(x).relu().mean((2, 3), keepdim=True)).flatten(1)
