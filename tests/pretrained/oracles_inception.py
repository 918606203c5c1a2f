"""GoogLeNet and Inception v3 as plain PyTorch modules, named as in `oracles.py`."""

import torch
from torch import nn
from torch.nn import functional as F

from tests.pretrained.oracles import seq


class Unit(nn.Module):
    def __init__(self, i, o, k=1, s=1, p=0):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(i, o, k, s, p, bias=False), nn.BatchNorm2d(o, eps=1e-3)

    def forward(self, x):
        return self.bn(self.conv(x)).relu()


class GoogLeNet(nn.Module):
    def __init__(self, table, widths, classes, aux=None):
        super().__init__()
        one, two, three = widths
        self.conv1, self.conv2, self.conv3 = Unit(3, one, 7, 2, 3), Unit(one, two), Unit(two, three, 3, 1, 1)
        i, self.names = three, list(table)
        for name, w in table.items():
            module = nn.Module()
            module.branch1 = Unit(i, w.one)
            module.branch2 = seq(Unit(i, w.reduce3), Unit(w.reduce3, w.three, 3, 1, 1))
            module.branch3 = seq(Unit(i, w.reduce5), Unit(w.reduce5, w.five, 3, 1, 1))
            module.branch4 = seq(nn.MaxPool2d(3, 1, 1, ceil_mode=True), Unit(i, w.pool))
            setattr(self, f"inception{name}", module)
            i = w.one + w.three + w.five + w.pool
            if aux and name in ("4a", "4d"):
                head = nn.Module()
                head.conv, head.fc1, head.fc2 = (
                    Unit(i, aux[0]),
                    nn.Linear(16 * aux[0], aux[1]),
                    nn.Linear(aux[1], classes),
                )
                setattr(self, "aux1" if name == "4a" else "aux2", head)
        self.fc, self.aux = nn.Linear(i, classes), aux

    def forward(self, x, every=False):
        pool, out = lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True), []
        x = pool(self.conv3(self.conv2(pool(self.conv1(x)))))
        for name in self.names:
            m = getattr(self, f"inception{name}")
            x = torch.cat([m.branch1(x), m.branch2(x), m.branch3(x), m.branch4(x)], 1)
            if self.aux and name in ("4a", "4d"):
                h = self.aux1 if name == "4a" else self.aux2
                out.append(h.fc2(h.fc1(h.conv(F.adaptive_avg_pool2d(x, 4)).flatten(1)).relu()))
            x = pool(x) if name == "3b" else F.max_pool2d(x, 2, 2, ceil_mode=True) if name == "4e" else x
        logits = self.fc(x.mean((2, 3)))
        return (logits, *out) if every else logits


class Inception3(nn.Module):
    """Every branch as torchvision names it: (name, features, kernel, strides, padding) in order."""

    def __init__(self, share, classes):
        super().__init__()

        def f(n):
            return max(1, int(n * share))

        self.Conv2d_1a_3x3, self.Conv2d_2a_3x3 = Unit(3, f(32), 3, 2), Unit(f(32), f(32), 3)
        self.Conv2d_2b_3x3, self.Conv2d_3b_1x1 = Unit(f(32), f(64), 3, 1, 1), Unit(f(64), f(80))
        self.Conv2d_4a_3x3, i = Unit(f(80), f(192), 3), f(192)
        tall, wide, pt, pw = (7, 1), (1, 7), (3, 0), (0, 3)

        def a(pool):
            return {
                "branch1x1": [64],
                "branch5x5": [48, (64, 5, 1, 2)],
                "branch3x3dbl": [64, (96, 3, 1, 1), (96, 3, 1, 1)],
                "branch_pool": [pool],
            }

        def c(n):
            dbl = [n, (n, tall, 1, pt), (n, wide, 1, pw), (n, tall, 1, pt), (192, wide, 1, pw)]
            seven = [n, (n, wide, 1, pw), (192, tall, 1, pt)]
            return {"branch1x1": [192], "branch7x7": seven, "branch7x7dbl": dbl, "branch_pool": [192]}

        b = {"branch3x3": [(384, 3, 2, 0)], "branch3x3dbl": [64, (96, 3, 1, 1), (96, 3, 2, 0)], "max": []}
        d_seven = [192, (192, wide, 1, pw), (192, tall, 1, pt), (192, 3, 2, 0)]
        d = {"branch3x3": [192, (320, 3, 2, 0)], "branch7x7x3": d_seven, "max": []}
        e = {
            "branch1x1": [320],
            "branch3x3": [384, ("2a", 384, (1, 3), 1, (0, 1)), ("2b", 384, (3, 1), 1, (1, 0))],
            "branch3x3dbl": [448, (384, 3, 1, 1), ("3a", 384, (1, 3), 1, (0, 1)), ("3b", 384, (3, 1), 1, (1, 0))],
            "branch_pool": [192],
        }
        self.table = {"5b": a(32), "5c": a(64), "5d": a(64), "6a": b, "6b": c(128), "6c": c(160), "6d": c(160)}
        self.table |= {"6e": c(192), "7a": d, "7b": e, "7c": e}
        for name, branches in self.table.items():
            module, total = nn.Module(), 0
            for branch, units in branches.items():
                j = i
                for n, unit in enumerate(units, 1):
                    unit = (unit,) if isinstance(unit, int) else unit
                    split = isinstance(unit[0], str)
                    label = f"{branch}_{unit[0] if split else n}"
                    label = branch if len(units) == 1 else label
                    unit = unit[1:] if split else unit
                    setattr(module, label, Unit(j, f(unit[0]), *unit[1:]))
                    if split:
                        total += f(unit[0])
                    else:
                        j = f(unit[0])
                total += 0 if units and isinstance(units[-1], tuple) and isinstance(units[-1][0], str) else j
            setattr(self, f"Mixed_{name}", module)
            i = total
        self.fc = nn.Linear(i, classes)

    def forward(self, x):
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, 2)))
        x = F.max_pool2d(x, 3, 2)
        for name, branches in self.table.items():
            module, out = getattr(self, f"Mixed_{name}"), []
            for branch, units in branches.items():
                y = (
                    F.avg_pool2d(x, 3, 1, 1)
                    if branch == "branch_pool"
                    else F.max_pool2d(x, 3, 2)
                    if branch == "max"
                    else x
                )
                ends = []
                for n, unit in enumerate(units, 1):
                    split = isinstance(unit, tuple) and isinstance(unit[0], str)
                    label = branch if len(units) == 1 else f"{branch}_{unit[0] if split else n}"
                    z = getattr(module, label)(y)
                    if split:
                        ends.append(z)
                    else:
                        y = z
                out += ends or [y]
            x = torch.cat(out, 1)
        return self.fc(x.mean((2, 3)))
