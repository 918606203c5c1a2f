"""A sweep: its plan, its table and files, its members as runs, and that a stop or a crash leaves no trace in it."""

import csv
import json
import shutil
from dataclasses import dataclass, field, replace
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdl
from jaxdl import Experiment, Setup, load
from jaxdl.cli import sweep as command
from jaxdl.data.order import rows_of_step
from jaxdl.data.source import InMemory
from jaxdl.engine.loop import Limits
from jaxdl.experiment import ExperimentError
from jaxdl.record.lock import locked
from jaxdl.record.log import comparable
from jaxdl.record.run import open_run
from jaxdl.runs.members import histories
from jaxdl.runs.sweep import combinations, plan, resume, sweep

pytestmark = pytest.mark.programs(
    60, "a sweep and its members, loaded, stopped and resumed: each of them is a program of its own"
)

VALUES = {
    "a list": ("1e-4,3e-4", float, (1e-4, 3e-4)),
    "the same twice": ("4,4,8", int, (4, 8)),
    "whole numbers": ("2:5", int, (2, 3, 4)),
    "spaced": ("0:0.5:3", float, (0.0, 0.25, 0.5)),
    "spaced in the logarithm": ("1e-4:1e-2:3:log", float, (1e-4, 1e-3, 1e-2)),
    "whole numbers, spaced": ("8:64:4:log", int, (8, 16, 32, 64)),
    "truths": ("true,false", bool, (True, False)),
    "none": ("none,0.9", float | None, (None, 0.9)),
    "choices or none": ("none,a", Literal["a", "b"] | None, (None, "a")),
}


@pytest.mark.parametrize("what", VALUES)
def test_values(what):
    text, kind, expected = VALUES[what]
    assert command.Values.parse("--knob", text, kind).listed == expected


WRONG = {
    "1e-4,x": (float, "'x' is no number"),
    "3:1": (int, "from < to"),
    "0:1:3:log": (float, "0 < from < to"),
    "1:2:3:4:5": (float, "from:to:n"),
    "0:1:1": (float, "2 values or more"),
    "a:b": (str | None, "from:to"),
    "1.5,2": (int, "'1.5' is no whole number"),
    "yes,no": (bool, "true or false"),
}


@pytest.mark.parametrize("text", WRONG)
def test_wrong_values_say_what_would_be_right(text):
    kind, message = WRONG[text]
    with pytest.raises(ExperimentError, match=message):
        command.Values.parse("--knob", text, kind)


def test_knobs_with_several_values_are_found_among_the_flags(tiny):
    args = ["--lr", "1e-3,1e-2", "--width=8", "--seed=0:3", "--random", "4", "--min-delta", "0:1:2"]
    swept, rest = command.split(tiny.config, args)
    assert list(swept) == ["lr", "seed", "min_delta"]
    assert rest == ["--width=8", "--random", "4"]


def test_draws_lie_in_their_ranges_and_repeat():
    swept = {"lr": command.Values(ends=(1e-4, 1e-2), log=True), "seed": command.Values((0, 1, 2))}
    drawn = command.draw(swept, 50, seed=3)
    assert drawn == command.draw(swept, 50, seed=3) != command.draw(swept, 50, seed=4)
    lrs = np.array([point["lr"] for point in drawn])
    assert ((lrs >= 1e-4) & (lrs < 1e-2)).all()
    assert 0.3 < (lrs < 1e-3).mean() < 0.7  # half of the logarithm
    assert {point["seed"] for point in drawn} == {0, 1, 2}


def test_a_grid_of_real_numbers_needs_a_count():
    with pytest.raises(ExperimentError, match="needs a count"):
        command.grid({"lr": command.Values(ends=(0.1, 0.2))})


# -- the plan ---------------------------------------------------------------------------------------------------------


def test_the_plan_says_why_programs_are_split(tiny):
    def config(*, lr: float = 0.1, epochs: float = 1.0, width: int = 8, seed: int = 0) -> Experiment:
        return tiny.config(lr=lr, steps=int(24 * epochs), width=width, seed=seed)

    swept = {"lr": (0.1, 0.2), "epochs": (0.5, 1.0), "seed": (0, 1)}
    points = [dict(Setup.of(config, point).knobs) for point in combinations(swept)]
    groups, lines = plan(config, points, list(swept), {})
    assert [one.members for one in groups] == [(0, 1, 4, 5), (2, 3, 6, 7)]
    assert set(groups[0].knobs) == {"lr", "seed"}
    assert lines[0] == "8 members in 2 programs; lr and seed vary within a program"
    assert lines[1].startswith("  epochs splits them: Python needs its value at test_sweep.py:")
    assert lines[2:] == ["  4 with epochs 0.5", "  4 with epochs 1.0"]

    points = [dict(Setup.of(config, point).knobs) for point in combinations({"width": (4, 8), "seed": (0, 1)})]
    _, lines = plan(config, points, ["width", "seed"], {})
    assert lines[1] == "  width splits them: whole numbers decide shapes and steps"


# -- from end to end --------------------------------------------------------------------------------------------------

GRID = {"lr": (3e-2, 1e30), "rate": (0.0, 0.3), "seed": (0, 1)}


@pytest.fixture(scope="module")
def done(tiny, tmp_path_factory):
    return sweep(tiny.config, GRID, run=tmp_path_factory.mktemp("runs"), how="in turn", quiet=True)


def test_a_sweep_leaves_a_table_a_csv_a_report_and_pictures(done):
    assert done.reason == "finished"
    assert {path.name for path in done.folder.iterdir()} >= {"report.md", "results.csv", "plan.json", "group-0"}
    assert {name: path.is_file() for name, path in done.plots.items()} == {"curves": True, "two_knobs": True}
    lines = done.table.splitlines()
    assert lines[0] == "| lr | rate | n | validation accuracy, highest | test accuracy | steps | ended |"
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| 0.03", "| 0.03", "| 1e+30", "| 1e+30"]
    assert lines[-1].endswith("| diverged |")
    assert done.table in (done.folder / "report.md").read_text(encoding="utf-8")
    with open(done.folder / "results.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["member"] for row in rows] == [str(i) for i in range(8)]
    assert [float(row["lr"]) for row in rows] == [3e-2] * 4 + [1e30] * 4
    best = [float(row["best"]) for row in rows[:4]]
    first = next(line for line in lines if line.startswith("| 0.03 | 0 |"))
    assert f"{np.mean(best[:2]):.4g} ± {np.std(best[:2], ddof=1):.2g}" in first
    assert {row["ended"] for row in rows[4:]} == {"diverged"}


def test_a_member_is_a_run_that_predicts_and_evaluates(done, tiny):
    loaded = load(done.folder, member=3)
    row = done.rows[3]
    assert loaded.setup.knobs["seed"] == 1
    assert loaded.setup.knobs["rate"] == 0.3
    found = loaded.evaluate("test").metrics
    assert found["accuracy"] == row["test_accuracy"]
    np.testing.assert_allclose(found["loss"], row["test_loss"], rtol=1e-6)
    assert loaded.predict(tiny.data(16).splits["test"]["x"])["label"].shape == (12,)
    evals = [line for line in loaded.history if line["kind"] == "eval"]
    assert max(line["accuracy"] for line in evals) == row["best"]
    assert [line["step"] for line in evals] == [6, 12, 18, 24]


@pytest.mark.slow
def test_a_member_is_the_run_alone_also_on_disk(done, tiny, tmp_path, unreported):
    alone = jaxdl.train(tiny.config, lr=3e-2, rate=0.3, seed=1, run=tmp_path, quiet=True)
    member, run = (
        json.loads(comparable(history)[-1]) for history in (load(done.folder, member=3).history, alone.history)
    )
    assert member.keys() == run.keys()
    for name, value in run.items():  # two programs: a probability may differ in its last bit, which is 6e-8 of it
        assert member[name] == (pytest.approx(value, rel=1e-6) if isinstance(value, float) else value), name


MISTAKES = {
    "which member": (lambda done, tiny: load(done.folder), "which member, 0 … 7"),
    "no such member": (lambda done, tiny: load(done.folder, member=8), "member 8 is not one of 0 … 7$"),
    "no such knob": (lambda done, tiny: sweep(tiny.config, {"learning_rate": (1.0, 2.0)}), "there are steps, batch"),
    "nothing": (lambda done, tiny: sweep(tiny.config, {}), "nothing to sweep"),
    "resumed as a run": (lambda done, tiny: jaxdl.train(tiny.config, resume=done.folder), "sweep --resume"),
    "init_from": (lambda done, tiny: sweep(tiny.config, GRID, init_from="x"), "init_from"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_mistakes_are_told(what, done, tiny):
    call, message = MISTAKES[what]
    with pytest.raises(ExperimentError, match=message):
        call(done, tiny)


def test_a_sweep_without_its_plan(done, tmp_path):
    shutil.copytree(done.folder, tmp_path / "sweep")
    (tmp_path / "sweep" / "plan.json").unlink()
    with pytest.raises(ExperimentError, match=r"has no readable plan\.json"):
        load(tmp_path / "sweep", member=0)


def test_a_sweep_is_locked(done, tiny):
    with locked(done.folder), pytest.raises(ValueError, match="is being trained by process"):
        resume(done.folder, config=tiny.config)


def test_a_run_is_no_sweep_to_resume(trained):
    with pytest.raises(ExperimentError, match="train --resume"):
        resume(trained.folder)


@dataclass(frozen=True, eq=False)
class Streamed(InMemory):
    """Batches gathered on the host, a chunk at a time."""

    resident: bool = field(default=False, init=False)

    def source(self, start, stop, seed):
        rows = np.stack([rows_of_step(seed, step, self.batch, self.size("train")) for step in range(start, stop)])
        return {**{key: value[rows] for key, value in self.splits["train"].items()}, "first": np.int32(start)}

    def train_batch(self, source, seed, step):
        batch = {key: source[key][step - source["first"]] for key in ("x", "y")}
        return {**batch, "mask": jnp.ones(self.batch, jnp.float32)}


@pytest.mark.slow
@pytest.mark.parametrize("how", [None, "in turn"])
def test_members_share_one_order_of_streamed_data(how, tiny, tmp_path, unreported):
    data = Streamed(tiny.data(16).splits, 16, name="streamed")

    def config(*, lr: float = 0.01, seed: int = 0) -> Experiment:
        return replace(tiny.config(lr=lr, seed=seed, steps=6), data=data)

    result = sweep(config, {"seed": (5, 6)}, run=tmp_path, how=how, quiet=True)
    assert json.loads((result.folder / "config.json").read_text(encoding="utf-8"))["recorded"]["data_seed"] == 5
    other = load(result.folder, member=1, config=config)
    alone = jaxdl.train(config, seed=6, data_seed=5, run=tmp_path, quiet=True)
    for ours, theirs in zip(*map(jax.tree.leaves, (other.weights, alone.weights)), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


# -- stopped and resumed ----------------------------------------------------------------------------------------------

THIN = {"lr": (1e-2, 3e-2, 1e-3, 3e-3), "seed": (0, 1)}


def lines_of(folder):
    return comparable(line for lines in histories(open_run(folder)) for line in lines)


@pytest.fixture(scope="module")
def thinned(tiny, tmp_path_factory):
    """An undisturbed sweep that drops members at steps 6 and 12; nobody reads its report."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jaxdl.record.sweep_report.write_sweep_report", lambda *_: ("", {}))
        return sweep(tiny.config, THIN, run=tmp_path_factory.mktemp("runs"), how="in turn", prune=True, quiet=True)


def test_successive_halving_keeps_the_best(thinned):
    stages = json.loads((thinned.folder / "group-0" / "stages.json").read_text(encoding="utf-8"))["stages"]
    assert [(stage["step"], len(stage["members"])) for stage in stages] == [(0, 8), (6, 1)]
    ended = [row["ended"] for row in thinned.rows]
    assert ended.count("pruned at step 6") == 7
    assert ended.count("finished") == 1
    winner = thinned.rows[ended.index("finished")]
    assert winner["best"] >= max(row["best"] for row in thinned.rows if row["ended"] != "finished")
    assert {row["step"] for row in thinned.rows} == {6, 24}
    dropped = ended.index("pruned at step 6")
    assert [line["step"] for line in load(thinned.folder, member=dropped).history if line["kind"] == "eval"] == [6]


@pytest.mark.parametrize("stop_at", [6, *(pytest.param(step, marks=pytest.mark.slow) for step in (3, 15))])
def test_a_resumed_sweep_equals_an_undisturbed_one(stop_at, thinned, tiny, tmp_path, unreported):
    options = {"run": tmp_path, "how": "in turn", "prune": True, "quiet": True}
    stopped = sweep(tiny.config, THIN, limits=Limits(stop_at=stop_at), **options)
    assert (stopped.reason, stopped.rows) == ("paused", [])
    again = resume(stopped.folder, config=tiny.config, quiet=True)
    assert again.rows == thinned.rows
    assert lines_of(again.folder) == lines_of(thinned.folder)


@pytest.mark.slow
def test_a_damaged_stage_is_trained_again(thinned, tiny, tmp_path, unreported):
    copy = tmp_path / "copy"
    shutil.copytree(thinned.folder, copy)
    (copy / "results.json").unlink()
    for file in (copy / "group-0" / "checkpoints-1").rglob("*"):
        if file.is_file() and file.name != "meta.json":
            file.write_bytes(b"damaged")
    again = resume(copy, config=tiny.config, quiet=True)
    assert again.rows == thinned.rows


@pytest.mark.slow
def test_the_command(tiny_file, tmp_path, capsys):
    grid = ["--lr", "0.01,0.03", "--rate", "0.0,0.3", "--seed", "0:2"]  # of the shape of GRID: the same program
    assert command.run([str(tiny_file), *grid, "--run", str(tmp_path), "--quiet", "--how", "in turn"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("| lr | rate | n | validation accuracy, highest |")
    assert "8 members in 1 program; lr, rate and seed vary within a program" in told.err
    assert told.err.index("8 members in 1 program") < told.err.index("sweep folder")
    with pytest.raises(ExperimentError, match="nothing to sweep"):
        command.run([str(tiny_file), "--lr", "0.01"])
