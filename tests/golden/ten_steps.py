"""Makes ten_steps.npz: ten steps of PyTorch's SGD and AdamW from its own first weights, on batches in our order.

Run: PYTHONPATH=. python tests/golden/ten_steps.py     (needs the extra `parity`)
Weights are in our layout and under our names.
"""

from pathlib import Path

import numpy as np

from jaxdl.data.order import rows_of_step

FILE = Path(__file__).with_suffix(".npz")
NETS, OPTIMIZERS = ("mlp", "cnn"), ("sgd", "adamw")
STEPS, ORDER, BATCH, ROWS, SIDE = 10, 3, 8, 40, 6
"""Steps, the seed of the order of the data, examples in a batch and in all, pixels of a side."""


def images():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, SIDE, SIDE, 1)).astype(np.float32)
    return {"x": x, "y": rng.integers(0, 3, ROWS).astype(np.int32)}


def network(name):
    from torch import nn

    if name == "mlp":
        return nn.Sequential(nn.Flatten(), nn.Linear(36, 16), nn.ReLU(), nn.Linear(16, 3))
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(4, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(8, 3)),
    )


def optimizer(name, parameters):
    from torch import optim

    if name == "sgd":
        return optim.SGD(parameters, 0.05, momentum=0.9)
    return optim.AdamW(parameters, 0.01, weight_decay=0.1)


def copied(net):
    """PyTorch's weights in our layout and names; the last map is 1x1, so that flattening needs no permutation."""
    params = {}
    for layer in net:
        if hasattr(layer, "weight"):
            w = layer.weight.detach().numpy()
            kind, kernel = ("Conv", w.transpose(2, 3, 1, 0)) if w.ndim == 4 else ("Dense", w.T)
            number = sum(name.startswith(kind) for name in params)
            params[f"{kind}_{number}"] = {"kernel": kernel.copy(), "bias": layer.bias.detach().numpy().copy()}
    return params


def ten_steps(net, rule, seed):
    """The first weights, the last ones, and the mean of the losses, of weights drawn from a seed."""
    import torch

    torch.manual_seed(seed)
    arrays, net = images(), network(net)
    start, rule, losses = copied(net), optimizer(rule, net.parameters()), []
    for step in range(STEPS):
        rows = rows_of_step(ORDER, step, BATCH, ROWS)
        x, y = torch.tensor(arrays["x"][rows].transpose(0, 3, 1, 2)), torch.tensor(arrays["y"][rows]).long()
        loss = torch.nn.functional.cross_entropy(net(x), y)
        rule.zero_grad()
        loss.backward()
        rule.step()
        losses.append(loss.item())
    return start, copied(net), np.mean(losses)


def stored(net, rule):
    """The same from the file, for seed 0."""
    found = {"start": {}, "end": {}}
    with np.load(FILE) as file:
        for when in found:
            for key in (key for key in file.files if key.startswith(f"{net}/{rule}/{when}/")):
                layer, name = key.split("/")[3:]
                found[when].setdefault(layer, {})[name] = file[key]
        return found["start"], found["end"], file[f"{net}/{rule}/loss"]


def main():
    out = {}
    for net in NETS:
        for rule in OPTIMIZERS:
            *weights, out[f"{net}/{rule}/loss"] = ten_steps(net, rule, 0)
            for when, layers in zip(("start", "end"), weights, strict=True):
                for layer, params in layers.items():
                    out |= {f"{net}/{rule}/{when}/{layer}/{name}": a for name, a in params.items()}
    np.savez_compressed(FILE, **out)


if __name__ == "__main__":
    main()
