"""Which parameters are decayed, scaled, frozen: on a tree as our models have it."""

import re

import jax
import numpy as np
import optax
import pytest

from jaxdl import optim, parameters
from jaxdl.optim import groups
from jaxdl.types import UserError
from tests.programs import one_program
from tests.tables import rows


def array(*shape):
    return np.ones(shape, "f4")


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


def moved(updates):
    return names(jax.tree.map(lambda u: bool((u != 0).any()), updates))


def first_updates(tx, gradients):
    """The updates of TREE by one program; the transformation is made where it is traced."""
    return one_program(lambda gradients, params: tx.update(gradients, tx.init(params), params)[0], gradients, TREE)


@rows(
    {f.__name__: f for f in (optim.adamw, optim.lion, optim.muon, optim.adan, optim.prodigy, optim.sgd)},
    default=["adamw", "sgd"],
    name="constructor",
)
def test_decay_is_masked_in(constructor):
    """With no gradient only what is decayed moves."""
    zeros = jax.tree.map(np.zeros_like, TREE)
    assert moved(first_updates(constructor(0.1, decay=0.5), zeros)) == names(optim.decayed(TREE))


def test_scale_groups_is_a_learning_rate_each():
    scaled = optax.chain(optim.adamw(0.1, decay=0.3), optim.scale_groups({"^head": 0.5, "kernel": 2.0}))
    factors = {"head/kernel": 0.5, "block_0/mlp/kernel": 2.0, "block_1/mlp/bias": 1.0}
    small = {name: {"kernel": array(2, 3), "bias": array(3)} for name in ("head", "block_0", "block_1")}

    def everything(params):
        return [
            tx.update(params, tx.init(params), params)[0]
            for tx in (scaled, *(optim.adamw(0.1 * factor, decay=0.3) for factor in factors.values()))
        ]

    updates, *alone = one_program(
        everything, {key: {"mlp": value} for key, value in small.items()} | {"head": small["head"]}
    )
    for path, expected in zip(factors, alone, strict=True):
        got = updates
        for key in path.split("/"):
            got, expected = got[key], expected[key]
        np.testing.assert_allclose(got, expected, rtol=1e-6)
    with pytest.raises(UserError, match=r"'haed'.*head/kernel"):
        jax.eval_shape(optim.scale_groups({"haed": 2.0}).init, TREE)


def test_scale_layers():
    updates = first_updates(optim.scale_layers(0.5, depth=2), TREE)

    def scale(tree):
        return {float(u.max()) for u in jax.tree.leaves(tree)}

    assert scale(updates["head"]) == scale(updates["stacked"]) == {1.0}
    assert scale(updates["block_1"]) == {0.5}
    assert scale(updates["block_0"]) == {0.25}
    assert scale(updates["patch_embed"]) == scale(updates["position_embedding"]) == {0.125}


def test_scale_stages():
    """A stage at half the rate of the next, whatever the family calls them; a traced rate; 1 changes nothing."""
    params = {name: array(2) for name in ("positions", "block1", "block2", "norm", "head")}

    def scaled(params, rate):
        tx = optim.groups.scale_stages(rate)
        return tx.update(params, tx.init(params))[0], optim.groups.scale_stages(1.0).update(params, None)[0]

    updates, same = one_program(scaled, params, np.float32(0.5))
    assert {name: float(u[0]) for name, u in updates.items()} == {
        "positions": 1 / 16,
        "block1": 1 / 8,
        "block2": 1 / 4,
        "norm": 1 / 2,
        "head": 1,
    }
    assert {float(u[0]) for u in same.values()} == {1.0}


def test_freeze():
    tx = optim.freeze(optim.adamw(0.1), "^block_", "embed")
    assert moved(first_updates(tx, TREE)) == {
        name for name in names(optim.everything(TREE)) if not name.startswith("block_") and "embed" not in name
    }
    sizes = sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(tx.init, TREE)))
    trained = sum(p.size for p in jax.tree.leaves({k: TREE[k] for k in ("stacked", "temperature", "head")}))
    assert sizes == 2 * trained + 3  # two moments, two counters, the learning rate
    for pattern in ("nothing", "."):
        with pytest.raises(UserError, match=re.escape(repr(pattern))):
            jax.eval_shape(optim.freeze(optim.sgd(0.1), pattern).init, TREE)


def test_each_group_has_an_optimizer_of_its_own():
    """The first pattern counts; None keeps the values; the update of SGD is -η g."""
    tx = optim.partition({"^head": optim.sgd(0.5), "norm": None, "": optim.sgd(2.0)})

    def update(tree):
        return tx.update(tree, tx.init(tree), tree)[0]

    updates = one_program(update, TREE)
    assert (updates["head"]["kernel"] == -0.5).all()
    assert (updates["block_0"]["norm"]["scale"] == 0).all()
    assert (updates["block_0"]["mlp"]["kernel"] == -2).all()


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (("^head", "^tail", ""), "no parameter is left for '.tail'"),
        (("bias",), "partition: .*kernel matches none of 'bias'"),
    ],
)
def test_groups_without_parameters_and_parameters_without_group_are_refused(patterns, message):
    with pytest.raises(UserError, match=message):
        optim.partition(dict.fromkeys(patterns)).init(TREE)


def test_kernels_keep_their_norm_before_each_update():
    """w ← w √out/‖w‖ + u: a kernel of 2·√(3·4·5) ones has the norm of √5 before u = 0.1 is added; a bias only gets u."""
    params = {"kernel": np.full((3, 4, 5), 2.0, "f4"), "bias": np.full(5, 2.0, "f4")}

    def moved(params):
        tx, u = optim.keep_norm(), jax.tree.map(lambda w: 0.1 + 0 * w, params)
        return optax.apply_updates(params, tx.update(u, tx.init(params), params)[0])

    new = one_program(moved, params)
    np.testing.assert_allclose(new["kernel"], 0.1 + 12**-0.5, rtol=1e-6)
    np.testing.assert_allclose(new["bias"], 2.1, rtol=1e-6)
