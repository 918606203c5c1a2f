"""Less memory, the same step: recomputation by block, and micro-batches that know which rows they are."""

from dataclasses import replace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import train
from jaxdl.engine.step import gradient, init_state
from jaxdl.layers.dense import Dense
from jaxdl.layers.dropout import Dropout
from jaxdl.layers.normalization import BatchNorm
from jaxdl.models.mlp import MLP
from jaxdl.models.vision import run
from jaxdl.tasks.classification import Classification
from jaxdl.tracing import recompute_block, recomputing, row_numbers, rows_from


class Block(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
        return x + Dropout(0.3)(jnp.tanh(Dense(6)(x)), train=train)


class Blocks(nn.Module):
    classes: int = 3

    @nn.compact
    def __call__(self, x, *, train):
        for i in range(4):
            x = run(Block(name=f"block{i}"), x, train=train)
        return Dense(self.classes)(x)


def by_hand(tiny, model, **changes):
    return replace(tiny.config(), origin=None, stop=None, task=Classification(model=model), **changes)


def loss_and_gradient(exp):
    state = init_state(exp)
    batch = {**{k: jnp.asarray(v[:16]) for k, v in exp.data.splits["train"].items()}, "mask": jnp.ones(16)}

    def both(state, batch):
        return gradient(exp, exp.task.phases[0], state, batch, jax.random.key(5), None)[:2]

    return jax.make_jaxpr(both)(state, batch), jax.jit(both)(state, batch)


def remats(jaxpr):
    """How many regions are computed again, and on how many values they work."""
    return [len(eqn.invars) for eqn in jaxpr.jaxpr.eqns if eqn.primitive.name in ("checkpoint", "remat", "remat2")]


def test_a_model_with_blocks_recomputes_each(tiny):
    plain, (loss, grads) = loss_and_gradient(by_hand(tiny, Blocks()))
    lean, (lean_loss, lean_grads) = loss_and_gradient(by_hand(tiny, Blocks(), remat=True))
    assert remats(plain) == []
    assert len(remats(lean)) == 4  # one region a block, in the backward pass
    np.testing.assert_allclose(loss, lean_loss, rtol=1e-6)
    for a, b in zip(jax.tree.leaves(grads), jax.tree.leaves(lean_grads), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6, rtol=0)  # the same masks, too


def test_a_model_without_blocks_keeps_its_products(tiny):
    _, (loss, grads) = loss_and_gradient(by_hand(tiny, MLP(features=(8,), classes=3, rate=0.3)))
    lean, (lean_loss, lean_grads) = loss_and_gradient(
        by_hand(tiny, MLP(features=(8,), classes=3, rate=0.3), remat=True)
    )
    assert len(remats(lean)) == 1
    inside = next(e for e in lean.jaxpr.eqns if e.primitive.name in ("checkpoint", "remat", "remat2")).params["jaxpr"]
    products = [e.primitive.name for e in inside.eqns if e.primitive.name == "dot_general"]
    assert (
        len(products) == 3
    )  # two for the gradients of the kernels, one for the hidden layer; none of the forward pass
    np.testing.assert_allclose(loss, lean_loss, rtol=1e-6)
    for a, b in zip(jax.tree.leaves(grads), jax.tree.leaves(lean_grads), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6, rtol=0)


def test_blocks_are_asked_only_inside():
    assert not recompute_block()
    with recomputing() as asked:
        assert recompute_block()
        assert recompute_block()
    assert asked == [True, True]
    assert not recompute_block()


def test_micro_batches_are_every_other_row():
    assert row_numbers(3).tolist() == [0, 1, 2]
    with rows_from(5, 4):
        assert row_numbers(3).tolist() == [5, 9, 13]


def test_what_is_carried_by_row_cannot_be_cut(tiny):
    exp = by_hand(tiny, MLP(features=(8,), classes=3, norm=BatchNorm), accumulate=2)
    exp = replace(exp, task=replace(exp.task, reduce={"batch_stats": "example"}))
    with pytest.raises(ValueError, match="accumulate = 2 cannot cut 'batch_stats', which carries on every row"):
        loss_and_gradient(exp)


def test_batch_statistics_of_micro_batches_are_said(tiny, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr("jaxdl.record.report.write_report", lambda *_: None)
    exp = by_hand(tiny, MLP(features=(8,), classes=3, norm=BatchNorm), accumulate=2, steps=2)
    train(exp, run=tmp_path, quiet=True)
    assert "note: batch statistics are those of micro-batches of 8, not of 16" in capfd.readouterr().err
