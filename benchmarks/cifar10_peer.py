"""The recipe of `experiments/cifar10_fast.py` in plain PyTorch. Imports only torch.

After github.com/KellerJordan/cifar10-airbench, with two differences: everything is float32, and nothing is compiled.
"""

import torch
from torch import nn
from torch.nn import functional

BATCH = 2000
SMOOTHING = 0.2


class Net(nn.Module):
    """Whitening convolution, three groups of two convolutions, a head; logits divided by their number of features."""

    def __init__(self, widths: tuple[int, ...] = (64, 256, 256), classes: int = 10):
        super().__init__()
        self.whiten = nn.Conv2d(3, 24, 2)
        self.whiten.weight.requires_grad = False
        self.convs, self.norms = nn.ModuleList(), nn.ModuleList()
        i = 24
        for o in widths:
            for _ in range(2):
                conv, norm = nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o, eps=1e-12, momentum=0.4)
                nn.init.dirac_(conv.weight.data[:i])
                norm.weight.requires_grad = False
                self.convs.append(conv)
                self.norms.append(norm)
                i = o
        self.head = nn.Linear(i, classes, bias=False)
        self.head.weight.data /= self.head.weight.data.std()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.gelu(self.whiten(x))
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = conv(x)
            x = x if i % 2 else functional.max_pool2d(x, 2)
            x = functional.gelu(norm(x))
        x = functional.max_pool2d(x, 3).flatten(1)
        return self.head(x) / x.shape[-1]


def newton_schulz(matrix: torch.Tensor, steps: int = 3) -> torch.Tensor:
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix / (matrix.norm() + 1e-7)
    wide = x.T if x.shape[0] > x.shape[1] else x
    for _ in range(steps):
        gram = wide @ wide.T
        wide = a * wide + (b * gram + c * gram @ gram) @ wide
    return wide.T if x.shape[0] > x.shape[1] else wide


class Recipe:
    """The optimizers of a network and their rates: `step(x, y)` is one update and returns the mean loss before it."""

    def __init__(self, net: Net, steps: int, whiten_steps: int, batch: int = BATCH):
        self.net, self.steps, self.whiten_steps, self.count = net, steps, whiten_steps, 0
        decay = 2e-6 * batch
        groups = (([net.whiten.bias], 0.053), ([norm.bias for norm in net.norms], 0.053), ([net.head.weight], 0.67))
        self.sgd = torch.optim.SGD(
            [{"params": params, "lr": lr, "first": lr, "weight_decay": decay / lr} for params, lr in groups],
            momentum=0.85,
            nesterov=True,
        )
        self.buffers = [torch.zeros_like(conv.weight) for conv in net.convs]

    def step(self, x: torch.Tensor, y: torch.Tensor) -> float:
        self.net.train()
        self.net.whiten.bias.requires_grad = self.count < self.whiten_steps
        self.sgd.zero_grad()
        for conv in self.net.convs:
            conv.weight.grad = None
        loss = functional.cross_entropy(self.net(x), y, label_smoothing=SMOOTHING, reduction="sum")
        loss.backward()
        left = 1 - self.count / self.steps
        for i, group in enumerate(self.sgd.param_groups):
            group["lr"] = group["first"] * (left if i else max(0.0, 1 - self.count / self.whiten_steps))
        self.sgd.step()
        with torch.no_grad():
            for conv, buffer in zip(self.net.convs, self.buffers, strict=True):
                weight, grad = conv.weight, conv.weight.grad
                buffer.mul_(0.6).add_(grad)
                direction = grad + 0.6 * buffer
                weight.mul_(len(weight) ** 0.5 / weight.norm())
                weight.sub_(0.24 * left * newton_schulz(direction.flatten(1)).view_as(weight))
        self.count += 1
        return loss.item() / len(x)


@torch.no_grad()
def averaged_logits(net: Net, x: torch.Tensor) -> torch.Tensor:
    """Half the mean of an image and its mirror, half that of both, shifted up-left and down-right."""
    net.eval()

    def both(x: torch.Tensor) -> torch.Tensor:
        return (net(x) + net(x.flip(-1))) / 2

    height, width = x.shape[-2:]
    wide = functional.pad(x, (1,) * 4, "reflect")
    shifted = [both(wide[:, :, at : at + height, at : at + width]) for at in (0, 2)]
    return both(x) / 2 + sum(shifted) / 4
