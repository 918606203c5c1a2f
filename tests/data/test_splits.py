"""What belongs together stays together: by hand, through others, and for equal rows however many there are."""

import numpy as np
import pytest

from jaxdl.data import splits


def test_groups_are_one_through_others():
    """0 and 1 share a, 1 and 2 share b; 3 shares nothing."""
    numbers, keys = [0, 1, 1, 2, 3, 4], ["a", "a", "b", "b", "c", "d"]
    found = splits.joined(numbers, keys)
    assert len(set(found[:4].tolist())) == 1
    assert len(set(found.tolist())) == 3


def where(rows):
    return {i: part for part, members in rows.items() for i in members.tolist()}


def test_equal_rows_stay_together_even_if_most_are():
    """Twenty texts, each ten times: a draw row by row would test what was trained on."""
    keys = [f"text {i % 20}" for i in range(200)]
    y = np.arange(200) % 2
    rows, sentence = splits.split(keys, list(map(str, range(200))), y, classes=("a", "b"), source="s")
    home = where(rows)
    assert sorted(home) == list(range(200))
    assert all(home[i] == home[i % 20] for i in range(200))
    assert sentence == "140 train / 30 validation / 30 test: the same split for every seed; the 20 groups stay together"


def test_rows_of_their_own_are_stratified():
    keys = [str(i) for i in range(200)]
    rows, sentence = splits.split(keys, keys, np.arange(200) % 10 == 0, classes=("a", "b"), source="s")
    assert [int((members % 10 == 0).sum()) for members in rows.values()] == [14, 3, 3]
    assert "stratified by class" in sentence


def test_too_few_groups_are_said():
    keys = [str(i) for i in range(30)]
    three, pairs = [str(i % 3) for i in range(30)], [str(i // 2) for i in range(30)]
    y = np.arange(30) == 0
    with pytest.raises(
        ValueError, match=r"^s, speakers that stay together: 3 rows are too few, nothing is left for test"
    ):
        splits.split(keys, three, y, classes=("a", "b"), source="s", of="speakers")
    with pytest.raises(ValueError, match=r"^s: no example of class 'b' is left for (train|validation)$"):
        splits.split(keys, pairs, y, classes=("a", "b"), source="s")
