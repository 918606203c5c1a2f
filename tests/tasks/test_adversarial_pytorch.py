"""Ten updates of both players are those of a plain PyTorch loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import optim
from jaxdl.data.order import rows_of_step
from jaxdl.data.source import InMemory
from jaxdl.experiment import Experiment
from jaxdl.losses.adversarial import nonsaturating, wasserstein
from jaxdl.models.gan import DCGANCritic, DCGANGenerator, MLPCritic, MLPGenerator
from jaxdl.runs.prepare import prepare
from jaxdl.setup import Setup
from jaxdl.tasks.adversarial import Adversarial
from tests.tasks.test_adversarial import advance


def torch_dcgan(nn):
    generator = [nn.Linear(5, 4 * 4 * 8, bias=False), Channels(nn, 4), nn.BatchNorm2d(8), nn.ReLU()]
    generator += [nn.ConvTranspose2d(8, 4, 4, 2, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU()]
    generator += [nn.ConvTranspose2d(4, 1, 4, 2, 1, bias=False), nn.Tanh()]
    critic = [nn.Conv2d(1, 4, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
    critic += [nn.Conv2d(4, 8, 4, 2, 1, bias=False), nn.BatchNorm2d(8), nn.LeakyReLU(0.2)]
    critic += [nn.Conv2d(8, 1, 4, bias=False), nn.Flatten(0)]
    return nn.Sequential(*generator), nn.Sequential(*critic)


def torch_mlp(nn):
    generator = [nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 256), nn.Unflatten(1, (1, 16, 16))]
    critic = [nn.Flatten(), nn.Linear(256, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1), nn.Flatten(0)]
    return nn.Sequential(*generator), nn.Sequential(*critic)


def Channels(nn, side):
    """A flat map of ours, channels last, as PyTorch's."""

    class Reshape(nn.Module):
        def forward(self, x):
            return x.reshape(len(x), side, side, -1).permute(0, 3, 1, 2)

    return Reshape()


def weights(net, params, write):
    """PyTorch's arrays in our layout, as a list; with `write` the arrays of ours are first put in."""
    import torch

    layers = [layer for layer in net if hasattr(layer, "weight")]
    counted, found = {}, []
    for layer in layers:
        kind = type(layer).__name__
        name = {"Linear": "Dense", "Conv2d": "Conv", "ConvTranspose2d": "ConvTranspose", "BatchNorm2d": "BatchNorm"}[
            kind
        ]
        final = kind == "Conv2d" and layer.kernel_size == (4, 4) and layer.stride == (1, 1)
        name = "Dense" if final else name
        ours = params[f"{name}_{counted.setdefault(name, 0)}"]
        counted[name] += 1
        if kind == "BatchNorm2d":
            pairs = [
                (layer.weight, ours["scale"], lambda a: a, lambda a: a),
                (layer.bias, ours["bias"], lambda a: a, lambda a: a),
            ]
        else:
            there, back = {
                "Linear": (lambda a: a.T, lambda a: a.T),
                "Conv2d": (
                    (
                        lambda a: a.reshape(4, 4, -1).transpose(2, 0, 1)[None],
                        lambda a: a[0].transpose(1, 2, 0).reshape(-1, 1),
                    )
                    if final
                    else (lambda a: a.transpose(3, 2, 0, 1), lambda a: a.transpose(2, 3, 1, 0))
                ),
                "ConvTranspose2d": (
                    lambda a: a[::-1, ::-1].transpose(2, 3, 0, 1),
                    lambda a: a.transpose(2, 3, 0, 1)[::-1, ::-1],
                ),
            }[kind]
            pairs = [(layer.weight, ours["kernel"], there, back)]
            if layer.bias is not None:
                pairs.append((layer.bias, ours["bias"], lambda a: a, lambda a: a))
        for tensor, array, there, back in pairs:
            if write:
                with torch.no_grad():
                    tensor.copy_(torch.tensor(there(np.asarray(array)).copy()))
            found.append((back(tensor.detach().numpy()), np.asarray(array)))
    return found


GAMES = {
    "DCGAN": (
        torch_dcgan,
        Adversarial(DCGANGenerator((16, 16, 1), 4), DCGANCritic(4), loss=nonsaturating, latent=5),
    ),
    "WGAN-GP": (
        torch_mlp,
        Adversarial(
            MLPGenerator((16, 16, 1), (16,)), MLPCritic((16,)), loss=wasserstein, latent=5, critic_steps=2, penalty=10.0
        ),
    ),
}


@pytest.mark.programs(8, "a game, and each of its draws by itself")
@pytest.mark.parity
@pytest.mark.parametrize("game", GAMES)
def test_ten_updates_are_those_of_a_plain_pytorch_loop(game):
    torch = pytest.importorskip("torch")
    make, task = GAMES[game]
    batch, seed, k = 6, 3, task.critic_steps
    images = np.random.default_rng(0).uniform(-1, 1, (40, 16, 16, 1)).astype(np.float32)
    # a Wasserstein critic's last bias has no gradient but rounding, which a small ε would make steps of
    eps, lr = 1e-4, {"generator": 1e-3, "critic": 2e-3}
    rates = {name: optim.adam(value, b1=0.5, eps=eps) for name, value in lr.items()}
    exp = Experiment(data=InMemory({"train": {"x": images}}, batch), task=task, optimizer=rates, steps=10, seed=seed)
    ready = prepare(Setup.of(lambda: exp, {}))
    start = ready.init()
    torch.manual_seed(0)
    nets = dict(zip(("generator", "critic"), make(torch.nn), strict=True))
    for name, net in nets.items():
        weights(net, start.params[name], write=True)
    generator, critic = nets["generator"], nets["critic"]
    rules = {name: torch.optim.Adam(net.parameters(), lr[name], (0.5, 0.999), eps) for name, net in nets.items()}
    softplus, fold = torch.nn.functional.softplus, jax.random.fold_in
    wants = {
        "DCGAN": (lambda r, f: softplus(-r) + softplus(f), lambda f: softplus(-f)),
        "WGAN-GP": (lambda r, f: f - r, lambda f: -f),
    }
    critic_loss, generator_loss = wants[game]
    as_torch = lambda a: torch.tensor(np.asarray(a).transpose(0, 3, 1, 2).copy())
    state, told = advance(ready, 10), []
    noise_of = jax.jit(lambda key: task.noise_of(key, jnp.arange(batch)))
    shares = jax.jit(lambda key: jax.vmap(lambda i: jax.random.uniform(fold(key, i)))(jnp.arange(batch)))
    keys = jax.jit(lambda key, step, part, turn: fold(fold(fold(key, step), part), turn))
    for step in range(10):
        for r in range(k):
            key = keys(start.key, step, r, 1)
            real = as_torch(images[rows_of_step(seed, step * k + r, batch, 40)])
            noise = torch.tensor(np.asarray(noise_of(fold(key, 1))))
            made = generator(noise).detach()
            loss = critic_loss(critic(real), critic(made)).mean()
            if task.penalty is not None:
                u = torch.tensor(np.asarray(shares(fold(key, 2))))[:, None, None, None]
                mixed = (u * real + (1 - u) * made).requires_grad_()
                slope = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)[0]
                loss = loss + task.penalty * (slope.flatten(1).norm(dim=1) - 1).square().mean()
            rules["critic"].zero_grad()
            loss.backward()
            rules["critic"].step()
        noise = torch.tensor(np.asarray(noise_of(keys(start.key, step, 0, 2))))
        loss = generator_loss(critic(generator(noise))).mean()
        rules["generator"].zero_grad()
        loss.backward()
        rules["generator"].step()
        told.append(loss.item())
    total, weight = state.metrics["loss"]
    assert float(total / weight) == pytest.approx(np.mean(told), rel=1e-5)
    for name, net in nets.items():
        for theirs, ours in weights(net, state.params[name], write=False):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
