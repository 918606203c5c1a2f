"""Which parameters are decayed, scaled, frozen: on a tree as our models have it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl import optim, parameters
from jaxdl.optim import groups


def array(*shape):
    return jnp.ones(shape)


def block():
    return {
        "norm": {"scale": array(4), "bias": array(4)},
        "attention": {"query": {"kernel": array(4, 2, 2), "bias": array(2, 2)}},
        "mlp": {"kernel": array(4, 8), "bias": array(8)},
    }


TREE = {
    "patch_embed": {"kernel": array(2, 2, 3, 4), "bias": array(4)},
    "position_embedding": array(1, 9, 4),
    "position": {"embedding": array(9, 4)},
    "token_embedding": {"embedding": array(11, 4)},
    "block_0": block(),
    "block_1": block(),
    "stacked": {"scale": array(2, 4), "gamma": array(2, 4), "beta": array(2, 4), "kernel": array(2, 4, 4)},
    "temperature": array(),
    "head": {"kernel": array(4, 3), "bias": array(3)},
}


def names(mask):
    flat, _ = jax.tree_util.tree_flatten_with_path(mask)
    return {groups.path_name(path) for path, on in flat if on}


BLOCK_MATRICES = {f"block_{i}/{name}" for i in (0, 1) for name in ("attention/query/kernel", "mlp/kernel")}


def test_decayed():
    outer = {"patch_embed/kernel", "token_embedding/embedding", "stacked/kernel", "head/kernel"}
    assert names(optim.decayed(TREE)) == BLOCK_MATRICES | outer
    assert all(isinstance(leaf, bool) for leaf in jax.tree.leaves(optim.decayed(TREE)))
    assert all(jax.tree.leaves(optim.everything(TREE)))


def test_hidden_matrices():
    assert names(parameters.hidden_matrices(TREE)) == BLOCK_MATRICES | {"stacked/kernel"}


def test_matching():
    assert names(optim.matching("^head", r"block_1/mlp")(TREE)) == {
        "head/kernel",
        "head/bias",
        "block_1/mlp/kernel",
        "block_1/mlp/bias",
    }


@pytest.mark.parametrize("constructor", [optim.adamw, optim.lion, optim.muon, optim.adan, optim.prodigy, optim.sgd])
def test_decay_is_masked_in(constructor):
    """With no gradient only what is decayed moves."""
    tx = constructor(0.1, decay=0.5)
    zeros = jax.tree.map(jnp.zeros_like, TREE)
    updates, _ = tx.update(zeros, tx.init(TREE), TREE)
    assert names(jax.tree.map(lambda u: bool(jnp.any(u != 0)), updates)) == names(optim.decayed(TREE))


def test_scale_groups_is_a_learning_rate_each():
    tx = optax.chain(optim.adamw(0.1, decay=0.3), optim.scale_groups({"^head": 0.5, "kernel": 2.0}))
    updates, _ = tx.update(TREE, tx.init(TREE), TREE)
    for factor, where in (
        (0.5, ("head", "kernel")),
        (2.0, ("block_0", "mlp", "kernel")),
        (1.0, ("block_1", "mlp", "bias")),
    ):
        alone = optim.adamw(0.1 * factor, decay=0.3)
        expected, _ = alone.update(TREE, alone.init(TREE), TREE)
        for key in where:
            expected, updates_here = expected[key], updates[key] if key == where[0] else updates_here[key]
        np.testing.assert_allclose(updates_here, expected, rtol=1e-6)
    with pytest.raises(ValueError, match="'haed' matches no parameter"):
        optim.scale_groups({"haed": 2.0}).init(TREE)


def test_scale_layers():
    tx = optim.scale_layers(0.5, depth=2)
    updates, _ = tx.update(TREE, tx.init(TREE))

    def scale(tree):
        return {float(u.max()) for u in jax.tree.leaves(tree)}

    assert scale(updates["head"]) == scale(updates["stacked"]) == {1.0}
    assert scale(updates["block_1"]) == {0.5}
    assert scale(updates["block_0"]) == {0.25}
    assert scale(updates["patch_embed"]) == scale(updates["position_embedding"]) == {0.125}


def test_scale_stages():
    """A stage at half the rate of the next, whatever the family calls them; a traced rate; 1 changes nothing."""
    names = ("positions", "block1", "block2", "norm", "head")
    params = {name: jnp.ones(2) for name in names}
    tx = optim.groups.scale_stages(jnp.float32(0.5))
    updates, _ = tx.update(params, tx.init(params))
    assert {name: float(u[0]) for name, u in updates.items()} == {
        "positions": 1 / 16,
        "block1": 1 / 8,
        "block2": 1 / 4,
        "norm": 1 / 2,
        "head": 1,
    }
    same, _ = optim.groups.scale_stages(1.0).update(params, None)
    assert {float(u[0]) for u in same.values()} == {1.0}


def test_freeze():
    tx = optim.freeze(optim.adamw(0.1), "^block_", "embed")
    state = tx.init(TREE)
    updates, _ = tx.update(TREE, state, TREE)
    moved = names(jax.tree.map(lambda u: bool(jnp.any(u != 0)), updates))
    assert moved == {
        name for name in names(optim.everything(TREE)) if not name.startswith("block_") and "embed" not in name
    }
    sizes = sum(leaf.size for leaf in jax.tree.leaves(state))
    trained = sum(p.size for p in jax.tree.leaves({k: TREE[k] for k in ("stacked", "temperature", "head")}))
    assert sizes == 2 * trained + 3  # two moments, two counters, the learning rate
    for patterns, message in ((("nothing",), "matches no parameter"), ((".",), "matches every parameter")):
        with pytest.raises(ValueError, match=message):
            optim.freeze(optim.sgd(0.1), *patterns).init(TREE)
