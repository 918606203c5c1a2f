"""CTC decoding: against the sum over all paths, of which tiny cases have few enough."""

from functools import partial
from itertools import product

import numpy as np
import pytest

from jaxdl.decode.ctc import collapse, greedy_path, prefix_beam
from tests.programs import one_program


def meaning(path):
    """The definition: merge repeats, drop blanks."""
    merged = [s for i, s in enumerate(path) if i == 0 or s != path[i - 1]]
    return tuple(s for s in merged if s)


def by_brute_force(p):
    """Every transcript and its probability: the sum over all paths that mean it."""
    total = {}
    for path in product(range(p.shape[1]), repeat=p.shape[0]):
        total[meaning(path)] = total.get(meaning(path), 0.0) + np.prod([p[t, s] for t, s in enumerate(path)])
    return sorted(total.items(), key=lambda item: -item[1])


def softmax(z):
    e = np.exp(np.asarray(z, np.float64))
    return e / e.sum(-1, keepdims=True)


def rows(tokens):
    return [tuple(int(s) for s in row if s) for row in tokens]


def test_collapse_is_its_definition_for_every_short_path():
    paths = np.array(list(product(range(3), repeat=4)), np.int32)
    whole = np.full(len(paths), 4)
    run = lambda paths, whole: (collapse(paths, whole), collapse(paths, whole - 1), collapse(paths, whole, longest=1))
    every, cut, first = one_program(run, paths, whole)
    assert rows(every) == [meaning(path) for path in paths]
    assert rows(cut) == [meaning(path[:3]) for path in paths]
    assert rows(first) == [meaning(path)[:1] for path in paths]


def test_a_wide_enough_search_finds_every_transcript_with_its_probability():
    """Different lengths in one batch; 31 transcripts of at most 4 frames and 2 symbols, so nothing is pruned."""
    logits = np.random.default_rng(0).normal(size=(6, 5, 3)).astype(np.float32) * 1.5
    lengths = np.array([4, 3, 2, 4, 1, 0])
    found, score = one_program(partial(prefix_beam, width=40), logits, lengths)
    for z, n, tokens, log_p in zip(logits, lengths, found, score, strict=True):
        p = softmax(z[:n])
        expected = by_brute_force(p) if n else [((), 1.0)]
        used = np.asarray(log_p) > -1e29
        got = dict(zip(rows(tokens[used]), np.exp(np.asarray(log_p[used], np.float64)), strict=True))
        assert len(got) == used.sum(), "no transcript stands twice in the beam"
        assert len(got) == len(expected)
        assert rows(tokens)[0] == expected[0][0]
        for transcript, probability in expected:
            assert got[transcript] == pytest.approx(probability, rel=1e-5)


def test_a_narrow_search_beats_the_best_path():
    """By the sum over all paths, on the whole; and it never counts a path twice."""
    logits = np.random.default_rng(1).normal(size=(16, 4, 3)).astype(np.float32)
    lengths = np.full(16, 4)
    best, (found, score) = one_program(lambda z, n: (greedy_path(z, n), prefix_beam(z, n, width=3)), logits, lengths)
    assert (np.diff(score, axis=1) <= 0).all()
    ours, theirs = [], []
    for z, path, tokens, log_p in zip(logits, best, found, score, strict=True):
        exact = dict(by_brute_force(softmax(z)))
        assert all(np.exp(s) <= exact[t] + 1e-6 for t, s in zip(rows(tokens), log_p, strict=True))
        ours.append(exact[rows(tokens)[0]])
        theirs.append(exact[rows(path[None])[0]])
    assert sum(a > b for a, b in zip(ours, theirs, strict=True)) >= 3 * sum(
        a < b for a, b in zip(ours, theirs, strict=True)
    )
    assert sum(ours) > sum(theirs)


def test_padding_frames_change_nothing():
    logits = np.random.default_rng(2).normal(size=(2, 6, 4)).astype(np.float32)
    lengths = np.array([6, 4])
    other = logits.copy()
    other[1, 4:] = 50 * np.random.default_rng(3).normal(size=(2, 4))
    run = lambda n, *logits: [(greedy_path(z, n), *prefix_beam(z, n, width=4)) for z in logits]
    for a, b in zip(*one_program(run, lengths, logits, other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_without_a_frame_nothing_was_said():
    nothing = np.zeros((1, 0, 3), np.float32)
    found, score = one_program(partial(prefix_beam, width=2), nothing, np.array([0]))
    assert found.shape == (1, 2, 1)
    assert float(score[0, 0]) == 0
    with pytest.raises(ValueError, match="longest=0: leave room for one symbol"):
        prefix_beam(np.zeros((1, 2, 3), np.float32), np.array([2]), longest=0)
