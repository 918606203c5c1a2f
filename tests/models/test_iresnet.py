"""iResNet: insightface's block and its order of layers in PyTorch, features by name, any image."""

import jax
import numpy as np
import pytest

from jaxdl.models.iresnet import IResNet, iresnet
from jaxdl.types import UserError
from tests.programs import one_program

TINY = IResNet((1, 2), width=4, classes=6)


@pytest.fixture(scope="module")
def filled():
    """Variables that are random everywhere, and an image of odd height."""
    random = np.random.default_rng(0)
    x = random.normal(size=(2, 9, 12, 3)).astype(np.float32)
    shapes = jax.eval_shape(lambda: TINY.init(jax.random.key(0), x, train=False))
    return x, jax.tree.map(lambda a: random.uniform(0.2, 1.0, a.shape).astype(np.float32), shapes)


def test_features_and_sizes(filled):
    x, variables = filled
    y, seen = jax.eval_shape(lambda v: TINY.apply(v, x, train=False, features=True), variables)
    shapes = {name: a.shape[1:] for name, a in seen.items()}
    assert shapes == {
        "stem": (9, 12, 4),
        "stage1_block1": (5, 6, 4),
        "stage1": (5, 6, 4),
        "stage2_block1": (3, 3, 8),
        "stage2_block2": (3, 3, 8),
        "stage2": (3, 3, 8),
        "pooled": (72,),
    }
    assert y.shape == (2, 6)
    with pytest.raises(UserError, match=r"depth=19.*18, 34, 50, 100, 200"):
        iresnet(19)


def test_the_last_scale_gets_no_gradient(filled):
    x, variables = filled

    def gradient(variables, x):
        total = lambda params: TINY.apply({**variables, "params": params}, x, train=False).sum()
        return jax.grad(total)(variables["params"])

    grads = one_program(gradient, variables, x)
    assert np.abs(grads["head_scale"]).max() == 0
    assert np.abs(grads["head_norm"]["bias"]).min() > 0


def test_equals_pytorch_with_the_same_weights(filled, oracle):
    """The layers written down once more, in PyTorch's words and insightface's order."""
    x, variables = filled
    params, stats = variables["params"], variables["batch_stats"]

    @oracle
    def theirs(torch):
        F = torch.nn.functional

        def tensor(a):
            return torch.tensor(a)

        def at(tree, path):
            for name in path.split("/"):
                tree = tree[name]
            return tree

        def conv(x, path, stride=1, padding=1):
            return F.conv2d(x, tensor(at(params, path)["kernel"]).permute(3, 2, 0, 1), stride=stride, padding=padding)

        def norm(x, path, scaled=True):
            p, s = at(params, path), at(stats, path)
            weight = tensor(p["scale"]) if scaled else None
            return F.batch_norm(x, tensor(s["mean"]), tensor(s["var"]), weight, tensor(p["bias"]), eps=1e-5)

        def prelu(x, path):
            return F.prelu(x, tensor(at(params, path)["slope"]))

        def block(x, name, stride):
            y = prelu(norm(conv(norm(x, f"{name}/norm1"), f"{name}/conv1"), f"{name}/norm2"), f"{name}/act")
            y = norm(conv(y, f"{name}/conv2", stride), f"{name}/norm3")
            if "shortcut" in params[name]:
                x = norm(conv(x, f"{name}/shortcut", stride, 0), f"{name}/shortcut_norm")
            return x + y

        y = tensor(x).permute(0, 3, 1, 2)
        y = prelu(norm(conv(y, "stem"), "stem_norm"), "stem_act")
        for name, stride in (("stage1_block1", 2), ("stage2_block1", 2), ("stage2_block2", 1)):
            y = block(y, name, stride)
        y = norm(y, "norm").permute(0, 2, 3, 1).flatten(1)
        y = F.linear(y, tensor(params["head"]["kernel"]).T, tensor(params["head"]["bias"]))
        y = norm(y, "head_norm", scaled=False) * tensor(params["head_scale"])
        return {"y": y}

    ours = one_program(lambda v, x: TINY.apply(v, x, train=False), variables, x)
    np.testing.assert_allclose(ours, theirs["y"], rtol=2e-5, atol=2e-5 * np.abs(theirs["y"]).max())
