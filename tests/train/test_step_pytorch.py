"""Ten training steps through the whole program are PyTorch's."""

import numpy as np
import pytest

from jaxdl import optim
from jaxdl.data.stream import InMemory, rows_of_step
from jaxdl.experiment import Experiment
from jaxdl.models.cnn import CNN
from jaxdl.models.mlp import MLP
from jaxdl.tasks.classification import Classification
from tests.train.test_step import advance, close, mean_of


def images(n=40, side=6):
    rng = np.random.default_rng(0)
    return {
        "x": rng.normal(size=(n, side, side, 1)).astype(np.float32),
        "y": rng.integers(0, 3, n).astype(np.int32),
    }


def torch_mlp(torch):
    layers = torch.nn
    return layers.Sequential(layers.Flatten(), layers.Linear(36, 16), layers.ReLU(), layers.Linear(16, 3))


def torch_cnn(torch):
    layers = torch.nn
    return layers.Sequential(
        *(layers.Conv2d(1, 4, 3, padding=1), layers.ReLU(), layers.MaxPool2d(2)),
        *(layers.Conv2d(4, 8, 3, padding=1), layers.ReLU(), layers.MaxPool2d(2)),
        *(layers.Flatten(), layers.Linear(8, 3)),
    )


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


NETS = {"mlp": (torch_mlp, MLP(features=(16,), classes=3)), "cnn": (torch_cnn, CNN(features=(4, 8), classes=3))}
OPTIMIZERS = {
    "sgd": (
        lambda torch, p: torch.optim.SGD(p, 0.05, momentum=0.9),
        lambda: optim.momentum(0.05, b=0.9),
    ),
    "adamw": (
        lambda torch, p: torch.optim.AdamW(p, 0.01, weight_decay=0.1),
        lambda: optim.adamw(0.01, decay=0.1, mask=optim.everything),
    ),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("net", NETS)
def test_ten_steps_are_pytorchs(net, optimizer):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    (make, model), (theirs, ours), seed, batch = NETS[net], OPTIMIZERS[optimizer], 3, 8
    arrays = images()
    network = make(torch)
    start = copied(network)
    exp = Experiment(
        data=InMemory({"train": arrays}, batch), task=Classification(model), optimizer=ours(), steps=10, seed=seed
    )
    state = advance(exp, 10, start=start)

    rule, losses = theirs(torch, network.parameters()), []
    for step in range(10):
        rows = rows_of_step(seed, step, batch, 40)
        x, y = torch.tensor(arrays["x"][rows].transpose(0, 3, 1, 2)), torch.tensor(arrays["y"][rows]).long()
        loss = torch.nn.functional.cross_entropy(network(x), y)
        rule.zero_grad()
        loss.backward()
        rule.step()
        losses.append(loss.item())
    assert mean_of(state, "loss") == pytest.approx(np.mean(losses), rel=1e-6)
    # Adam divides by the size of a gradient: where that is near zero, rounding shows
    close(state.params, copied(network), rtol=1e-5, atol={"sgd": 1e-6, "adamw": 1e-5}[optimizer])


# -- micro-batches -----------------------------------------------------------------------------------------------------
