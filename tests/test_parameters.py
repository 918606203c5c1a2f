"""The roles of parameters: of names that only resemble others, of every kind of layer, and the rules of earlier runs."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from jaxdl import optim, parameters
from jaxdl.inspect.summary import role_table
from jaxdl.losses import l2
from jaxdl.models.vit import ViT
from jaxdl.optim.groups import layer_index

MATRIX = jnp.ones((3, 3))
TREE = {
    "decomposition": {"kernel": MATRIX},
    "composition_net": {"kernel": MATRIX},
    "mixer_block": {"token_mixing": {"kernel": MATRIX}, "embedded": {"kernel": MATRIX}},
    "position": {"embedding": MATRIX},
    "relative_position": MATRIX,
    "class_token": jnp.ones((1, 3)),
    "embed": {"kernel": MATRIX},
    "embedding": MATRIX,
    "head": {"kernel": MATRIX, "bias": jnp.ones(3)},
    "stacked": {"bias": MATRIX, "slope": MATRIX},
}
HIDDEN = {
    "decomposition/kernel",
    "composition_net/kernel",
    "mixer_block/token_mixing/kernel",
    "mixer_block/embedded/kernel",
}
DECAYED = HIDDEN | {"embed/kernel", "embedding", "head/kernel"}


def on(mask):
    return {"/".join(parameters.path_names(path)) for path, yes in jax.tree_util.tree_leaves_with_path(mask) if yes}


def test_a_name_inside_another_says_nothing():
    """`decomposition` is no position, `token_mixing` no token."""
    assert on(optim.decayed(TREE)) == DECAYED
    assert on(parameters.hidden_matrices(TREE)) == HIDDEN


def test_penalties_and_decay_choose_the_same():
    assert on(parameters.penalised(TREE)) == DECAYED
    assert float(l2(TREE)) == 9 * len(DECAYED)


def test_runs_of_format_1_keep_their_rules():
    """As they were: by patterns anywhere in the path; penalties counted positions and tokens."""
    with parameters.searched_in_paths():
        assert on(optim.decayed(TREE)) == {
            "mixer_block/token_mixing/kernel", "mixer_block/embedded/kernel", "class_token", "embed/kernel", "embedding",
            "head/kernel", "stacked/slope",
        }  # fmt: skip
        assert on(parameters.hidden_matrices(TREE)) == {"stacked/slope"}
        assert on(parameters.penalised(TREE)) == DECAYED | {"position/embedding", "relative_position", "class_token"}
    assert on(optim.decayed(TREE)) == DECAYED


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        *(("patch_embed/bias", 0), ("token_embedding/embedding", 0), ("class_token", 0), ("stem/conv/kernel", 0)),
        *(("decomposition/kernel", 13), ("token_mixing/kernel", 13), ("norm/scale", 13)),
    ],
)
def test_layer_index(name, depth):
    assert layer_index(name, 12) == depth


class Small(nn.Module):
    """A model of Linen's own layers, named by Linen."""

    @nn.compact
    def __call__(self, tokens):
        x = nn.Embed(5, 4)(tokens) + nn.Embed(3, 4, name="position")(jnp.arange(3))
        x = nn.LayerNorm()(nn.Conv(4, (3,))(x))
        return nn.Dense(5, name="head")(x)


def test_roles_of_linen_layers():
    params = jax.eval_shape(Small().init, jax.random.key(0), jnp.zeros(3, jnp.int32))["params"]
    found = parameters.roles(params)
    assert found["Embed_0"] == {"embedding": "embedding"}
    assert found["position"] == {"embedding": "position"}
    assert found["Conv_0"] == {"kernel": "weight", "bias": "vector"}
    assert found["LayerNorm_0"] == {"scale": "vector", "bias": "vector"}
    assert found["head"] == {"kernel": "head", "bias": "vector"}


def test_the_class_token_and_positions_of_a_vit_are_not_decayed():
    """As in timm."""
    model = ViT(classes=3, patch=4, width=8, depth=1, heads=2)
    init = lambda key: model.init(key, jnp.zeros((1, 8, 8, 3)), train=False)
    params = jax.eval_shape(init, jax.random.key(0))["params"]
    found = parameters.roles(params)
    assert (found["class_token"], found["positions"], found["patches"]["kernel"]) == ("token", "position", "input")
    spared = on(jax.tree.map(lambda yes: not yes, optim.decayed(params)))
    flat = {"/".join(parameters.path_names(path)): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(params)}
    assert spared == {"class_token", "positions"} | {name for name, leaf in flat.items() if leaf.ndim == 1}
    table = role_table(params)
    assert "token           8 (not decayed): class_token" in table
    assert "patches/kernel" in table.split("input")[1].splitlines()[0]
