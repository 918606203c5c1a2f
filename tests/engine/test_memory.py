"""Less memory, the same step: recomputation by block, and micro-batches that know which rows they are."""

from dataclasses import replace
from functools import partial

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
from jaxdl.models.vision import run_block
from jaxdl.tasks.classification import Classification
from jaxdl.tracing import recompute_block, recomputing, row_numbers, rows_from
from tests.programs import one_program


class Block(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
        return x + Dropout(0.3)(jnp.tanh(Dense(6)(x)), train=train)


class Blocks(nn.Module):
    classes: int = 3

    @nn.compact
    def __call__(self, x, *, train):
        for i in range(4):
            x = run_block(Block(name=f"block{i}"), x, train=train)
        return Dense(self.classes)(x)


def by_hand(tiny, model, **changes):
    return replace(tiny.config(), stop=None, task=Classification(model=model), **changes)


def loss_and_gradient(exp, state, batch):
    return gradient(exp, exp.task.phases[0], state, batch, jax.random.key(5), None)[:2]


def first_batch(exp):
    return {**{k: v[:16] for k, v in exp.data.splits["train"].items()}, "mask": np.ones(16, np.float32)}


def of_both(tiny, model):
    """The jaxprs of loss and gradient without and with recomputation, and what they give."""
    exps = [by_hand(tiny, model, remat=remat) for remat in (False, True)]
    batch = first_batch(exps[0])
    shapes = jax.eval_shape(lambda: init_state(exps[0]))
    jaxprs = [jax.make_jaxpr(partial(loss_and_gradient, exp))(shapes, batch) for exp in exps]

    def both(batch):
        state = init_state(exps[0])
        return [loss_and_gradient(exp, state, batch) for exp in exps]

    return jaxprs, one_program(both, batch)


def remats(jaxpr):
    """How many regions are computed again, and on how many values they work."""
    return [len(eqn.invars) for eqn in jaxpr.jaxpr.eqns if eqn.primitive.name in ("checkpoint", "remat", "remat2")]


def test_a_model_with_blocks_recomputes_each(tiny):
    (plain, lean), ((loss, grads), (lean_loss, lean_grads)) = of_both(tiny, Blocks())
    assert remats(plain) == []
    assert len(remats(lean)) == 4  # one region a block, in the backward pass
    np.testing.assert_allclose(loss, lean_loss, rtol=1e-6)
    for a, b in zip(jax.tree.leaves(grads), jax.tree.leaves(lean_grads), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6, rtol=0)  # the same masks, too


def test_a_model_without_blocks_keeps_its_products(tiny):
    (_, lean), ((loss, grads), (lean_loss, lean_grads)) = of_both(tiny, MLP(features=(8,), classes=3, rate=0.3))
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
        jax.eval_shape(lambda batch: loss_and_gradient(exp, init_state(exp), batch), first_batch(exp))


@pytest.mark.slow
@pytest.mark.programs(40, "a whole training")
def test_batch_statistics_of_micro_batches_are_said(tiny, tmp_path, capfd, no_report):
    exp = by_hand(tiny, MLP(features=(8,), classes=3, norm=BatchNorm), accumulate=2, steps=2)
    train(lambda: exp, run=tmp_path, quiet=True)
    assert "note: batch statistics are those of micro-batches of 8, not of 16" in capfd.readouterr().err
