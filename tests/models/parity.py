"""One run of a sheet network in PyTorch (a golden file, or live), and the same run here from the copied weights."""

import runpy
from pathlib import Path

import chex
import jax
import numpy as np
import optax

from tests.programs import one_program

GOLDEN = Path(__file__).parents[1] / "golden"
OPTIMIZERS = {"sgd": lambda: optax.sgd(0.1), "adam": lambda: optax.adam(1e-2)}


def recorded(name, live):
    """The arrays of one network: from the golden file, or computed now by the script that made it."""
    if live:
        arrays = runpy.run_path(str(GOLDEN / "mlp_cnn.py"))["record"](name)
    else:
        with np.load(GOLDEN / "mlp_cnn.npz") as file:
            arrays = dict(file)
    return {key.removeprefix(f"{name}/"): value for key, value in arrays.items() if key.startswith(f"{name}/")}


def copied(arrays, prefix, layers, flattened):
    """PyTorch's weights in the trees here; `flattened`: the (channels, height, width) that the first dense layer sees."""
    names = sorted(
        {key.split("/")[1].split(".")[0] for key in arrays if key.startswith(f"{prefix}/") and "." in key}, key=int
    )
    params, first = {}, True
    for layer, name in zip(layers, names, strict=True):
        weight, bias = arrays[f"{prefix}/{name}.weight"], arrays[f"{prefix}/{name}.bias"]
        if weight.ndim == 4:
            kernel = weight.transpose(2, 3, 1, 0)  # OIHW -> HWIO
        elif first:  # PyTorch flattens channels first, we channels last
            first, (c, h, w) = False, flattened
            kernel = weight.reshape(-1, c, h, w).transpose(2, 3, 1, 0).reshape(c * h * w, -1)
        else:
            kernel = weight.T
        params[layer] = {"kernel": kernel, "bias": bias}
    return params


def assert_same_run(model, arrays, layers, flattened):
    """Logits, gradient, ten losses and the parameters after ten steps of SGD and of Adam."""

    def loss_of(params, x, y):
        return optax.softmax_cross_entropy_with_integer_labels(model.apply({"params": params}, x, train=True), y).mean()

    def tree(prefix):
        return copied(arrays, prefix, layers, flattened)

    def trained(make, start, batches):
        optimizer = make()

        def step(state, batch):
            params, opt_state = state
            loss, grads = jax.value_and_grad(loss_of)(params, *batch)
            updates, opt_state = optimizer.update(grads, opt_state, params)
            return (optax.apply_updates(params, updates), opt_state), loss

        (params, _), losses = jax.lax.scan(step, (start, optimizer.init(start)), batches)
        return params, losses

    def run(start, x, y):
        runs = {name: trained(make, start, (x, y)) for name, make in OPTIMIZERS.items()}
        return model.apply({"params": start}, x[0], train=False), jax.grad(loss_of)(start, x[0], y[0]), runs

    x, y, start = arrays["x"].transpose(0, 1, 3, 4, 2), arrays["y"], tree("start")
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), x[0], train=False))["params"]
    assert jax.tree.map(np.shape, start) == jax.tree.map(np.shape, shapes)
    logits, gradient, runs = one_program(run, start, x, y)
    np.testing.assert_allclose(logits, arrays["logits"], rtol=1e-5, atol=1e-6)
    chex.assert_trees_all_close(gradient, tree("gradient"), rtol=1e-5, atol=1e-7)
    for name, (params, losses) in runs.items():
        np.testing.assert_allclose(losses, arrays[f"{name}/losses"], rtol=1e-5)
        # Adam divides by the size of the gradient, so a gradient near zero makes rounding visible
        chex.assert_trees_all_close(params, tree(name), rtol=1e-5, atol={"sgd": 1e-6, "adam": 1e-5}[name])
