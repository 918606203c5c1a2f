"""Whose runs make a mean: each seed once, finished, of one file and one setting; the rest is told."""

import json

import pytest

from jaxdl.__main__ import main


@pytest.fixture
def make(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = []

    def one(best=0.5, seed=0, reason="finished", source_hash="a" * 16, experiment="x", lr=0.1, **more):
        folder = tmp_path / "runs" / experiment / f"2026-01-01_00-00-{len(made):02}-s{seed}"
        made.append(folder)
        folder.mkdir(parents=True)
        config = {"experiment": experiment, "seed": seed, "source_hash": source_hash, "select": ["accuracy", "max"]}
        config |= {"knobs": {"lr": lr, "seed": seed}, "recorded": {"ema": None}, **more}
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        lines = [{"kind": "train", "step": 4, "loss": 1.0}]
        if best is not None:
            lines += [
                {"kind": "eval", "split": "validation", "step": step, "accuracy": best, "loss": 1.0} for step in (4, 8)
            ]
        if reason is not None:
            lines.append({"kind": "end", "step": 8, "reason": reason, "results": {}})
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        return folder

    return one


def compare(capsys, *args):
    assert main(["compare", *map(str, args), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    return shown["rows"], shown["notes"]


def test_a_seed_counts_once_with_its_newest_finished_run(make, capsys):
    old, _, new = make(0.1, seed=0), make(0.6, seed=1), make(0.8, seed=0)
    ((row,), (note,)) = compare(capsys, "runs/x")
    assert row["n"] == 2
    assert row["best accuracy"] == pytest.approx([0.7, 0.02**0.5])
    assert str(old) in note
    assert new.name in note
    assert compare(capsys, "runs/x", new) == ([row], [note])  # a folder named twice is one run


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("paused", "paused at step 8"),
        ("interrupted", "interrupted at step 8"),
        ("diverged", "diverged at step 8"),
        (None, "unfinished at step 8"),
    ],
)
def test_unfinished_runs_are_no_part_of_a_mean(make, capsys, reason, told):
    make(0.6, seed=0), make(0.8, seed=1, reason="stopped early")
    left = [make(0.1, seed=2, reason=reason), make(0.1, seed=0, reason=reason)]
    ((row,), notes) = compare(capsys, "runs/x")
    assert (row["n"], row["best accuracy"][0]) == (2, pytest.approx(0.7))
    assert "state" not in row
    assert notes == [f"note: left out: {folder}: {told}" for folder in left]


def test_only_unfinished_runs_are_shown_alone(make, capsys):
    make(0.6, seed=0, reason="paused"), make(0.8, seed=1, reason=None), make(0.7, seed=1, reason="paused")
    rows, notes = compare(capsys, "runs/x")
    assert [(row["n"], row["seed"], row["state"], row["best accuracy"][0]) for row in rows] == [
        (1, 1, "unfinished", 0.8), (1, 1, "paused", 0.7), (1, 0, "paused", 0.6),
    ]  # fmt: skip
    assert len(notes) == 1


def test_an_edited_file_is_another_setting(make, capsys):
    make(0.6, seed=0), make(0.8, seed=1), make(0.7, seed=0, source_hash="b" * 16)
    rows, notes = compare(capsys, "runs/x")
    assert [(row["file"], row["n"]) for row in rows] in (
        [("aaaaaaaa", 2), ("bbbbbbbb", 1)],
        [("bbbbbbbb", 1), ("aaaaaaaa", 2)],
    )
    assert notes == []
    make(0.9, experiment="y", source_hash="c" * 16)
    assert {row["file"] for row in compare(capsys, "runs")[0]} == {"aaaaaaaa", "bbbbbbbb", "cccccccc"}


def test_different_experiments_need_no_hash(make, capsys):
    make(0.6), make(0.9, experiment="y", source_hash="c" * 16)
    rows, _ = compare(capsys, "runs")
    assert [row["experiment"] for row in rows] == ["y", "x"]
    assert all("file" not in row for row in rows)


def test_a_run_without_evaluation_is_left_out(make, capsys):
    empty = make(None, reason=None)
    assert main(["compare", "runs/x"]) == 2
    assert "no evaluation yet" in capsys.readouterr().err
    make(0.6)
    (empty / "metrics.jsonl").unlink()
    ((row,), notes) = compare(capsys, "runs/x")
    assert row["n"] == 1
    assert notes == [f"note: left out: {empty}: no evaluation yet"]


def test_a_folder_that_cannot_be_read_blocks_nothing(make, capsys):
    make(0.6)
    (make(0.7) / "config.json").write_text("{", encoding="utf-8")
    assert main(["compare", "runs/x"]) == 0
    assert "config.json cannot be read" in capsys.readouterr().err


def test_a_sweep_has_its_own_table(make, capsys):
    sweep = make(None, experiment="x-sweep", sweep={})
    assert main(["compare", str(sweep)]) == 0
    assert capsys.readouterr().out.startswith(f"note: {sweep} is a sweep: it has ")
    for name in ("report.md", "results.csv"):
        (sweep / name).write_text("", encoding="utf-8")
    assert main(["compare", str(sweep)]) == 0
    told = f"note: {sweep} is a sweep: its table is in {sweep}/report.md and {sweep}/results.csv"
    assert capsys.readouterr().out == told + "\n"
    make(0.6)
    rows, notes = compare(capsys, "runs")
    assert (len(rows), notes) == (1, [told])
