"""Pictures of trained models read back. Each trains a small model in one program, so they are of the slow tier."""

import numpy as np
import pytest

from jaxdl.data import files
from jaxdl.data.table import series
from jaxdl.data.text.translation import number_table
from jaxdl.site.pictures import DRAWN, PICTURES, network, trained, trained_sequences
from tests.site.reading import check, check_drawn, curve_of, heat_values, marked, numbers, text_of, words
from tests.site.test_layers_drawn import UNTRAINED, value

TRAINED = (
    "cnn", "autoencoder", "gan", "rnn", "lstm", "gru", "weight-decay", "early-stopping", "multi-head-attention", "seq2seq",
    "forecasting-and-speech", "translation-and-text", "computer-vision", "dimensionality-reduction", "image-generation",
    "face-recognition", "tabular", "forward-pass",
)  # fmt: skip

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("slug", TRAINED)
def test_a_picture_is_well_formed_and_small(slug):
    check_drawn(DRAWN[slug])
    assert slug not in UNTRAINED


def test_the_drawing_of_home_shows_every_map_and_a_distribution():
    picture = network.network()
    check(picture, 60_000)
    maps = {e.attrib["data-map"]: e for e in marked(picture, "map")}
    assert list(maps) == ["image", "conv1", "pool1", "conv2", "pool2"]
    for name, count, side, columns in (
        ("conv1", 32, 8, 4),
        ("pool1", 32, 4, 4),
        ("conv2", 64, 4, 8),
        ("pool2", 64, 2, 8),
    ):
        values, rows = heat_values(maps[name]), count // columns
        assert values.shape == (rows * (side + 1) - 1, columns * (side + 1) - 1)
        assert values.min() >= 0, "behind a ReLU nothing is negative"
    assert [e.text for e in marked(picture, "shape")] == ["8×8×32", "4×4×32", "4×4×64", "2×2×64", "8×8×1"]
    p = numbers(picture, "probability")
    assert len(p) == 10
    assert sum(p) == pytest.approx(1, abs=1e-3)
    assert int(np.argmax(p)) == network.SHOWN


def test_the_forward_pass_ends_with_the_softmax_of_its_logits():
    picture = PICTURES["forward-pass"]()
    values, flows, p = (numbers(picture, name) for name in ("value", "flow", "probability"))
    hidden, logits = np.array(values[4:9]), np.array(values[9:])
    assert (len(values), len(flows)) == (4 + 5 + 3, 4 * 5 + 5 * 3)
    assert (hidden >= 0).all()
    e = np.exp(logits - logits.max())
    np.testing.assert_allclose(p, e / e.sum(), atol=1e-3)
    into = np.array(flows[20:]).reshape(5, 3)
    np.testing.assert_array_equal(into[hidden == 0], 0)
    _, params = trained.trained_tables()["iris"]
    np.testing.assert_allclose(logits - into.sum(0), params["params"]["Dense_1"]["bias"], atol=1e-3)


def test_gates_and_parameters_of_the_cells_are_pytorchs():
    n, i = 128, 64
    counts = {"rnn": n * (i + n + 1), "lstm": 4 * n * (i + n + 1), "gru": 3 * n * (i + n + 1) + n}
    for slug, count in counts.items():
        picture = PICTURES[slug]()
        assert f"{count:,} parameters" in text_of(picture)
        gates = {e.attrib["data-gate"]: heat_values(e) for e in marked(picture, "gate")}
        for name, values in gates.items():
            assert values.shape == (trained_sequences.HIDDEN, trained_sequences.LOOKBACK)
            if name not in ("cell", "hidden"):
                assert values.min() >= 0
    assert set(gates) == {"reset", "update", "hidden"}


def test_the_translation_is_right_and_looks_at_the_words_it_writes():
    shown, exact = trained_sequences.trained_translator()
    assert exact > 0.9
    one = max(shown[:60], key=lambda s: len(s.english) * len(s.german))
    english = "".join(" - ".join(one.english[:-1]).split(" - ")).replace("hundredand", " hundred and ")
    german = {e.replace("-", "").replace(" ", ""): g for e, g, _ in number_table()[:1000]}
    assert "".join(one.german[:-1]) == german[english.replace("-", "").replace(" ", "")]
    rows = np.array([float(t) for t in words(PICTURES["seq2seq"](), "value", "alignment")])
    weights = rows.reshape(len(one.german), len(one.english))
    np.testing.assert_allclose(weights.sum(1), 1, atol=0.04)
    turned = [int(row.argmax()) for row in weights[2:5:2]]
    assert turned == [5, 3], "ones before tens"


def test_a_head_looks_most_at_the_letter_behind():
    shares = np.array(numbers(PICTURES["multi-head-attention"](), "share")).reshape(3, 3)
    assert shares.sum(1).max() <= 1.01
    assert shares[:, 1].max() > 0.4
    assert trained_sequences.trained_heads().accuracy > 0.98


def test_a_forecast_is_beside_what_came():
    rows = np.loadtxt(files.BUNDLED / "sunspots.csv", delimiter=",", skiprows=1, usecols=1)
    truth = curve_of(PICTURES["forecasting-and-speech"](), 0, "truth")
    assert len(truth) == trained_sequences.HORIZON + 1
    windows = np.lib.stride_tricks.sliding_window_view(rows, len(truth))
    assert np.abs(windows - truth[:, 1]).max(1).min() < 0.5
    test = series.sunspots(lookback=132, horizon=24, batch=16).splits["test"]["y"][:, :, 0]
    assert np.abs(test - truth[1:, 1]).max(1).min() < 0.5, "a window of the test split"


def test_more_decay_gives_shorter_weights():
    picture = PICTURES["weight-decay"]()
    ends = [curve_of(picture, 1, f"λ = {decay}")[-1, 1] for decay in (0, 0.3, 3)]
    assert ends[0] > ends[1] > ends[2]


def test_a_run_stops_eight_evaluations_after_its_best():
    picture = PICTURES["early-stopping"]()
    seen, stop = curve_of(picture, 0, "validation"), curve_of(picture, 0, "stop")[0, 0]
    best = seen[int(seen[:, 1].argmin()), 0]
    assert seen[-1, 0] == pytest.approx(stop, abs=1)
    assert stop - best == pytest.approx(8 * 10, abs=2)


def test_a_wider_code_loses_less():
    eight, two = numbers(PICTURES["autoencoder"](), "error")
    assert eight < two / 1.5


def test_a_pair_is_the_same_where_its_cosine_is_above_the_threshold():
    picture = PICTURES["face-recognition"]()
    cosines, text = numbers(picture, "cosine"), text_of(picture)
    threshold = float(curve_of(picture, 0, "threshold")[0, 0])
    verdicts = [line for line in text.splitlines() if line in ("the same", "another")]
    assert len(cosines) == 4
    assert [("the same" if c > threshold else "another") for c in cosines] == verdicts


def test_a_table_shows_rows_of_the_data():
    shown = text_of(PICTURES["tabular"]()).splitlines()
    rows = np.loadtxt(files.BUNDLED / "wine_data.csv", delimiter=",", skiprows=1)
    at = shown.index("class") + 1
    for i in range(9):
        alcohol, flavanoids, colour, proline, label = (value(t) for t in shown[at + 5 * i : at + 5 * i + 5])
        assert (np.abs(rows[:, [0, 6, 9, 12, 13]] - [alcohol, flavanoids, colour, proline, label]).max(1) < 0.01).any()


def test_every_digit_of_the_plane_is_one_of_the_test_split():
    texts = [t for t in text_of(PICTURES["dimensionality-reduction"]()).splitlines() if t.isdigit()]
    half = len(texts) // 2
    assert half == 130
    assert texts[:half] == texts[half:], "the same digits in both planes"


def test_guesses_are_the_likeliest_classes():
    picture = PICTURES["computer-vision"]()
    guesses = [int(g) for g in numbers(picture, "guess")]
    assert np.equal(guesses[:5], [2, 4, 6, 8, 9]).sum() >= 4
    assert "it is a" in text_of(picture), "the one judged worst"
