"""TextCNN: PyTorch's convolutions and maxima; padding is never read."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.models.text_cnn import TextCNN

TOKENS = jnp.array([[1, 5, 2, 7, 3, 6, 4], [4, 4, 6, 0, 0, 0, 0]])
MODEL = TextCNN(classes=3, vocab=8, width=4, sizes=(2, 3), features=5, pad=0)


@pytest.fixture(scope="module")
def variables():
    shapes = jax.eval_shape(partial(MODEL.init, train=False), jax.random.key(0), TOKENS)
    random = np.random.default_rng(0)
    return jax.tree.map(lambda s: jnp.asarray(random.normal(0, 0.5, s.shape), s.dtype), shapes)


def test_it_does_not_read_padding(variables):
    apply = partial(MODEL.apply, variables, train=False)
    y = apply(TOKENS)
    np.testing.assert_allclose(y[1:], apply(TOKENS[1:, :3]), atol=1e-5)
    np.testing.assert_allclose(
        MODEL.clone(pad=None).apply(variables, TOKENS, jnp.array([7, 3]), train=False), y, atol=1e-6
    )


def test_it_equals_pytorch(variables):
    torch = pytest.importorskip("torch")
    p = jax.tree.map(lambda a: torch.tensor(np.array(a)), variables["params"])
    x = p["embedding"][torch.tensor(np.array(TOKENS[:1]), dtype=torch.long)].transpose(1, 2)
    found = []
    for n in (2, 3):
        conv = p[f"conv_{n}"]
        padded = torch.nn.functional.pad(x, ((n - 1) // 2, n // 2))  # TensorFlow's "same": one more behind
        z = torch.nn.functional.conv1d(padded, conv["kernel"].permute(2, 1, 0), conv["bias"])
        found.append(z.relu().amax(-1))
    theirs = torch.cat(found, -1) @ p["head"]["kernel"] + p["head"]["bias"]
    np.testing.assert_allclose(MODEL.apply(variables, TOKENS[:1], train=False), theirs, atol=1e-5)
    assert sum(a.numel() for a in torch.utils._pytree.tree_leaves(p)) == 8 * 4 + (2 + 3) * 4 * 5 + 2 * 5 + 11 * 3
