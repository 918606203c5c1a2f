"""One run of a sheet network in PyTorch (a golden file, or live), and the same run here from the copied weights."""

import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

GOLDEN = Path(__file__).parents[1] / "golden"
OPTIMIZERS = {"sgd": lambda: optax.sgd(0.1), "adam": lambda: optax.adam(1e-2)}


def recorded(name, live):
    """The arrays of one network: from the golden file, or computed now by the script that made it."""
    if live:
        spec = importlib.util.spec_from_file_location("mlp_cnn", GOLDEN / "mlp_cnn.py")
        script = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(script)
        arrays = script.record(name)
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

    x, y = arrays["x"].transpose(0, 1, 3, 4, 2), arrays["y"]
    start = jax.tree.map(jnp.asarray, tree("start"))
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), x[0], train=False))["params"]
    assert jax.tree.map(jnp.shape, start) == jax.tree.map(jnp.shape, shapes)
    logits = model.apply({"params": start}, x[0], train=False)
    np.testing.assert_allclose(logits, arrays["logits"], rtol=1e-5, atol=1e-6)
    gradient = jax.jit(jax.grad(loss_of))(start, x[0], y[0])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), gradient, tree("gradient"))
    for name, make in OPTIMIZERS.items():
        optimizer = make()

        def step(state, batch, optimizer=optimizer):
            params, opt_state = state
            loss, grads = jax.value_and_grad(loss_of)(params, *batch)
            updates, opt_state = optimizer.update(grads, opt_state, params)
            return (optax.apply_updates(params, updates), opt_state), loss

        (params, _), losses = jax.jit(lambda s, xy, step=step: jax.lax.scan(step, s, xy))(
            (start, optimizer.init(start)), (x, y)
        )
        np.testing.assert_allclose(losses, arrays[f"{name}/losses"], rtol=1e-5)
        # Adam divides by the size of the gradient, so a gradient near zero makes rounding visible
        atol = {"sgd": 1e-6, "adam": 1e-5}[name]
        jax.tree.map(lambda a, b, atol=atol: np.testing.assert_allclose(a, b, rtol=1e-5, atol=atol), params, tree(name))
