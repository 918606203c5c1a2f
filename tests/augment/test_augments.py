"""What every augmentation must do, whatever it changes: a new row of AUGMENTS buys all of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.augment import image, mix, policy, series, text
from jaxdl.augment.rows import chain, sometimes
from jaxdl.tracing import rows_from

RANDOM = np.random.default_rng(0)
ROWS, CLASSES = 8, 3
IMAGES = {
    "x": RANDOM.random((ROWS, 12, 10, 3), np.float32),
    "y": RANDOM.integers(0, CLASSES, ROWS).astype(np.int32),
    "mask": np.ones(ROWS, np.float32),
}
SERIES = IMAGES | {"x": RANDOM.normal(size=(ROWS, 23, 4)).astype(np.float32)}
LENGTHS = RANDOM.integers(6, 13, ROWS).astype(np.int32)
TEXT = IMAGES | {
    "x": np.where(np.arange(12) < LENGTHS[:, None], RANDOM.integers(2, 30, (ROWS, 12)), 0).astype(np.int32),
    "length": LENGTHS,
}
SYNONYMS = text.synonym_table({t: [(t + 1) % 28 + 2, (t + 7) % 28 + 2] for t in range(2, 30)}, vocab=30)


def reverse_model(keys, x):
    return x[:, ::-1]


def noisy_model(keys, x):
    return jnp.where(x > 0, jax.vmap(lambda k: jax.random.randint(k, x.shape[1:], 2, 30))(keys), 0)


# name -> (maker from one float knob, a knob that does something, a knob that does nothing or None, a batch)
AUGMENTS = {
    "flip": (image.flip, 0.5, 0.0, IMAGES),
    "flip vertical": (lambda p: image.flip(p, vertical=True), 0.5, 0.0, IMAGES),
    "crop": (lambda p: image.crop(3, p=p), 1.0, 0.0, IMAGES),
    "crop reflect": (lambda p: image.crop(3, mode="reflect", p=p), 1.0, 0.0, IMAGES),
    "rotate": (image.rotate, 30.0, 0.0, IMAGES),
    "affine": (
        lambda s: image.affine(30 * s, translate=s / 5, scale=(1 - s / 2, 1 + s / 2), shear=20 * s),
        1.0,
        0.0,
        IMAGES,
    ),
    "perspective": (lambda d: image.perspective(d, p=1.0), 0.5, 0.0, IMAGES),
    "random_resized_crop": (
        lambda s: image.random_resized_crop(scale=(1 - s, 1.0), ratio=(1.2, 1.2)),
        0.8,
        None,
        IMAGES,
    ),
    "random_resized_crop p": (lambda p: image.random_resized_crop(p=p), 0.9, 0.0, IMAGES),
    "color_jitter": (lambda s: image.color_jitter(s, s, s, s / 4), 0.4, 0.0, IMAGES),
    "sharpness": (image.sharpness, 0.9, 0.0, IMAGES),
    "blur": (lambda s: image.blur((0.0, s), p=1.0), 2.0, 0.0, IMAGES),
    "binarise": (lambda p: image.binarise(), 0.5, None, IMAGES),
    "grayscale": (image.grayscale, 0.5, 0.0, IMAGES),
    "solarize": (lambda p: image.solarize(0.5, p=p), 0.5, 0.0, IMAGES),
    "posterize": (lambda p: image.posterize(2, p=p), 0.5, 0.0, IMAGES),
    "equalize": (image.equalize, 0.5, 0.0, IMAGES),
    "autocontrast": (image.autocontrast, 0.5, 0.0, IMAGES),
    "invert": (image.invert, 0.5, 0.0, IMAGES),
    "erasing": (lambda s: image.erasing(1.0, scale=(0.0, s), value=0.5), 0.5, 0.0, IMAGES),
    "erasing noise": (lambda p: image.erasing(p, value=None), 0.9, 0.0, IMAGES),
    "cutout": (lambda p: image.cutout(6, p=p), 1.0, 0.0, IMAGES),
    "rand_augment": (lambda m: policy.rand_augment(2, m), 15.0, None, IMAGES),
    "trivial_augment": (lambda p: policy.trivial_augment(p=p), 0.9, 0.0, IMAGES),
    "auto_augment": (lambda p: policy.auto_augment(p=p), 0.9, 0.0, IMAGES),
    "aug_mix": (lambda p: policy.aug_mix(3.0, p=p), 1.0, 0.0, IMAGES),
    "three_augment": (lambda p: policy.three_augment(p=p), 0.9, 0.0, IMAGES),
    "chain": (lambda p: chain(image.flip(p), image.invert(p)), 0.5, 0.0, IMAGES),
    "sometimes": (lambda p: sometimes(image.invert(1.0), p), 0.5, 0.0, IMAGES),
    "mask": (lambda p: text.mask(p, mask_id=1), 0.3, 0.0, TEXT),
    "cutoff": (lambda s: text.cutoff(s, mask_id=1), 0.3, 0.0, TEXT),
    "synonyms": (lambda p: text.synonyms(SYNONYMS, p), 0.3, 0.0, TEXT),
    "swap": (text.swap, 0.5, 0.0, TEXT),
    "delete": (text.delete, 0.3, 0.0, TEXT),
    "insert": (lambda p: text.insert(p, vocab=(2, 30)), 0.3, 0.0, TEXT),
    "insert synonyms": (lambda p: text.insert(p, table=SYNONYMS), 0.3, 0.0, TEXT),
    "paraphrase": (lambda p: text.paraphrase(noisy_model, p), 0.5, 0.0, TEXT),
    "back_translate": (lambda p: text.back_translate(noisy_model, noisy_model, p), 0.5, 0.0, TEXT),
    "scaling": (series.scaling, 0.1, 0.0, SERIES),
    "jitter": (series.jitter, 0.1, 0.0, SERIES),
    "noise": (series.noise, 0.1, 0.0, SERIES),
    "rotation": (series.rotation, 0.5, 0.0, SERIES),
    "magnitude_warp": (series.magnitude_warp, 0.2, 0.0, SERIES),
    "drift": (series.drift, 0.2, 0.0, SERIES),
    "series dropout": (series.dropout, 0.2, 0.0, SERIES),
    "quantize": (lambda p: series.quantize(5, p=p), 0.5, 0.0, SERIES),
    "pool": (lambda p: series.pool(2, p=p), 0.5, 0.0, SERIES),
    "surrogate": (series.surrogate, 1.0, 0.0, SERIES),
    "reverse": (series.reverse, 0.5, 0.0, SERIES),
    "permutation": (lambda p: series.permutation(4, p=p), 1.0, 0.0, SERIES),
    "time_warp": (series.time_warp, 0.2, 0.0, SERIES),
    "window_slice": (series.window_slice, 0.7, 1.0, SERIES),
    "window_warp": (series.window_warp, 0.3, 0.0, SERIES),
    "spec_augment": (lambda w: series.spec_augment(w, w / 4), 8.0, 0.0, SERIES),
}
# These read partners from the batch they are given, so how it is cut matters.
MIXES = {
    f"{name} {mode}": (lambda a, make=make, mode=mode: make(a, CLASSES, mode=mode), 1.0, 0.0, IMAGES)
    for name, make in {
        "mixup": mix.mixup,
        "cutmix": mix.cutmix,
        "cutmix minmax": lambda *a, **k: mix.cutmix(*a, **k, minmax=(0.2, 0.6)),
        "switch": lambda a, c, mode: mix.switch(mix.mixup(a, c, mode=mode), mix.cutmix(a, c, mode=mode), mode=mode),
    }.items()
    for mode in ("batch", "pair", "elem")
}
ALL = AUGMENTS | MIXES
# Off by arithmetic (a warp by 0, a spectrum there and back), hence only up to rounding.
ROUNDED = ["time_warp", "window_warp", "window_slice", "surrogate", "perspective", "color_jitter", "drift"]
# Compilation is the cost: close relatives of other rows run with the slow tests.
SLOW = ["flip vertical", "crop reflect", "random_resized_crop p", "erasing noise", "affine", "trivial_augment"]
SLOW += ["auto_augment", "aug_mix", "insert synonyms", "back_translate", "magnitude_warp", "equalize", "chain"]
SLOW += [name for name in MIXES if name.startswith(("cutmix minmax", "switch")) and name != "switch batch"]
KEY = jax.random.key(3)
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


def each(names):
    return pytest.mark.parametrize(
        "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in names]
    )


@pytest.fixture(scope="module")
def jitted():
    """Each augmentation compiled once, with its knob and the first row traced, and shared by the tests."""
    made = {}

    def get(name):
        if name not in made:
            make = ALL[name][0]

            def run(knob, first, key, batch):
                with rows_from(first):
                    return make(knob)(key, batch)

            made[name] = jax.jit(run, compiler_options=QUICK)
        return made[name]

    return get


@each(ALL)
def test_pure_and_shaped(name, jitted):
    """The same key gives the same batch, another key another; shapes, types and the mask are kept."""
    _, knob, _, batch = ALL[name]
    out, again, other = (jitted(name)(knob, 0, k, batch) for k in (KEY, KEY, jax.random.key(4)))
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), out, again))
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
def test_labels(name, jitted):
    """Labels are kept; mixed ones are distributions."""
    _, knob, _, batch = ALL[name]
    y = np.asarray(jitted(name)(knob, 0, KEY, batch)["y"])
    if name in MIXES:
        assert y.shape == (ROWS, CLASSES)
        assert (y >= 0).all()
        np.testing.assert_allclose(y.sum(1), 1, atol=1e-6)
    else:
        np.testing.assert_array_equal(y, batch["y"])
        assert y.dtype == batch["y"].dtype


@each([name for name, row in ALL.items() if row[2] is not None])
def test_off(name, jitted):
    """At strength 0, given as a traced number, nothing happens."""
    _, _, off, batch = ALL[name]
    out = jitted(name)(off, 0, KEY, batch)
    exact = name not in ROUNDED
    np.testing.assert_allclose(out["x"], batch["x"], rtol=0, atol=0 if exact else 2e-5)
    want = jax.nn.one_hot(batch["y"], CLASSES) if name in MIXES else batch["y"]
    np.testing.assert_array_equal(out["y"], want)


@each(AUGMENTS)
def test_rows_are_on_their_own(name, jitted):
    """Equal rows come out different; a row depends on its number only, not on its neighbours or on how the batch is cut."""
    _, knob, _, batch = AUGMENTS[name]
    run = jitted(name)
    whole = run(knob, 0, KEY, batch)
    rolled = run(knob, 4, KEY, {field: np.roll(value, 4, 0) for field, value in batch.items()})  # rows 4, 5, 6, 7 first
    for field in whole:
        np.testing.assert_allclose(whole[field][4:], rolled[field][:4], rtol=0, atol=1e-6)
    same = {field: np.repeat(value[:1], ROWS, 0) for field, value in batch.items()}
    alike = run(knob, 0, KEY, same)
    assert len(np.unique(np.asarray(alike["x"]).reshape(ROWS, -1), axis=0)) > 1
    np.testing.assert_allclose(alike["x"][0], whole["x"][0], rtol=0, atol=1e-6)


@each([name for name in ALL if name in ("flip", "rotate", "time_warp", "delete", "mixup pair") or name in SLOW])
def test_vmap(name, jitted):
    """A population over knobs and keys equals its members run alone."""
    _, knob, _, batch = ALL[name]
    keys, knobs = jax.random.split(KEY, 2), jnp.array([knob, 0.7 * knob])
    many = jax.vmap(jitted(name), (0, None, 0, None))(knobs, 0, keys, batch)
    for i in range(2):
        one = jitted(name)(knobs[i], 0, keys[i], batch)
        for field in one:
            np.testing.assert_allclose(many[field][i], one[field], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["flip", "mask", "jitter"])
def test_two_micro_batches_make_one_batch(name, jitted):
    """A batch of 8 is two batches of 4, the second of which knows that it starts at row 4."""
    _, knob, _, batch = AUGMENTS[name]
    whole = jitted(name)(knob, 0, KEY, batch)
    halves = [jitted(name)(knob, i, KEY, {field: value[i : i + 4] for field, value in batch.items()}) for i in (0, 4)]
    for field in whole:
        np.testing.assert_array_equal(whole[field], np.concatenate([half[field] for half in halves]))


@pytest.mark.parametrize("name", ["crop", "mixup pair", "insert", "swap"])
def test_jit_changes_nothing(name, jitted):
    """Compiled with a traced knob and run operation by operation with a Python number: the same."""
    make, knob, _, batch = ALL[name]
    plain, compiled = make(knob)(KEY, batch), jitted(name)(knob, 0, KEY, batch)
    for field in plain:
        np.testing.assert_allclose(plain[field], compiled[field], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", [name for name, row in ALL.items() if row[3] is not TEXT])
def test_bfloat16_stays(name):
    """The type of x survives any augmentation."""
    make, knob, _, batch = ALL[name]
    half = batch | {"x": jax.ShapeDtypeStruct(batch["x"].shape, jnp.bfloat16)}
    out = jax.eval_shape(lambda knob, batch: make(knob)(KEY, batch), jnp.float32(knob), half)
    assert out["x"].dtype == jnp.bfloat16
    assert out["y"].dtype == (jnp.float32 if name in MIXES else jnp.int32)


@pytest.mark.parametrize(
    ("augment", "batch", "match"),
    [
        (image.flip(), IMAGES | {"x": np.zeros((2, 8, 8, 3), np.uint8)}, r"floats in \[0, 1\], got uint8"),
        (image.grayscale(), IMAGES | {"x": np.zeros((2, 8, 8, 4), np.float32)}, "1 or 3 channels, got 4"),
        (image.blur(radius=10), IMAGES, "radius must be below the image size 12x10, got 10"),
        (series.jitter(), TEXT, "got int32 with 2 axes"),
        (series.crop(50), SERIES, "crop size must be at most the time 23, got 50"),
        (mix.mixup(), IMAGES, "classes must be given .* int32"),
        (mix.mixup(classes=3), TEXT, "float x, got int32"),
        (mix.mixup(classes=3, mode="half"), IMAGES, "batch, pair or elem, got 'half'"),
        (mix.mixup(smoothing=0.1), IMAGES | {"y": np.zeros((ROWS, 3), np.float32)}, "smoothing needs classes"),
        (mix.cutmix(classes=3), IMAGES | {"x": np.zeros((ROWS, 5), np.float32)}, r"got shape \(8, 5\); use mixup"),
    ],
)
def test_errors_say_what_to_do(augment, batch, match):
    with pytest.raises(ValueError, match=match):
        augment(KEY, batch)


def test_insert_needs_one_source():
    with pytest.raises(ValueError, match="either table or vocab"):
        text.insert(0.1)
