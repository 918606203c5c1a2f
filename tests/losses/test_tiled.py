"""The loss over a vocabulary in tiles: the plain form's values, tokens and gradients, and no array of rows x vocab."""

import jax
import numpy as np
import pytest

from jaxdl.losses.sequence import label_smoothed_nll, tiled_nll
from jaxdl.models.transformer import Config, Decoder
from jaxdl.models.transformer_heads import MaskedLanguageModel
from jaxdl.tasks.language import MaskedToken, NextToken
from jaxdl.types import UserError
from tests.programs import one_program

VOCAB, WIDTH = 11, 6
RANDOM = np.random.default_rng(0)
HIDDEN = RANDOM.normal(size=(3, 5, WIDTH)).astype(np.float32)
TABLE, BIAS = RANDOM.normal(size=(VOCAB, WIDTH)).astype(np.float32), RANDOM.normal(size=VOCAB).astype(np.float32)
TOKENS = RANDOM.integers(0, VOCAB, (3, 5))
TOKENS[0, 0] = -100
MASK = np.float32(RANDOM.random((3, 5)) < 0.8)


@pytest.mark.parametrize("tile", [1, 4, 11, 64])
@pytest.mark.parametrize("biased", [True, False])
def test_equals_the_plain_form(tile, biased):
    """For tiles that do not divide the vocabulary, too, with smoothing and padding."""
    weights = RANDOM.normal(size=(3, 5)).astype(np.float32)
    bias = BIAS if biased else None

    def plain(hidden, table):
        logits = hidden @ table.T + (0 if bias is None else bias[None, None])
        return (weights * label_smoothed_nll(logits, TOKENS, smoothing=0.2, mask=MASK)).sum(), logits.argmax(-1)

    def tiled(hidden, table):
        nll, best = tiled_nll(hidden, table, TOKENS, tile=tile, bias=bias, smoothing=0.2, mask=MASK)
        return (weights * nll).sum(), best

    both = [jax.value_and_grad(f, argnums=(0, 1), has_aux=True) for f in (plain, tiled)]
    ((loss, best), grads), ((ours, found), gradients) = one_program(lambda *a: [f(*a) for f in both], HIDDEN, TABLE)
    assert ours == pytest.approx(loss, rel=1e-5)
    np.testing.assert_array_equal(found, best)
    for a, b in zip(gradients, grads, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parity
def test_equals_pytorchs_cross_entropy():
    import torch

    hidden, table = (torch.tensor(a, requires_grad=True) for a in (HIDDEN.reshape(-1, WIDTH), TABLE))
    loss = torch.nn.functional.cross_entropy(hidden @ table.T, torch.tensor(TOKENS.reshape(-1)), reduction="sum")
    loss.backward()
    run = jax.value_and_grad(lambda h, t: tiled_nll(h, t, TOKENS, tile=4)[0].sum(), argnums=(0, 1))
    ours, gradients = one_program(run, HIDDEN, TABLE)
    assert ours == pytest.approx(loss.item(), rel=1e-5)
    np.testing.assert_allclose(gradients[0].reshape(-1, WIDTH), hidden.grad, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(gradients[1], table.grad, rtol=1e-4, atol=1e-5)


def test_tokens_outside_of_the_vocabulary_are_not_a_number():
    nll, _ = one_program(lambda h: tiled_nll(h, TABLE, np.array([-100, -1, 0, 10, 11]), tile=4), HIDDEN[0])
    assert nll[0] == 0
    assert np.isnan(nll[[1, 4]]).all()
    assert np.isfinite(nll[2:4]).all()


@pytest.mark.parametrize("tied", [True, False])
def test_a_step_holds_no_logits_of_all_tokens_and_has_the_plain_gradient(tied):
    """2·8 rows of 512 tokens: the plain lowered text has arrays of 16 x 512, that of tiles of 64 has none."""
    config = Config(vocab=512, width=8, depth=1, heads=2, hidden=8, order="first", tied=tied, logit_bias=True)
    x = RANDOM.integers(0, 512, (2, 9))
    batch = {"x": x[:, :-1], "y": x[:, 1:], "mask": np.float32([1, 1])}
    tasks = [NextToken(Decoder(config), smoothing=0.1, tile=tile) for tile in (None, 64)]
    params = jax.jit(lambda key: tasks[0].init(key, batch)[0])(jax.random.key(1))
    assert jax.tree.structure(params) == jax.tree.structure(
        jax.eval_shape(lambda key: tasks[1].init(key, batch)[0], jax.random.key(1))
    )
    steps = [
        jax.jit(
            jax.value_and_grad(lambda p, task=task: task.objective(p, {}, batch, jax.random.key(0), 0, train=True)[0])
        )
        for task in tasks
    ]
    texts = [step.lower(params).as_text() for step in steps]
    whole = ("tensor<16x512xf32>", "tensor<2x8x512xf32>")
    assert [any(shape in text for shape in whole) for text in texts] == [True, False]
    (loss, grads), (ours, gradients) = (jax.device_get(step(params)) for step in steps)
    assert ours == pytest.approx(loss, rel=1e-5)
    for a, b in zip(jax.tree.leaves(gradients), jax.tree.leaves(grads), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)


def test_a_model_that_gives_logits_only_is_refused():
    config = Config(vocab=7, width=8, depth=1, heads=2, hidden=8, order="first")
    with pytest.raises(UserError, match=r"tile = 64 needs a model that takes factored=True, as Decoder"):
        MaskedToken(MaskedLanguageModel(config), tile=64)
    with pytest.raises(UserError, match="tile"):
        NextToken(Decoder(config), tile=0)
