"""TextCNN: PyTorch's convolutions and maxima; padding is never read."""

from functools import partial

import jax
import numpy as np
import pytest

from jaxdl.models.text_cnn import TextCNN
from tests.programs import one_program

TOKENS = np.array([[1, 5, 2, 7, 3, 6, 4], [4, 4, 6, 0, 0, 0, 0]])
MODEL = TextCNN(classes=3, vocab=8, width=4, sizes=(2, 3), features=5, pad=0)


@pytest.fixture(scope="module")
def variables():
    shapes = jax.eval_shape(partial(MODEL.init, train=False), jax.random.key(0), TOKENS)
    random = np.random.default_rng(0)
    return jax.tree.map(lambda s: random.normal(0, 0.5, s.shape).astype(s.dtype), shapes)


@pytest.fixture(scope="module")
def read(variables):
    """Logits of all tokens, of the second text without its padding, and with lengths instead of a padding token."""

    def run(variables, tokens, lengths):
        apply = partial(MODEL.apply, variables, train=False)
        by_length = MODEL.clone(pad=None).apply(variables, tokens, lengths, train=False)
        return apply(tokens), apply(tokens[1:, :3]), by_length

    return one_program(run, variables, TOKENS, np.array([7, 3]))


def test_it_does_not_read_padding(read):
    y, alone, by_length = read
    np.testing.assert_allclose(y[1:], alone, atol=1e-5)
    np.testing.assert_allclose(by_length, y, atol=1e-6)


def test_it_equals_pytorch(variables, read, oracle):
    @oracle
    def theirs(torch):
        p = jax.tree.map(torch.tensor, variables["params"])
        x = p["embedding"][torch.tensor(TOKENS[:1])].transpose(1, 2)
        found = []
        for n in (2, 3):
            conv = p[f"conv_{n}"]
            padded = torch.nn.functional.pad(x, ((n - 1) // 2, n // 2))  # TensorFlow's "same": one more behind
            z = torch.nn.functional.conv1d(padded, conv["kernel"].permute(2, 1, 0), conv["bias"])
            found.append(z.relu().amax(-1))
        return {"y": torch.cat(found, -1) @ p["head"]["kernel"] + p["head"]["bias"]}

    np.testing.assert_allclose(read[0][:1], theirs["y"], atol=1e-5)
    leaves = jax.tree.leaves(variables["params"])
    assert sum(a.size for a in leaves) == 8 * 4 + (2 + 3) * 4 * 5 + 2 * 5 + 11 * 3
