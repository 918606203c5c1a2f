"""The position-addressed stream: a permutation for each epoch, the same in NumPy and jax, that covers every example."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.data.order import balanced_rows, class_table, permute, rows_of_step, subset_of_draw
from jaxdl.data.source import InMemory, balanced, with_numbers
from jaxdl.types import UserError
from tests.programs import one_program

SIZES = [1, 2, 3, 5, 7, 16, 17, 64, 97, 100, 255, 256, 257, 1000, 1257, 4096, 54_321]


def epoch_of(seed, epoch, size):
    return permute(seed, np.full(size, epoch), np.arange(size), size)


@pytest.mark.parametrize("size", SIZES)
def test_is_a_permutation(size):
    for seed, epoch in [(0, 0), (1, 0), (0, 1), (2**31 - 1, 12345)]:
        assert sorted(epoch_of(seed, epoch, size)) == list(range(size))


@pytest.mark.slow
def test_is_a_permutation_of_every_small_size():
    for size in range(1, 130):
        assert sorted(epoch_of(size, 3, size)) == list(range(size))


@pytest.mark.parametrize("size", [1, 10, 97, 1257])
def test_jax_gives_what_numpy_gives(size):
    traced = jax.jit(permute, static_argnums=3)
    for seed, epoch in [(0, 0), (5, 2)]:
        ours = traced(np.int32(seed), np.full(size, epoch, np.int32), np.arange(size, dtype=np.int32), size)
        np.testing.assert_array_equal(ours, epoch_of(seed, epoch, size))


@pytest.mark.parametrize(
    ("batch", "size"),
    [(5, 12), *(pytest.param(*case, marks=pytest.mark.slow) for case in ((32, 100), (64, 64), (1, 3)))],
)
def test_rows_of_a_step_are_the_same_in_jax_and_numpy(batch, size):
    traced = jax.jit(lambda seed, step: rows_of_step(seed, step, batch, size))
    for step in (0, 1, 17, 100_000, 2_000_000_000 // batch):
        np.testing.assert_array_equal(traced(np.int32(3), np.int32(step)), rows_of_step(3, step, batch, size))


def test_every_place_is_as_likely_as_another():
    """χ² of (position, example) over 20,000 seeds, of (example after example) and of the parity of the permutation."""
    size, seeds = 10, 20_000
    keys = np.repeat(np.arange(seeds), size)
    drawn = permute(keys, np.zeros(keys.size, int), np.tile(np.arange(size), seeds), size).reshape(seeds, size)
    counts = np.stack([np.bincount(drawn[:, place], minlength=size) for place in range(size)])
    expected = seeds / size
    chi2 = ((counts - expected) ** 2 / expected).sum()
    # (size-1)² degrees of freedom: mean 81, deviation √162 = 12.7
    assert abs(chi2 - 81) < 5 * np.sqrt(162)
    pairs = np.bincount(drawn[:, 0] * size + drawn[:, 1], minlength=size**2).reshape(size, size)
    off = pairs[~np.eye(size, dtype=bool)]
    expected = seeds / (size * (size - 1))
    assert abs(((off - expected) ** 2 / expected).sum() - 89) < 5 * np.sqrt(2 * 89)
    odd = sum((drawn[:, i] > drawn[:, j]) for i in range(size) for j in range(i + 1, size)) % 2
    assert abs(odd.mean() - 0.5) < 5 * 0.5 / np.sqrt(seeds)


def test_epochs_and_seeds_are_independent():
    size = 1257
    first = epoch_of(0, 0, size)
    for other in (epoch_of(0, 1, size), epoch_of(1, 0, size)):
        assert (first == other).sum() < 10  # one is expected by chance
        assert abs(np.corrcoef(first, other)[0, 1]) < 5 / np.sqrt(size)
    neighbours = np.abs(np.diff(first)).mean()  # (n+1)/3 for a random order
    assert abs(neighbours - size / 3) < 5 * size / np.sqrt(18 * size)


@pytest.mark.parametrize(("batch", "size"), [(5, 12), (7, 7), (3, 10), (4, 12)])
def test_every_epoch_reads_every_example_once(batch, size):
    """Batches run over the end of an epoch: the sequence of rows is one epoch after another, whatever the batch."""
    epochs = 5 * batch
    rows = np.concatenate([rows_of_step(2, step, batch, size) for step in range(epochs * size // batch)])
    for epoch in rows.reshape(epochs, size):
        assert sorted(epoch) == list(range(size))


def test_order_does_not_depend_on_the_batch():
    one = np.concatenate([rows_of_step(9, step, 6, 50) for step in range(50)])
    other = np.concatenate([rows_of_step(9, step, 15, 50) for step in range(20)])
    np.testing.assert_array_equal(one, other)


def example(batch=4):
    x = np.arange(10, dtype=np.float32)[:, None]
    arrays = {"x": x, "y": np.arange(10, dtype=np.int32)}
    return InMemory({"train": arrays, "test": {name: a[:7] for name, a in arrays.items()}}, batch, name="ten")


def test_a_batch_is_a_function_of_seed_and_step():
    data = example()
    source = data.source(0, 1, 0)
    step = jax.jit(lambda seed, step: data.train_batch(source, seed, step))
    for t in (3, 0, 11):  # in any order
        batch = jax.device_get(step(np.int32(5), np.int32(t)))
        np.testing.assert_array_equal(batch["y"], rows_of_step(5, t, 4, 10))
        np.testing.assert_array_equal(batch["x"][:, 0], batch["y"])
        np.testing.assert_array_equal(batch["mask"], np.ones(4))
    many = jax.vmap(lambda t: data.train_batch(source, 5, t)["y"])
    one, other = one_program(lambda few, more: (many(few), many(more)), np.arange(2), np.arange(6))
    np.testing.assert_array_equal(one, other[:2])  # how many steps are taken at once changes nothing


@pytest.mark.parametrize("batch", [1, 3, 4, 7])
@pytest.mark.parametrize("split", ["train", "test"])
def test_evaluation_reads_every_example_once_in_order(batch, split):
    data = example(batch)
    seen = []
    for count, source in data.eval_sources(split):
        every = lambda source, n=count: jax.lax.map(lambda i: data.eval_batch(source, i), jnp.arange(n))
        out = one_program(every, dict(source))
        assert out["x"].shape == (count, batch, 1)
        seen.extend(out["y"][out["mask"] > 0].tolist())
    assert seen == list(range(data.size(split)))


REFUSED = {
    "batch = 11 must lie between 1 and 10": lambda: example(11),
    "batch = 0": lambda: example(0),
    "batch = 2.5 must be a whole number": lambda: example(2.5),
    "batch = True": lambda: example(True),
    "batch = '4'": lambda: example("4"),
    "batch = nan": lambda: example(float("nan")),
    "split = 'validation' is not one of train, test": lambda: example().size("validation"),
}


@pytest.mark.parametrize("message", REFUSED)
def test_refuses(message):
    with pytest.raises(ValueError, match=message):
        REFUSED[message]()


def test_steps_of_an_epoch():
    assert [example(batch).steps_per_epoch for batch in (1, 3, 4, 10)] == [10, 3, 2, 1]


# -- class-balanced batches --------------------------------------------------------------------------------------------


def test_each_position_may_have_a_size_of_its_own():
    sizes = np.repeat(np.arange(1, 70), np.arange(1, 70))
    places = np.concatenate([np.arange(n) for n in range(1, 70)])
    drawn = permute(5, np.full(len(sizes), 2), places, sizes)
    for n in range(1, 70):
        assert sorted(drawn[sizes == n]) == list(range(n))


@pytest.mark.parametrize(("count", "size"), [(1, 1), (3, 3), (2, 7), (5, 7), (4, 12), (16, 33)])
def test_draws_are_of_different_members_all_equally_often(count, size):
    members, before = subset_of_draw(4, np.arange(6 * size), count, np.full(6 * size, size))
    taken = np.zeros(size, int)
    for drawn, times in zip(members, before, strict=True):
        assert len(set(drawn)) == count
        np.testing.assert_array_equal(times, taken[drawn])
        taken[drawn] += 1
    assert taken.max() - taken.min() <= 2  # one for the round under way, one for who rested
    rounds = members[: size // count * 2].reshape(2, -1)
    assert set(rounds.ravel()) == set(range(size)), "who rests in one round comes in the next"


LABELS = np.repeat([7, 2, 9, 4, 5], [9, 2, 12, 30, 5])[np.random.default_rng(0).permutation(58)]


def test_balanced_batches_hold_m_classes_of_k_and_every_example():
    table = class_table(LABELS)
    drawn = np.stack([balanced_rows(3, step, (3, 4), table) for step in range(80)])
    for rows in drawn:
        groups = LABELS[rows].reshape(3, 4)
        assert (groups == groups[:, :1]).all()
        assert len(set(groups[:, 0])) == 3
        for label, four in zip(groups[:, 0], rows.reshape(3, 4), strict=True):
            assert len(set(four)) == min(4, (label == LABELS).sum()), "different examples, as long as there are"
    seen = np.bincount(drawn.ravel(), minlength=58)
    assert seen.min() >= 3
    classes = np.bincount(LABELS[drawn.ravel()])[[2, 4, 5, 7, 9]]
    assert classes.max() - classes.min() <= 2 * 4  # however many examples they have
    other = np.stack([balanced_rows(4, step, (3, 4), table) for step in range(80)])
    assert (drawn == other).mean() < 0.2


def test_balanced_batches_are_the_same_in_jax_and_numpy_at_any_step():
    table = class_table(LABELS)
    traced = jax.jit(lambda seed, step, table: balanced_rows(seed, step, (2, 3), table))
    for step in (0, 17, 1_000_000):
        ours = traced(np.int32(3), np.int32(step), table)
        np.testing.assert_array_equal(ours, balanced_rows(3, step, (2, 3), table))


def test_a_set_in_balanced_batches():
    x = np.arange(58, dtype=np.float32)[:, None]
    plain = InMemory({"train": {"x": x, "y": LABELS}}, 8, name="five")
    data = balanced(plain, classes=2, each=3)
    assert (data.batch, data.balanced, plain.balanced) == (6, (2, 3), None)
    assert balanced(plain, classes=2, each=3) is data
    assert data.source(0, 1, 0) is data.source(5, 9, 0), "put on the device once"
    batch = one_program(data.train_batch, dict(data.source(0, 1, 0)), np.int32(1), np.int32(5))
    assert sorted(batch) == ["mask", "x", "y"]
    np.testing.assert_array_equal(batch["y"], LABELS[batch["x"][:, 0].astype(int)])
    assert data.example()["x"].shape == (6, 1)
    for classes, each, says in (
        (6, 2, "6 classes a batch are more than the 5 that five trains on"),
        (2, 0, "each = 0"),
    ):
        with pytest.raises(ValueError, match=says):
            balanced(plain, classes=classes, each=each)
    lonely = InMemory({"train": {"x": x, "y": np.append(LABELS[:-1], 77)}}, 8, name="five")
    with pytest.raises(ValueError, match="class 77 has one training example, and a pair of it needs two"):
        balanced(lonely, classes=2, each=2)
    with pytest.raises(ValueError, match="need one class number y"):
        balanced(InMemory({"train": {"x": x}}, 8), classes=2, each=2)


def test_numbered_batches_say_epoch_and_a_lot_for_each_example():
    """20 draws of 5 of 12 examples are 8 epochs and a third: counted by hand; a lot belongs to (seed, example)."""
    data = with_numbers(InMemory({"train": {"x": np.arange(12.0, dtype=np.float32)}}, batch=5))
    source = {"x": jnp.asarray(data.splits["train"]["x"])}
    steps = jax.jit(jax.vmap(lambda seed, step: data.train_batch(source, seed, step), (None, 0)))
    found = {seed: jax.device_get(steps(np.int32(seed), np.arange(20, dtype=np.int32))) for seed in (0, 1)}
    np.testing.assert_array_equal(found[0]["epoch"].reshape(-1), np.arange(100) // 12)
    lots = {}
    for seed, batches in found.items():
        for example, lot in zip(batches["x"].reshape(-1), batches["lot"].reshape(-1), strict=True):
            assert lots.setdefault((seed, example), lot) == lot
    assert len(set(lots.values())) == 24
    coins = np.array(list(lots.values())) % 2
    assert 4 < coins.sum() < 20
    assert {name: a.shape for name, a in data.example().items()} == dict.fromkeys(("x", "mask", "epoch", "lot"), (5,))


def test_balanced_batches_have_no_epochs_to_number():
    with pytest.raises(UserError, match="balanced batches have none"):
        with_numbers(
            balanced(InMemory({"train": {"x": np.zeros(4), "y": np.arange(4) % 2}}, batch=2), classes=2, each=1)
        )
