"""Makes mlp_cnn.npz: the sheet's Sequential networks in PyTorch, their gradients and ten steps of SGD and of Adam.

Run: python tests/golden/mlp_cnn.py     (needs the extra `parity`)
Arrays are PyTorch's, in PyTorch's layouts; tests/models/parity.py copies them over.
"""

from pathlib import Path

import numpy as np

OPTIMIZERS = {"sgd": {"lr": 0.1}, "adam": {"lr": 1e-2}}
BATCH, CLASSES, STEPS = 8, 5, 10
SHAPES = {"mlp": (3, 4, 4), "cnn": (3, 8, 8)}


def network(name):
    from torch import nn

    if name == "mlp":
        return nn.Sequential(
            nn.Flatten(), nn.Linear(48, 16), nn.ReLU(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, CLASSES)
        )
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(6 * 2 * 2, CLASSES),
    )


def record(name):
    """Everything about one network as a flat dictionary of arrays."""
    import torch

    out = {}
    for optimizer, options in OPTIMIZERS.items():
        torch.manual_seed(0)
        net = network(name)
        x, y = torch.randn(STEPS, BATCH, *SHAPES[name]), torch.randint(0, CLASSES, (STEPS, BATCH))
        out |= {f"start/{key}": value.clone() for key, value in net.state_dict().items()}
        out |= {"x": x, "y": y, "logits": net(x[0]).detach()}
        step = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[optimizer](net.parameters(), **options)
        losses = []
        for i in range(STEPS):
            step.zero_grad()
            loss = torch.nn.functional.cross_entropy(net(x[i]), y[i])
            loss.backward()
            if i == 0:
                out |= {f"gradient/{key}": value.grad.clone() for key, value in net.named_parameters()}
            step.step()
            losses.append(loss.item())
        out |= {f"{optimizer}/losses": np.array(losses, np.float32)}
        out |= {f"{optimizer}/{key}": value.clone() for key, value in net.state_dict().items()}
    return {f"{name}/{key}": np.asarray(value) for key, value in out.items()}


if __name__ == "__main__":
    np.savez_compressed(Path(__file__).with_suffix(".npz"), **record("mlp"), **record("cnn"))
