"""What every augmentation must do, whatever it changes: a new row of AUGMENTS buys all of it."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.augment import image, mix, policy, rows, series, text, views
from jaxdl.tracing import rows_from
from jaxdl.types import UserError
from tests.augment.cases import ALL, AUGMENTS, CLASSES, IMAGES, MIXES, ROUNDED, ROWS, SERIES, SLOW, TEXT, VMAPPED
from tests.programs import one_program

KEY = jax.random.key(3)


def each(names):
    return pytest.mark.parametrize(
        "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in names]
    )


def runs(name):
    """The row's augmentation of (knob, number of the first row, seed, batch)."""

    def run(knob, first, seed, batch):
        with rows_from(first):
            return ALL[name][0](knob)(jax.random.key(seed), batch)

    return run


@cache
def facts(name):
    """All that is asked of a row, computed by one program whose loop goes over the cases: case -> batch."""
    _, knob, off, batch = ALL[name]
    rolled = {field: np.roll(value, 4, 0) for field, value in batch.items()}
    alike = {field: np.repeat(value[:1], ROWS, 0) for field, value in batch.items()}
    cases = {
        "whole": (knob, 0, 3, batch),
        "again": (knob, 0, 3, batch),
        "other": (knob, 0, 4, batch),
        "off": (knob if off is None else off, 0, 3, batch),
        "rolled": (knob, 4, 3, rolled),  # rows 4, 5, 6, 7 first
        "alike": (knob, 0, 3, alike),
        "member 0": (knob, 0, 5, batch),
        "member 1": (0.7 * knob, 0, 6, batch),
    }
    knobs, firsts, seeds, batches = zip(*cases.values(), strict=True)
    batches = {field: np.stack([one[field] for one in batches]) for field in batch}
    out = one_program(
        lambda *stacked: jax.lax.map(lambda case: runs(name)(*case), stacked),
        *(np.float32(knobs), np.int32(firsts), np.int32(seeds), batches),
    )
    return {case: {field: value[i] for field, value in out.items()} for i, case in enumerate(cases)}


@each(ALL)
def test_pure_and_shaped(name):
    """The same key gives the same batch, another key another; shapes, types and the mask are kept."""
    batch = ALL[name][3]
    out, again, other = (facts(name)[case] for case in ("whole", "again", "other"))
    for field in out:
        np.testing.assert_array_equal(out[field], again[field])
    assert not np.array_equal(out["x"], other["x"])
    assert not np.array_equal(out["x"], batch["x"])
    assert set(out) == set(batch)
    assert out["x"].shape == batch["x"].shape
    assert out["x"].dtype == batch["x"].dtype
    np.testing.assert_array_equal(out["mask"], batch["mask"])
    assert np.isfinite(out["x"]).all()
    if batch is IMAGES:
        assert -1e-6 <= out["x"].min() <= out["x"].max() <= 1 + 1e-6


@each(ALL)
def test_labels(name):
    """Labels are kept; mixed ones are distributions."""
    y, labels = facts(name)["whole"]["y"], ALL[name][3]["y"]
    if name in MIXES:
        assert y.shape == (ROWS, CLASSES)
        assert (y >= 0).all()
        np.testing.assert_allclose(y.sum(1), 1, atol=1e-6)
    else:
        np.testing.assert_array_equal(y, labels)
        assert y.dtype == labels.dtype


@each([name for name, row in ALL.items() if row[2] is not None])
def test_off(name):
    """At strength 0, given as a traced number, nothing happens."""
    batch, out = ALL[name][3], facts(name)["off"]
    exact = name not in ROUNDED
    np.testing.assert_allclose(out["x"], batch["x"], rtol=0, atol=0 if exact else 2e-5)
    want = np.eye(CLASSES)[batch["y"]] if name in MIXES else batch["y"]
    np.testing.assert_array_equal(out["y"], want)


@each(AUGMENTS)
def test_rows_are_on_their_own(name):
    """Equal rows come out different; a row depends on its number only, not on its neighbours or on how the batch is cut."""
    whole, rolled, alike = (facts(name)[case] for case in ("whole", "rolled", "alike"))
    for field in whole:
        np.testing.assert_allclose(whole[field][4:], rolled[field][:4], rtol=0, atol=1e-6)
    assert len(np.unique(alike["x"].reshape(ROWS, -1), axis=0)) > 1
    np.testing.assert_allclose(alike["x"][0], whole["x"][0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", [pytest.param(n, marks=[VMAPPED[n]] if VMAPPED[n] else []) for n in sorted(VMAPPED)])
def test_vmap(name):
    """A population over knobs and keys equals its members run alone."""
    _, knob, _, batch = ALL[name]
    population = jax.vmap(runs(name), (0, None, 0, None))
    many = one_program(population, np.float32([knob, 0.7 * knob]), np.int32(0), np.int32([5, 6]), batch)
    for i in range(2):
        for field, value in facts(name)[f"member {i}"].items():
            np.testing.assert_allclose(many[field][i], value, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["flip", "mask", "jitter"])
def test_two_micro_batches_make_one_batch(name):
    """A batch of 8 is two batches of 4, the second of which knows that it starts at row 4."""
    _, knob, _, batch = AUGMENTS[name]
    halves = {field: value.reshape(2, 4, *value.shape[1:]) for field, value in batch.items()}
    out = one_program(
        lambda *halves: jax.lax.map(lambda half: runs(name)(knob, half[0], 3, half[1]), halves),
        np.array([0, 4]),
        halves,
    )
    for field, value in facts(name)["whole"].items():
        np.testing.assert_array_equal(value, np.concatenate(out[field]))


@pytest.mark.slow
@pytest.mark.programs(80, "run operation by operation is the subject")
@pytest.mark.parametrize("name", ["crop", "mixup pair", "insert", "swap"])
def test_jit_changes_nothing(name):
    """Compiled with a traced knob and run operation by operation with a Python number: the same."""
    make, knob, _, batch = ALL[name]
    plain, compiled = jax.device_get(make(knob)(KEY, batch)), facts(name)["whole"]
    for field in plain:
        np.testing.assert_allclose(plain[field], compiled[field], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_shapes_and_types_stay(name):
    """Of any augmentation, in half precision too."""
    make, knob, _, batch = ALL[name]
    dtype = jnp.int32 if batch is TEXT else jnp.bfloat16
    half = batch | {"x": jax.ShapeDtypeStruct(batch["x"].shape, dtype)}
    out = jax.eval_shape(lambda knob, batch: make(knob)(KEY, batch), np.float32(knob), half)
    assert (out["x"].shape, out["x"].dtype) == (batch["x"].shape, dtype)
    labels = ((ROWS, CLASSES), jnp.float32) if name in MIXES else ((ROWS,), jnp.int32)
    assert (out["y"].shape, out["y"].dtype) == labels


@pytest.mark.parametrize(
    ("augment", "batch", "match"),
    [
        (image.flip(), IMAGES | {"x": np.zeros((2, 8, 8, 3), np.uint8)}, "uint8"),
        (image.grayscale(), IMAGES | {"x": np.zeros((2, 8, 8, 4), np.float32)}, r"got 4\b"),
        (image.blur(radius=10), IMAGES, "^radius = 10 .*12x10"),
        (series.jitter(), TEXT, "int32 with 2 axes"),
        (series.crop(50), SERIES, "^size = 50 .*23"),
        (mix.mixup(), IMAGES, "classes=10, got None"),
        (mix.mixup(classes=3), TEXT, "int32"),
        (mix.mixup(classes=3, mode="half"), IMAGES, "^mode = 'half' .*'pair'"),
        (mix.mixup(smoothing=0.1), IMAGES | {"y": np.zeros((ROWS, 3), np.float32)}, "^smoothing = 0.1 "),
        (mix.cutmix(classes=3), IMAGES | {"x": np.zeros((ROWS, 5), np.float32)}, r"\(8, 5\).*mixup"),
    ],
)
def test_errors_say_what_to_do(augment, batch, match):
    with pytest.raises(UserError, match=match):
        jax.eval_shape(augment, KEY, batch)


def test_insert_needs_one_source():
    with pytest.raises(UserError, match=r"table.*vocab.*none"):
        text.insert(0.1)
    with pytest.raises(UserError, match=r"table.*vocab.*both"):
        text.insert(0.1, table=np.zeros((3, 1), int), vocab=(0, 3))


COUNTS = {
    "pad": [lambda n: image.crop(n), lambda n: text.mask(mask_id=1, pad=n)],
    "radius": [lambda n: image.blur(radius=n)],
    "size": [
        image.random_resized_crop,
        lambda n: image.random_resized_crop((8, n)),
        lambda n: image.cutout(n),
        lambda n: series.crop(n),
        lambda n: series.pool(n),
    ],
    "classes": [lambda n: mix.mixup(classes=n), lambda n: mix.cutmix(classes=n), lambda n: views.quarter_turns(n)],
    "layers": [lambda n: policy.rand_augment(n)],
    "width": [lambda n: policy.aug_mix(width=n)],
    "depth": [lambda n: policy.aug_mix(depth=n)],
    "views": [lambda n: views.several(views=n)],
    "segments": [lambda n: series.permutation(n)],
    "knots": [lambda n: series.time_warp(knots=n), lambda n: series.magnitude_warp(knots=n)],
    "points": [lambda n: series.drift(points=n)],
    "mask_id": [lambda n: text.mask(mask_id=n), lambda n: text.cutoff(mask_id=n)],
    "vocab": [lambda n: text.synonym_table({}, vocab=n)],
    "time_masks": [lambda n: series.spec_augment(time_masks=n)],
}
NUMBERS = {
    "p": [
        image.flip,
        lambda p: image.random_resized_crop(p=p),
        series.reverse,
        text.swap,
        text.delete,
        lambda p: rows.sometimes(image.flip(), p),
        lambda p: mix.mixup(p=p),
        lambda p: mix.switch(mix.mixup(), mix.mixup(), p=p),
    ],
    "degrees": [image.rotate, image.affine],
    "alpha": [mix.mixup, mix.cutmix],
    "smoothing": [lambda s: mix.mixup(classes=3, smoothing=s)],
    "magnitude": [lambda m: policy.rand_augment(2, m)],
    "severity": [policy.aug_mix],
    "sigma": [
        series.jitter,
        series.scaling,
        lambda s: image.blur((0.1, s)),
        lambda s: policy.three_augment(sigma=(0.1, s)),
    ],
    "scale": [
        lambda s: image.affine(scale=(s, 1.0)),
        lambda s: image.erasing(scale=(s, 1.0)),
        lambda s: image.random_resized_crop(scale=(s, 1.0)),
    ],
    "minmax": [lambda s: mix.cutmix(minmax=(s, 1.0))],
    "speeds": [lambda s: series.window_warp(speeds=(s, 1.0))],
    "share": [series.window_slice, lambda s: text.cutoff(s, mask_id=1)],
    "brightness": [image.color_jitter],
}


@pytest.mark.parametrize("bad", [-1, 2.5, True, float("nan"), "3"])
@pytest.mark.parametrize("name", COUNTS)
def test_counts_that_are_no_counts(name, bad):
    for make in COUNTS[name]:
        with pytest.raises(UserError, match=f"^{name} = "):
            make(bad)


@pytest.mark.parametrize("bad", [-0.1, True, float("nan"), "0.5"])
@pytest.mark.parametrize("name", NUMBERS)
def test_what_is_no_number_or_negative_is_refused(name, bad):
    for make in NUMBERS[name]:
        with pytest.raises(UserError, match=f"^{name} = "):
            make(bad)
