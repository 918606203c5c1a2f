"""The forms of a convolution for CPUs against the plain one (value, gradient, gradient of the gradient), and their programs."""

import re
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers.arithmetic import padding_pairs
from jaxdl.layers.convolution import convolve
from jaxdl.layers.convolution_cpu import Geometry, plain
from tests.programs import one_program
from tests.tables import rows

# sizes, kernel, strides, pads, dilation, groups, channels, features
CASES = {
    "3x3": ((7, 6), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1, 4, 6),
    "3x3 stride 2": ((7, 8), (3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1), 1, 4, 6),
    "1x1": ((5, 8), (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), 1, 4, 6),
    "1x1 stride 2": ((9, 8), (1, 1), (2, 2), ((0, 0), (0, 0)), (1, 1), 1, 4, 6),
    "1x1 padded": ((6, 6), (1, 1), (1, 1), ((1, 0), (0, 0)), (1, 1), 1, 3, 5),
    "stride beyond kernel": ((6, 6), (2, 2), (4, 4), ((0, 0), (0, 0)), (1, 1), 1, 3, 5),
    "uneven": ((9, 11), (3, 2), (2, 3), ((0, 1), (2, 1)), (2, 1), 1, 4, 6),
    "grouped dilated strided": ((9, 11), (3, 2), (2, 2), ((3, 1), (2, 4)), (2, 3), 2, 4, 6),
    "groups taken together in twos": ((5, 4), (3, 3), (2, 1), ((1, 1), (1, 1)), (1, 1), 4, 128, 8),
    "depthwise": ((9, 7), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 4, 4, 4),
    "depthwise dilated": ((9, 11), (3, 3), (1, 1), ((1, 1), (4, 0)), (1, 2), 4, 4, 4),
    "depthwise stride 2, two each": ((9, 7), (3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1), 4, 4, 8),
    "smaller than its kernel": ((2, 2), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1, 4, 6),
    "1x1 of a sequence": ((9,), (1,), (1,), ((0, 0),), (1,), 1, 3, 5),
    "1-D stride 3": ((12,), (5,), (3,), ((2, 2),), (1,), 1, 3, 5),
    "3-D": ((5, 4, 4), (3, 3, 3), (2, 1, 2), ((1, 1),) * 3, (1, 1, 1), 1, 2, 3),
}


def arrays(case, batch=2, dtype=np.float32):
    *geometry, channels, features = CASES[case]
    g = Geometry(*geometry)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch, *g.sizes, channels)).astype(dtype)
    w = rng.normal(size=(*g.kernel, channels // g.groups, features)).astype(dtype)
    dy = rng.normal(size=(batch, *g.outputs, features)).astype(dtype)
    return g, x, w, dy


def ours(g):
    return partial(convolve, strides=g.strides, padding=g.pads, dilation=g.dilation, groups=g.groups)


def close(a, b, rtol=1e-6):
    """Within `rtol` of the largest value: float32 sums in another order."""
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape
    np.testing.assert_allclose(a, b, rtol=0, atol=rtol * np.abs(b).max())


DEFAULT = (
    "3x3 stride 2",
    "1x1",
    "1x1 of a sequence",
    "grouped dilated strided",
    "groups taken together in twos",
    "depthwise",
    "depthwise stride 2, two each",
    "smaller than its kernel",
    "3-D",
)
TWICE = ("3x3 stride 2", "1x1 stride 2", "grouped dilated strided", "depthwise stride 2, two each")
POPULATION = ("3x3 stride 2", "depthwise", "1x1")


@cache
def facts(case):
    """Of both forms: value and gradients, of some rows also the gradients of a gradient's norm and of a population."""
    g, x, w, dy = arrays(case)

    def penalty(f, x, w, dy):
        return jnp.square(jax.grad(lambda x: (jnp.tanh(f(x, w)) * dy).sum())(x)).sum()

    def of(f, x, w, dy):
        y, pull = jax.vjp(f, x, w)
        out = {"once": (y, *pull(dy))}
        if case in TWICE:
            out["twice"] = jax.grad(penalty, (1, 2))(f, x, w, dy)
        return out

    def run(x, w, dy):
        out = {"ours": of(ours(g), x, w, dy), "plain": of(partial(plain, g), x, w, dy)}
        if case in POPULATION:
            out["members"] = jax.vmap(population(ours(g), dy), (0, None))(jnp.stack([w, 2 * w, -w]), x)
        return out

    return one_program(run, x, w, dy)


def population(f, dy):
    """The gradients of one member, with respect to its kernel and to the images that all share."""
    return jax.grad(lambda w, x: (f(x, w) * dy).sum(), (0, 1))


@rows({case: case for case in CASES}, default=DEFAULT, name="case")
def test_value_and_gradients_equal_the_plain_form(case):
    for a, b in zip(facts(case)["ours"]["once"], facts(case)["plain"]["once"], strict=True):
        close(a, b)


@rows({case: case for case in TWICE}, default=set(TWICE) & set(DEFAULT), name="case")
def test_gradient_of_a_gradient_norm(case):
    """What a gradient penalty needs: differentiate |d loss/dx|² with respect to the kernel and the input."""
    for a, b in zip(facts(case)["ours"]["twice"], facts(case)["plain"]["twice"], strict=True):
        close(a, b, 3e-6)  # three convolutions deep


@pytest.mark.parametrize("case", POPULATION)
def test_a_population_equals_its_members(case):
    """The gradient is linear in the kernel's factor: dx of w, 2w and -w are 1, 2 and -1 times one; dw is the same."""
    (_, dx, dw), (dws, dxs) = facts(case)["plain"]["once"], facts(case)["members"]
    for i, factor in enumerate((1, 2, -1)):
        close(dws[i], dw, 2e-6)
        close(dxs[i], factor * dx, 2e-6)


# -- the programs ------------------------------------------------------------------------------------------------------
# Each looks for something in a program's text, and finds it in the plain form's: no renaming in XLA can make it vacuous.

CANONICAL = "b01f_01io->b01f"


def groups_in(f, *args):
    """The group counts of all convolutions in a program before XLA's passes."""
    return {int(n) for n in re.findall(r"feature_group_count = (\d+)", jax.jit(f).lower(*args).as_text())}


def layouts_in(f, *args):
    """The layouts of all convolutions in a program that is ready to run on this machine's CPU."""
    return set(re.findall(r"dim_labels=([\w>-]+)", jax.jit(f).lower(*args).compile().as_text()))


@pytest.mark.parametrize("case", POPULATION)
def test_a_population_is_no_grouped_convolution(case):
    """Not even where what comes back differs from member to member, as a loss that is not linear makes it."""
    g, x, w, dy = arrays(case)

    def members(f):
        return jax.vmap(jax.grad(lambda w, x: (jnp.tanh(f(x, w)) * dy).sum(), (0, 1)), (0, None))

    ws = np.stack([w, 2 * w, -w])
    assert groups_in(members(ours(g)), ws, x) <= {1}
    assert max(groups_in(members(partial(plain, g)), ws, x)) >= len(ws)


def test_an_image_smaller_than_its_kernel_is_not_taken_for_the_kernel():
    """XLA would swap the two, into a layout that it has only naive loops for (100x slower at 512 channels)."""
    g, x, w, _ = arrays("smaller than its kernel")
    assert layouts_in(ours(g), x, w) == {CANONICAL}
    assert CANONICAL not in layouts_in(partial(plain, g), x, w)


def test_no_naive_convolution_inside_a_loop():
    """Every convolution in a while body is channels last in both operands and the result, the form that runs fast there."""
    g, x, w, _ = arrays("3x3 stride 2", batch=4)

    def steps(f, w, x):
        step = lambda _, w: w - 0.1 * jax.grad(lambda w: jnp.square(f(x, w)).sum())(w)
        return jax.lax.fori_loop(0, 3, step, w)

    assert layouts_in(partial(steps, ours(g)), w, x) == {CANONICAL}
    assert layouts_in(partial(steps, partial(plain, g)), w, x) > {CANONICAL}


def test_the_fast_forms_are_the_ones_a_cpu_runs():
    """Lowered for a CPU the depthwise convolution has no convolution left; for a GPU it is the plain one."""
    g, x, w, _ = arrays("depthwise")
    traced = jax.jit(ours(g)).trace(x, w)
    assert "stablehlo.convolution" not in traced.lower(lowering_platforms=("cpu",)).as_text()
    assert "stablehlo.convolution" in traced.lower(lowering_platforms=("cuda",)).as_text()
    assert " conditional(" not in traced.lower().compile().as_text()  # the choice is made before the program runs
    later = jax.jit(lambda i, x, w: jax.lax.switch(i, [ours(g), partial(plain, g)], x, w)).lower(0, x, w)
    assert " conditional(" in later.compile().as_text()


def test_symmetric_padding_keeps_odd_kernels_size():
    for k, d in ((1, 1), (3, 1), (3, 2), (5, 3)):
        ((low, high),) = padding_pairs("symmetric", (k,), (1,), (d,))
        g = Geometry((20,), (k,), (1,), ((low, high),), (d,), 1)
        assert g.outputs == (20,)
