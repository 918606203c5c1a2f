"""Generators and critics: the published numbers of parameters, shapes, and what a label and spectral norm do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers.normalization import BatchNorm, ConditionalBatchNorm, SpectralNorm
from jaxdl.models.gan import DCGANCritic, DCGANGenerator, MLPCritic, MLPGenerator
from jaxdl.models.gan_resnet import ResNetCritic, ResNetGenerator, sngan
from jaxdl.types import UserError
from tests.programs import one_program


def parameters(model, *inputs):
    shapes = jax.eval_shape(lambda key: model.init(key, *inputs, train=False), jax.random.key(0))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))


Y = np.zeros(2, np.int32)
PUBLISHED = {
    "SNGAN-32 generator": (sngan(32)[0], (128,), 4_276_739),
    "SNGAN-32 critic": (sngan(32)[1], (32, 32, 3), 1_053_825),
    "cGAN-PD-32 generator": (sngan(32, classes=10)[0], (128,), 4_304_387),
    "cGAN-PD-32 critic": (sngan(32, classes=10)[1], (32, 32, 3), 1_055_105),
    "SNGAN-128 generator": (sngan(128)[0], (128,), 32_150_787),
    "SNGAN-128 critic": (sngan(128)[1], (128, 128, 3), 29_017_857),
    "DCGAN-64 generator": (DCGANGenerator((64, 64, 3)), (100,), 3_576_704),
    "DCGAN-64 critic": (DCGANCritic(), (64, 64, 3), 2_765_568),
}


@pytest.mark.parametrize("row", PUBLISHED.values(), ids=PUBLISHED)
def test_parameters_are_the_published_numbers(row):
    """mimicry's, and those of PyTorch's DCGAN example."""
    model, shape, count = row
    labels = (Y,) if model.classes else ()
    assert parameters(model, np.zeros((2, *shape), np.float32), *labels) == count


@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (32, 32, 3)], ids=str)
def test_pairs_fit_each_other(shape):
    pairs = [
        (DCGANGenerator(shape, 4, classes=3), DCGANCritic(4, classes=3)),
        (MLPGenerator(shape, (8,), classes=3), MLPCritic((8,), classes=3)),
    ]
    for generator, critic in pairs:

        def both(z, generator=generator, critic=critic):
            made, _ = generator.init_with_output(jax.random.key(0), z, Y, train=False)
            return made, critic.init_with_output(jax.random.key(0), made, Y, train=False)[0]

        made, logits = jax.eval_shape(both, np.zeros((2, 5), np.float32))
        assert (made.shape, logits.shape) == ((2, *shape), (2,))


def filled(model, *inputs):
    """Random numbers for all variables, deviations positive."""
    shapes = jax.eval_shape(lambda key: model.init(key, *inputs, train=False), jax.random.key(0))
    random = np.random.default_rng(0)
    draw = lambda path, a: (
        np.abs(random.normal(size=a.shape)) + 0.5 if "var" in str(path[-1]) else 0.2 * random.normal(size=a.shape)
    ).astype(np.float32)
    return jax.tree_util.tree_map_with_path(draw, shapes)


def test_the_residual_pair_is_mimicrys(oracle):
    """Both networks written out with PyTorch's functions, as tables 3 and 4 of Miyato et al. and mimicry have them."""
    generator = ResNetGenerator(6, (5, 4), channels=3, bottom=2)
    critic = ResNetCritic((4, 5, 5), downs=2, kernel_map=None)
    z, x = (np.random.default_rng(i).normal(size=s).astype(np.float32) for i, s in enumerate([(3, 7), (3, 8, 8, 3)]))
    of_generator, of_critic = filled(generator, z), filled(critic, x)

    @oracle
    def theirs(torch):
        F = torch.nn.functional

        def conv(x, p):
            kernel = torch.tensor(p["kernel"]).permute(3, 2, 0, 1)
            return F.conv2d(x, kernel, torch.tensor(p["bias"]), padding=kernel.shape[-1] // 2)

        def dense(x, p):
            return x @ torch.tensor(p["kernel"]) + torch.tensor(p["bias"])

        def norm(x, p, s):
            a = [torch.tensor(v) for v in (s["mean"], s["var"], p["scale"], p["bias"])]
            return F.batch_norm(x, *a, eps=1e-5)

        up = lambda x: F.interpolate(x, scale_factor=2, mode="nearest")
        p, s = of_generator["params"], of_generator["batch_stats"]
        h = dense(torch.tensor(z), p["Dense_0"]).reshape(3, 2, 2, 6).permute(0, 3, 1, 2)
        for i in range(2):
            b, seen = p[f"Up_{i}"], s[f"Up_{i}"]
            y = conv(up(F.relu(norm(h, b["BatchNorm_0"], seen["BatchNorm_0"]))), b["Conv_0"])
            y = conv(F.relu(norm(y, b["BatchNorm_1"], seen["BatchNorm_1"])), b["Conv_1"])
            h = y + conv(up(h), b["shortcut"])
        made = torch.tanh(conv(F.relu(norm(h, p["last_norm"], s["last_norm"])), p["Conv_0"]))

        p, h = of_critic["params"], torch.tensor(x).permute(0, 3, 1, 2)
        for i in range(3):
            b = p[f"Down_{i}"]
            y = conv(F.relu(conv(h if i == 0 else F.relu(h), b["Conv_0"])), b["Conv_1"])
            y = F.avg_pool2d(y, 2) if i < 2 else y
            if i == 0:  # the first block averages before its shortcut, the others after: the same, but for rounding
                beside = conv(F.avg_pool2d(h, 2), b["shortcut"])
            else:
                beside = F.avg_pool2d(conv(h, b["shortcut"]), 2) if i == 1 else h
            h = y + beside
        return {"made": made.permute(0, 2, 3, 1), "judged": dense(F.relu(h).sum((2, 3)), p["Dense_0"])[:, 0]}

    def both(of_generator, z, of_critic, x):
        return generator.apply(of_generator, z, train=False), critic.apply(of_critic, x, train=False)

    made, judged = one_program(both, of_generator, z, of_critic, x)
    np.testing.assert_allclose(made, theirs["made"], rtol=1e-4, atol=2e-5)
    np.testing.assert_allclose(judged, theirs["judged"], rtol=1e-4, atol=2e-5)


def test_what_does_not_fit_is_refused():
    with pytest.raises(UserError, match=r"side = 64.*32, 128"):
        sngan(64)
    with pytest.raises(UserError, match="side 30"):
        parameters(DCGANCritic(), np.zeros((1, 30, 30, 1), np.float32))
    with pytest.raises(UserError, match=r"classes = 3.*labels"):
        parameters(MLPCritic(classes=3), np.zeros((1, 2), np.float32))


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_conditional_norm_is_a_norm_with_rows_of_its_own():
    x, y = normal(4, 2, 2, 3), np.array([0, 2, 1, 2])
    scale, bias = normal(2, 3, 3, seed=1)
    norm, plain = ConditionalBatchNorm(3), BatchNorm(use_scale=False, use_bias=False)

    def run(x, y, params):
        start = {**norm.init(jax.random.key(0), x, y, train=False), "params": params}
        got, _ = norm.apply(start, x, y, train=True, mutable=["batch_stats"])
        start = plain.init(jax.random.key(0), x, train=False)
        return got, plain.apply(start, x, train=True, mutable=["batch_stats"])[0]

    got, normed = one_program(run, x, y, {"scale": scale, "bias": bias})
    for row, label in enumerate(y):
        np.testing.assert_allclose(got[row], normed[row] * scale[label] + bias[label], atol=1e-5)


def test_a_projection_adds_the_labels_row_times_the_features():
    """Exchanging two rows exchanges the labels; rows of zero forget them."""
    critic, x = DCGANCritic(4, classes=3, norm=None), normal(2, 8, 8, 1)

    def run(x):
        params = critic.init(jax.random.key(1), x, Y, train=False)["params"]
        rows = params["projection"]["kernel"]
        tables = jnp.stack([rows, rows[jnp.array([1, 0, 2])], 0 * rows])

        def call(table_and_label):
            table, label = table_and_label
            own = {**params, "projection": {"kernel": table}}
            return critic.apply({"params": own}, x, jnp.full(2, label), train=False)

        asked = np.array([[0, 1], [0, 0], [1, 0], [2, 0], [2, 2]])  # which table, which label
        return jax.lax.map(call, (tables[asked[:, 0]], asked[:, 1]))

    one, zero, swapped, flat, other = one_program(run, x)
    np.testing.assert_allclose(one, swapped, rtol=1e-6)
    np.testing.assert_allclose(flat, other)
    assert np.abs(zero - one).min() > 1e-6


def test_spectral_norm_bounds_the_slope_of_a_critic():
    critic = MLPCritic((16, 16), kernel_map=SpectralNorm, act=jax.nn.relu)

    def run(x):
        variables = dict(critic.init(jax.random.key(1), x, train=False))
        variables["params"] = jax.tree.map(lambda a: 10 * a, variables["params"])
        step = lambda _, v: {**v, **critic.apply(v, x, train=True, mutable=["spectral_stats"])[1]}
        variables = jax.lax.fori_loop(0, 30, step, variables)
        return jax.grad(lambda x: critic.apply(variables, x, train=False).sum())(x)

    slopes = np.linalg.norm(one_program(run, normal(32, 4)), axis=-1)
    assert 0 < slopes.max() <= 1.001
