"""NNX networks as Flax's documentation writes them train as they are."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from jaxdl.calling import takes
from jaxdl.models.autoencoder import Autoencoder
from jaxdl.models.nnx import from_nnx
from jaxdl.tasks.autoencoding import Autoencoding
from jaxdl.tasks.classification import Classification
from jaxdl.tasks.coder import Gaussian
from jaxdl.tasks.language import NextToken
from jaxdl.types import UserError
from tests.programs import one_program

KEY = jax.random.key(0)


class EncoderBlock(nnx.Module):
    def __init__(self, width, heads, hidden, rate, *, rngs):
        self.norm1 = nnx.LayerNorm(width, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(heads, width, dropout_rate=rate, decode=False, rngs=rngs)
        self.norm2 = nnx.LayerNorm(width, rngs=rngs)
        self.mlp = nnx.Sequential(
            nnx.Linear(width, hidden, rngs=rngs),
            nnx.gelu,
            nnx.Dropout(rate, rngs=rngs),
            nnx.Linear(hidden, width, rngs=rngs),
        )

    def __call__(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nnx.Module):
    """Patches by a strided convolution, a class token, learned positions, blocks in nnx.Sequential."""

    def __init__(self, classes, size=8, patch=4, width=16, depth=2, heads=2, rate=0.1, *, rngs):
        count = (size // patch) ** 2
        self.patches = nnx.Conv(1, width, (patch, patch), strides=(patch, patch), padding="VALID", rngs=rngs)
        normal = nnx.initializers.truncated_normal(0.02)
        self.positions = nnx.Param(normal(rngs.params(), (1, count + 1, width)))
        self.token = nnx.Param(jnp.zeros((1, 1, width)))
        self.dropout = nnx.Dropout(rate, rngs=rngs)
        self.encoder = nnx.Sequential(*[EncoderBlock(width, heads, 2 * width, rate, rngs=rngs) for _ in range(depth)])
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.classifier = nnx.Linear(width, classes, rngs=rngs)

    def __call__(self, x):
        x = self.patches(x)
        x = x.reshape(x.shape[0], -1, x.shape[-1])
        token = jnp.tile(self.token, (x.shape[0], 1, 1))
        x = jnp.concatenate([token, x], axis=1) + self.positions
        x = self.encoder(self.dropout(x))
        return self.classifier(self.norm(x[:, 0]))


class CNN(nnx.Module):
    """Dropout made without keys, which `__call__` passes on; pooling as a partial function."""

    def __init__(self, *, rngs: nnx.Rngs):
        self.conv = nnx.Conv(1, 4, kernel_size=(3, 3), use_bias=False, rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.dropout = nnx.Dropout(rate=0.3)
        self.pool = partial(nnx.avg_pool, window_shape=(2, 2), strides=(2, 2))
        self.head = nnx.Linear(64, 4, rngs=rngs)

    def __call__(self, x, rngs: nnx.Rngs | None = None):
        x = self.pool(nnx.relu(self.norm(self.dropout(self.conv(x), rngs=rngs))))
        return self.head(x.reshape(x.shape[0], -1))


class DecoderBlock(nnx.Module):
    def __init__(self, width, heads, rate, *, rngs):
        self.attention = nnx.MultiHeadAttention(num_heads=heads, in_features=width, decode=False, rngs=rngs)
        self.dropout1, self.dropout2 = nnx.Dropout(rate, rngs=rngs), nnx.Dropout(rate, rngs=rngs)
        self.norm1, self.norm2 = nnx.LayerNorm(width, rngs=rngs), nnx.LayerNorm(width, rngs=rngs)
        self.linear1, self.linear2 = nnx.Linear(width, 2 * width, rngs=rngs), nnx.Linear(2 * width, width, rngs=rngs)

    def __call__(self, x, training: bool = False):
        mask = nnx.make_causal_mask(jnp.ones(x.shape[:2]))
        out = self.attention(x, mask=mask)
        x = self.norm1(x + self.dropout1(out, deterministic=not training))
        out = self.linear2(nnx.relu(self.linear1(x)))
        return self.norm2(x + self.dropout2(out, deterministic=not training))


class MiniGPT(nnx.Module):
    """Embeddings of tokens and positions, a list of blocks, `training` as an argument."""

    def __init__(self, length, vocab, width, heads, depth, rate=0.1, *, rngs):
        self.tokens = nnx.Embed(vocab, width, rngs=rngs)
        self.places = nnx.Embed(length, width, rngs=rngs)
        self.blocks = nnx.List([DecoderBlock(width, heads, rate, rngs=rngs) for _ in range(depth)])
        self.head = nnx.Linear(width, vocab, use_bias=False, rngs=rngs)

    def __call__(self, inputs, training: bool = False):
        places = jnp.arange(0, inputs.shape[1])[None, :]
        x = self.tokens(inputs) + self.places(places)
        for block in self.blocks:
            x = block(x, training=training)
        return self.head(x)


def learns(task, batch, steps=60):
    """The loss in evaluation before and after some steps of Adam on one batch."""
    optimizer = optax.adam(1e-2)

    def run():
        params, state = task.init(KEY, batch)
        objective = lambda p, key, train: task.objective(p, state, batch, key, jnp.int32(0), train=train)[0]

        def step(carry, key):
            params, opt_state = carry
            updates, opt_state = optimizer.update(jax.grad(objective)(params, key, True), opt_state)
            return (optax.apply_updates(params, updates), opt_state), None

        (after, _), _ = jax.lax.scan(step, (params, optimizer.init(params)), jax.random.split(KEY, steps))
        calm = jax.lax.map(lambda p: objective(p, KEY, False), jax.tree.map(lambda *a: jnp.stack(a), params, after))
        return *calm, jax.lax.map(lambda key: objective(after, key, True), jax.random.split(KEY, 2))

    return one_program(run)


@pytest.mark.parametrize("net", [pytest.param(VisionTransformer, marks=pytest.mark.slow), CNN])
def test_a_network_of_images_learns(net):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 8, 8, 1)).astype(np.float32), np.arange(8, dtype=np.int32) % 4
    batch = {"x": x, "y": y, "mask": np.ones(8, np.float32)}
    before, after, noisy = learns(Classification(from_nnx(net, **({} if net is CNN else {"classes": 4}))), batch)
    assert after < 0.5 < before
    assert noisy[0] != noisy[1]  # dropout draws by the key


@pytest.mark.slow
def test_a_small_gpt_learns():
    x = np.random.default_rng(0).integers(0, 11, (4, 9)).astype(np.int32)
    batch = {"x": x[:, :-1], "y": x[:, 1:], "mask": np.ones(4, np.float32)}
    task = NextToken(from_nnx(MiniGPT, length=8, vocab=11, width=16, heads=2, depth=2))
    before, after, noisy = learns(task, batch)
    assert abs(before - np.log(11)) < 1
    assert after < 0.5
    assert noisy[0] != noisy[1]
    with pytest.raises(UserError):
        task.check_tokens(np.array([11]))
    assert from_nnx(MiniGPT, 8, 12, width=16, heads=2, depth=2).vocab == 12
    assert from_nnx(nnx.Linear, 8, 12).vocab is None


def test_the_options_of_a_call_are_those_of_the_class():
    assert takes(from_nnx(MiniGPT, 8, 11, 16, 2, 1), "training")
    assert not takes(from_nnx(MiniGPT, 8, 11, 16, 2, 1), "segments")


class Coder(nnx.Module):
    def __init__(self, *, rngs):
        self.down, self.up = nnx.Linear(6, 2, rngs=rngs), nnx.Linear(2, 6, rngs=rngs)

    def encode(self, x):
        return self.down(x), {}

    def decode(self, z):
        return self.up(z)

    def __call__(self, x):
        return self.decode(self.encode(x)[0])


@pytest.mark.programs(20, "two autoencoders and a refusal")
def test_an_autoencoder_and_parts_of_a_linen_module():
    x = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    batch = {"x": x, "mask": np.ones(4, np.float32)}
    whole = Autoencoding(from_nnx(Coder), likelihood=Gaussian())
    parts = Autoencoding(Autoencoder(from_nnx(nnx.Linear, 6, 2), from_nnx(nnx.Linear, 2, 6)), likelihood=Gaussian())

    def run():
        (params, state), (others, _) = whole.init(KEY, batch), parts.init(KEY, batch)
        assert jax.tree.structure(others) == jax.tree.structure({"encoder": params["down"], "decoder": params["up"]})
        same = {"encoder": params["down"], "decoder": params["up"]}
        losses = [
            task.objective(p, {}, batch, KEY, jnp.int32(0), train=True)[0]
            for task, p in ((whole, params), (parts, same))
        ]
        return params, losses, state

    params, losses, state = one_program(run)
    assert state == {}
    code = x @ params["down"]["kernel"] + params["down"]["bias"]
    error = code @ params["up"]["kernel"] + params["up"]["bias"] - x
    expected = 0.5 * (error**2).sum(1).mean() + 3 * np.log(2 * np.pi)
    np.testing.assert_allclose(losses, [expected, expected], rtol=1e-5)
    with pytest.raises(UserError) as caught:
        Autoencoding(from_nnx(nnx.Linear, 6, 6)).objective(
            {"kernel": np.eye(6), "bias": np.zeros(6)}, {}, batch, KEY, jnp.int32(0), train=True
        )
    assert "encode" in str(caught.value)
