"""Checkpoints: bit-exact, kept by rule, and never silently wrong."""

import os
import shutil
import threading
from collections import namedtuple
from functools import cache

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl.record import orbax_leaves
from jaxdl.record.checkpoint import CheckpointError, Checkpoints, digest
from tests.tables import rows

pytestmark = pytest.mark.programs(16, "a checkpoint takes keys apart and puts them together eagerly")


@flax.struct.dataclass
class State:
    step: jax.Array
    key: jax.Array
    params: dict
    model_state: dict
    opt_state: dict
    ema: dict | None = None


def state_of(seed=0):
    key = jax.random.key(seed)
    params = {
        "Dense_0": {"kernel": jax.random.normal(key, (8, 4)), "bias": jnp.array([0.0, -0.0, jnp.inf, jnp.nan])},
        "low": jax.random.normal(key, (5,)).astype(jnp.bfloat16),
        "byte": jnp.arange(7, dtype=jnp.uint8),
        "tiny": jnp.ones(3, jnp.float8_e4m3fn),
        "flag": jnp.array([True, False]),
        "scalar": jnp.float32(seed),
        "empty": jnp.zeros((0, 4)),
        "keys": jax.random.split(jax.random.key(seed, impl="rbg"), 3),
    }
    floats = {"Dense_0": params["Dense_0"]}
    tx = optax.chain(optax.clip_by_global_norm(1.0), optax.identity(), optax.adam(1e-3))
    return State(jnp.int32(seed), key, params, {}, {"": tx.init(floats)})


make_state = cache(jax.jit(state_of))
SHAPES = jax.eval_shape(state_of)


def structs(tree):
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), tree)


def three_steps(folder, **options):
    with Checkpoints(folder, **options) as checkpoints:
        for step in (1, 2, 3):
            checkpoints.save(step, make_state(step), meta={"at": step}, metric=step / 10)
    return checkpoints


def test_everything_comes_back_bit_for_bit(tmp_path):
    state = make_state(7)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(7, state, meta={"digest": digest(state), "wait": [1, None, "x"]}, metric=np.float32(0.5))
    restored, meta, step = Checkpoints(tmp_path).restore(SHAPES)
    assert step == 7
    assert meta == {"digest": digest(state), "wait": [1, None, "x"]}
    assert digest(restored) == digest(state)
    assert jax.tree.structure(restored) == jax.tree.structure(state)
    assert jax.tree.map(lambda a: (a.shape, a.dtype), restored) == jax.tree.map(lambda a: (a.shape, a.dtype), state)
    assert restored.ema is None
    for a, b in ((restored.key, state.key), (restored.params["keys"], state.params["keys"])):
        assert jax.random.key_impl(a) == jax.random.key_impl(b)
    assert Checkpoints(tmp_path).verify() == [(7, True, "")]


def test_the_state_may_be_donated_at_once(tmp_path):
    advance = jax.jit(lambda x: x + 1, donate_argnums=0)
    x = jax.device_put(np.zeros((512, 512), np.float32))
    with Checkpoints(tmp_path, keep=9) as checkpoints:
        for step in range(5):
            checkpoints.save(step, {"x": x})
            x = advance(x)
    for step in range(5):
        restored, _, _ = checkpoints.restore(structs({"x": x}), step)
        np.testing.assert_array_equal(restored["x"], step)


def test_python_scalars_and_named_tuples(tmp_path):
    Pair = namedtuple("Pair", "a b")
    state = {"pair": Pair(3, 2.5), "list": [np.ones(2, np.float32), None], "wide": np.arange(2, dtype=np.int64)}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(0, state)
    restored, meta, _ = checkpoints.restore(state)
    assert isinstance(restored["pair"], Pair)
    assert (int(restored["pair"].a), float(restored["pair"].b), restored["list"][1], meta) == (3, 2.5, None, {})
    np.testing.assert_array_equal(restored["wide"], state["wide"], strict=True)


@pytest.mark.parametrize(
    ("metrics", "mode", "keep", "kept", "best"),
    [
        ([0.1, 0.9, 0.2, 0.3, 0.4], "max", 2, [2, 4, 5], 2),
        ([0.1, 0.9, 0.2, 0.3, 0.4], "min", 2, [1, 4, 5], 1),
        ([0.1, float("nan"), 0.05], "max", 1, [1, 3], 1),
        ([0.1, float("inf"), 0.05], "max", 1, [1, 3], 1),
        ([0.1, float("-inf"), 0.5], "min", 1, [1, 3], 1),
        ([0.5, 0.5, 0.5], "max", 1, [1, 3], 1),
        ([None, float("nan"), None], "max", 2, [2, 3], None),
        ([0.1, 0.2, 0.3, 0.4], "max", 2, [3, 4], 4),
    ],
)
def test_the_latest_and_the_best_are_kept(tmp_path, metrics, mode, keep, kept, best):
    with Checkpoints(tmp_path, mode=mode, keep=keep) as checkpoints:
        for step, metric in enumerate(metrics, 1):
            checkpoints.save(step, {"w": np.full(3, step, np.int32)}, metric=metric)
    assert checkpoints.steps() == kept
    assert checkpoints.best == best
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(map(str, kept))  # nothing half deleted
    restored, _, step = checkpoints.restore({"w": jax.ShapeDtypeStruct((3,), jnp.int32)}, "best")
    assert step == (best or kept[-1])
    np.testing.assert_array_equal(restored["w"], step)
    assert len(checkpoints.notes) == (best is None)


def test_a_step_that_exists_is_replaced(tmp_path):
    checkpoints = three_steps(tmp_path)
    checkpoints.save(3, make_state(9), meta={"again": True}, metric=0.0)
    checkpoints.wait()
    state, meta, step = checkpoints.restore(SHAPES)
    assert (digest(state), meta, step) == (digest(make_state(9)), {"again": True}, 3)
    assert checkpoints.best == 2


# -- damage -----------------------------------------------------------------------------------------------------------


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGE = {
    "flipped": flip,
    "first byte": lambda path: path.write_bytes(bytes([path.read_bytes()[0] ^ 128]) + path.read_bytes()[1:]),
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "emptied": lambda path: os.truncate(path, 0),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "deleted": lambda path: path.unlink(),
}


@pytest.mark.slow
@rows(DAMAGE, default=["flipped", "deleted"], name="damage")
def test_every_damaged_file_is_found_and_passed_over(tmp_path, damage):
    original = tmp_path / "original"
    three_steps(original, keep=2, mode="max")
    good = digest(make_state(2))
    files = sorted(p.relative_to(original) for p in (original / "3").rglob("*") if p.is_file())
    assert len(files) > 8
    told = []
    for name in files:
        copy = tmp_path / "copy"
        shutil.copytree(original, copy)
        damage(copy / name)
        checkpoints = Checkpoints(copy, notify=told.append)
        assert [ok for _, ok, _ in checkpoints.verify()] == [True, False], name
        with pytest.raises(ValueError, match="step 3: "):
            checkpoints.restore(SHAPES, 3)
        for which in ("last", "best"):
            state, meta, step = checkpoints.restore(SHAPES, which)
            assert (digest(state), meta, step) == (good, {"at": 2}, 2), name
        assert len(checkpoints.notes) == 2
        assert name.relative_to("3").as_posix() in told[-1]
        shutil.rmtree(copy)


def test_what_was_damaged_is_written_again_and_never_pushes_out_a_good_one(tmp_path):
    three_steps(tmp_path, keep=2)
    flip(tmp_path / "3" / "meta.json")
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        assert checkpoints.restore(SHAPES)[2] == 2
        checkpoints.save(3, make_state(3), metric=0.1)
        checkpoints.wait()
        assert checkpoints.steps() == [2, 3]
        assert [ok for _, ok, _ in checkpoints.verify()] == [True, True]


def test_when_nothing_is_left_each_problem_is_named(tmp_path):
    three_steps(tmp_path, keep=2)
    flip(tmp_path / "3" / "meta.json")
    (tmp_path / "2" / "MANIFEST.json").unlink()
    with pytest.raises(ValueError, match=r"step 3: meta\.json is damaged.*; step 2: MANIFEST\.json is missing"):
        Checkpoints(tmp_path).restore(SHAPES)


# -- targets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"a": ((2,), jnp.bfloat16)}, r"a is float32 \(2,\) in the checkpoint, bfloat16 \(2,\) here"),
        ({"a": ((3,), jnp.float32)}, r"a is float32 \(2,\) in the checkpoint, float32 \(3,\) here"),
        ({"a": ((2,), jnp.float32), "c": ((), jnp.int32)}, r"c is absent in the checkpoint, int32 \(\) here"),
        ({"b": ((2,), jnp.float32)}, r"b is absent .* \(and 1 more differences\)"),
        ({}, r"a is float32 \(2,\) in the checkpoint, absent here"),
    ],
)
def test_a_target_that_does_not_fit(tmp_path, target, message):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, {"a": np.ones(2, np.float32)})
    with pytest.raises(ValueError, match=message) as error:
        checkpoints.restore({k: jax.ShapeDtypeStruct(*v) for k, v in target.items()})
    assert "\n" not in str(error.value)


def test_a_key_of_another_generator_does_not_fit(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, {"key": jax.random.key(0)})
    with pytest.raises(ValueError, match=r"key is key<fry> \(\) in the checkpoint, key<rbg> \(\) here"):
        checkpoints.restore({"key": jax.random.key(0, impl="rbg")})


@pytest.mark.parametrize("name", ["a.b", "a/b"])
def test_names_that_would_collide_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match="rename it"):
        Checkpoints(tmp_path).save(1, {name: np.ones(1)})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: Checkpoints(p, mode="best"), "mode is 'best', should be 'max' or 'min'"),
        (lambda p: Checkpoints(p, keep=0), "keep = 0"),
        (lambda p: Checkpoints(p / "none").restore({}), "no checkpoint in .*none"),
        (lambda p: three_steps(p).restore({}, 1), r"no checkpoint of step 1 in .*; it has \[2, 3\], 'last' and 'best'"),
    ],
)
def test_errors(tmp_path, call, message):
    with pytest.raises(ValueError, match=message):
        call(tmp_path)


def test_reading_changes_nothing(tmp_path):
    three_steps(tmp_path)
    (tmp_path / "4.saving" / "state").mkdir(parents=True)
    (tmp_path / "trash" / "1-0-1").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    checkpoints = Checkpoints(tmp_path)
    checkpoints.restore(SHAPES, "best")
    assert checkpoints.verify() == [(2, True, ""), (3, True, "")]
    assert sorted(tmp_path.rglob("*")) == before
    checkpoints.save(5, make_state(5), metric=1.0)
    checkpoints.wait()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["3", "5"]


def test_digest_tells_values_dtypes_and_shapes_apart():
    zeros = np.zeros(2, np.float32)
    trees = [zeros, -zeros, zeros[:, None], np.zeros(2, np.int32), jax.random.key(0)]
    assert len({digest({"x": tree}) for tree in trees}) == len(trees)
    assert digest({"x": zeros}) == digest({"x": jax.device_put(zeros)})


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(CheckpointError, match="there is no earlier one"):
        Checkpoints(tmp_path / "file" / "checkpoints").save(1, {"w": np.zeros(1)})


def test_a_background_import_that_fails_prints_nothing(monkeypatch):
    """As it does where the process ends meanwhile, such as after an error in the experiment."""

    def fails():
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(orbax_leaves, "orbax", fails)
    printed = []
    monkeypatch.setattr(threading, "excepthook", printed.append)
    orbax_leaves.preload().join()
    assert not printed
