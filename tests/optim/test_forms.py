"""Optimizers against other libraries' forms, written down from their published definitions, ten steps each."""

import numpy as np
import pytest

from jaxdl import optim
from jaxdl.types import UserError
from tests.optim.test_optimizers import START, STEPS, falling, golden, take_steps


def keras_momentum(g, w, lr, t, memory, nesterov=False):
    m = memory["m"] = 0.9 * memory.get("m", 0) - lr * g
    return 0.9 * m - lr * g if nesterov else m


def keras_rmsprop(g, w, lr, t, memory):
    v = memory["v"] = 0.9 * memory.get("v", 0) + 0.1 * g**2
    m = memory["m"] = 0.5 * memory.get("m", 0) + lr * g / np.sqrt(v + 1e-7)
    return -m


def tf1_rmsprop(g, w, lr, t, memory):
    v = memory["v"] = memory.get("v", 1.0) + (g**2 - memory.get("v", 1.0)) * 0.1
    return -lr * g / np.sqrt(v + 1e-10)


def keras_adagrad(g, w, lr, t, memory):
    s = memory["s"] = memory.get("s", 0.1) + g**2
    return -lr * g / np.sqrt(s + 1e-7)


def keras_adam(g, w, lr, t, memory, decay=0.0):
    m = memory["m"] = memory.get("m", 0) + (g - memory.get("m", 0)) * 0.1
    v = memory["v"] = memory.get("v", 0) + (g**2 - memory.get("v", 0)) * 0.001
    return -lr * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-2) - lr * decay * w


def timm_lamb(g, w, lr, t, memory):
    m = memory["m"] = 0.9 * memory.get("m", 0) + 0.1 * g
    v = memory["v"] = 0.999 * memory.get("v", 0) + 0.001 * g**2
    u = (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-6)
    if w.ndim == 1:  # no decay, no adaptation
        return -lr * u
    u = u + 0.1 * w
    return -lr * u * np.linalg.norm(w) / np.linalg.norm(u)


FORMS = {
    "keras momentum": (optim.momentum(falling, preset="tf"), keras_momentum),
    "keras nesterov": (optim.nesterov(falling, preset="tf"), lambda *a: keras_momentum(*a, nesterov=True)),
    "keras rmsprop": (optim.rmsprop(falling, momentum=0.5, preset="keras"), keras_rmsprop),
    "tf1 rmsprop": (optim.rmsprop(falling, preset="tf"), tf1_rmsprop),
    "keras adagrad": (optim.adagrad(falling, preset="tf"), keras_adagrad),
    "keras adam": (optim.adam(falling, eps=1e-2, preset="tf"), keras_adam),
    "keras adamw": (
        optim.adamw(falling, eps=1e-2, decay=0.1, mask=optim.everything, preset="tf"),
        lambda *a: keras_adam(*a, decay=0.1),
    ),
    "timm lamb": (optim.lamb(falling, decay=0.1), timm_lamb),
}


@pytest.mark.parametrize("name", FORMS)
def test_published_form(name):
    tx, form = FORMS[name]
    params = {key: w.astype("f8") for key, w in START.items()}
    memory = {key: {} for key in params}
    for t in range(STEPS):
        grads = golden["gradient"](params, t)
        if "lamb" in name:
            length = np.sqrt(sum((g**2).sum() for g in grads.values()))
            grads = {key: g / max(length, 1.0) for key, g in grads.items()}
        params = {key: w + form(grads[key], w, falling(t), t + 1, memory[key]) for key, w in params.items()}
    ours, *_ = take_steps(tx)
    for key, w in params.items():
        np.testing.assert_allclose(ours[key], w, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("constructor", [optim.momentum, optim.nesterov, optim.rmsprop, optim.adam])
def test_presets_differ_and_are_checked(constructor):
    by_preset = [
        take_steps(constructor(falling, preset=preset, **({"eps": 1e-2} if constructor is optim.adam else {})))[0]
        for preset in ("torch", "tf")
    ]
    assert not np.allclose(by_preset[0]["kernel"], by_preset[1]["kernel"], atol=1e-3)
    with pytest.raises(UserError, match=r"preset = 'tensorflow'.*'torch'"):
        constructor(0.1, preset="tensorflow")
