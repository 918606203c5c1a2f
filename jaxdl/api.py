"""What a script or a notebook calls: `train(config(...))` and `load(RUN)`. The command line is a thin layer on the same.

run = train(config(lr=3e-3))         # the same program, progress bar and run folder as on the command line
run = load("runs/digits_cnn/2026-01-31-120000-s0")
run.predict(images)["label"]
run.evaluate("test").metrics["accuracy"]
"""

import sys
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from jaxdl import runtime
from jaxdl.data import tokenizers
from jaxdl.experiment import RECORDED, Experiment, ExperimentError, load_config
from jaxdl.prepared import Prepared, prepare
from jaxdl.provenance import (
    as_typed,
    check,
    checksum,
    docstring_of,
    knobs_of,
    notes_on_resume,
    rebuild,
    refuse_changes,
    source_of,
    with_overrides,
)
from jaxdl.record import run as folders
from jaxdl.record.checkpoint import CheckpointError, Checkpoints, preload
from jaxdl.record.lock import locked
from jaxdl.record.log import MetricsLog, read
from jaxdl.record.manifest import reason
from jaxdl.record.processes import anywhere, is_first_process
from jaxdl.record.progress import Progress
from jaxdl.record.recorder import Recorder
from jaxdl.train.distributed import beat, from_first, watched
from jaxdl.train.evaluate import Evaluation, evaluate
from jaxdl.train.loop import Diverged, Limits, Outcome, chosen, fit
from jaxdl.train.parallel import Plan, describe
from jaxdl.transfer import initialised_from
from jaxdl.types import TrainState, Variables


class Run:
    """A trained experiment: its weights, its numbers, its folder."""

    def __init__(self, prepared: Prepared, state: TrainState, folder: Path | None, outcome: Outcome | None = None):
        self.prepared, self.state, self.folder, self.outcome = prepared, state, folder, outcome
        self.experiment = prepared.experiment

    @cached_property
    def weights(self) -> Variables:
        """(params, model_state) the run stands for: early stopping's best, else the last, averaged where asked."""
        return chosen(self.prepared.program, self.experiment, dict(self.prepared.traced), self.state)

    def predict(self, x: Any) -> Any:
        """Predictions for raw inputs: one example or any number of them."""
        return self.prepared.predict(self.weights, x)

    def evaluate(self, split: str = "test") -> Evaluation:
        """All metrics on a whole split: "train", "validation" or "test"."""
        return evaluate(self.prepared.program, self.experiment.task, dict(self.prepared.traced), self.weights, split)

    @property
    def history(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl."""
        return read(self.folder / "metrics.jsonl") if self.folder else []

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}, step={int(self.state.step)})"


def train(
    exp: Experiment,
    *,
    run: str | Path = "runs",
    resume: str | Path | None = None,
    mesh: str | None = None,
    strategy: Literal["jit", "pmap"] = "jit",
    limits: Limits = Limits(),
    quiet: bool = False,
    callback: Callable[[dict[str, Any]], None] | None = None,
) -> Run:
    """Train an experiment into a new run folder under `run`, or go on with the run folder `resume`.

    Args:
        exp: what `config(...)` returned.
        run: folder under which `<experiment>/<date-time>-s<seed>/` is made.
        resume: a run folder to continue; its knobs must be those of `exp`.
        mesh: devices by axis, such as "data=4,model=2" (`jaxdl.train.parallel`); None: all take part of the data.
        strategy: "jit" or "pmap".
        limits: how often to log and save, where to pause.
        quiet: no progress bar.
        callback: called with every line of metrics.jsonl as it is written (a dictionary with `kind` and `step`), in
            the first process. Through it other trackers fit in a few lines:

                def numbers(line):
                    return {f"{line.get('split', 'train')}/{k}": v for k, v in line.items() if isinstance(v, float)}

                wandb.init(project="digits", config=dict(exp.origin.knobs))                   # Weights & Biases
                train(exp, callback=lambda line: wandb.log(numbers(line), step=line["step"]))

                with mlflow.start_run():                                                      # MLflow
                    mlflow.log_params(exp.origin.knobs)
                    train(exp, callback=lambda line: mlflow.log_metrics(numbers(line), step=line["step"]))

    In several processes (`jaxdl.train.distributed`) all of them call this; an exception then ends the process at once.
    """
    runtime.ensure()
    try:
        with watched(limits.watchdog):
            result = _train(exp, run, resume, Plan.make(mesh, strategy, exp), limits, quiet, callback)
            anywhere(False)  # the first process has written its report: now all may go
    finally:
        if hasattr(exp.data, "close"):
            exp.data.close()  # the processes that decode
    return result


def _train(
    exp: Experiment,
    run: str | Path,
    resume: str | Path | None,
    plan: Plan,
    limits: Limits,
    quiet: bool,
    callback: Callable[[dict[str, Any]], None] | None,
) -> Run:
    preload()
    check(exp)
    prepared = prepare(exp, plan)
    config = {
        "knobs": knobs_of(exp),
        "recorded": {name: getattr(exp, name) for name in RECORDED},
        "select": list(exp.select),
        "plan": dict(describe(plan)),
    }
    source = source_of(exp)
    folder = folders.open_run(resume) if resume is not None else None
    if folder is not None and "sweep" in folder.config:
        raise ExperimentError(f"{resume} is a sweep: python -m jaxdl sweep --resume {resume}")
    if folder is not None:
        refuse_changes(folder.config, config)
    else:
        config |= {"docstring": docstring_of(exp), "data": checksum(exp.data)}
        name = Path(source).stem if source else "notebook"
        folder = new_folder(run, name, seed=int(exp.seed), config=config, source=source)
    if resume is None and is_first_process():
        for kept, tokenizer in getattr(exp.data, "tokenizers", {}).items():
            tokenizers.save(tokenizer, folder.folder / f"{kept}.json")
    metric, mode = exp.select
    with locked(folder.folder), Progress(exp.steps, metric=metric, quiet=quiet) as progress:
        checkpoints = Checkpoints(folder.checkpoints, mode=mode, notify=progress.say)
        if resume is not None and checkpoints.steps():
            state, _, step = checkpoints.restore(prepared.shapes)
            progress.begin(step)
        else:
            state, step = prepared.program.init(dict(prepared.traced)), 0
            state = initialised_from(exp, prepared, state, progress.say)
        for note in notes_on_resume(folder, exp, state, limits.stop_at) if resume is not None else ():
            progress.say(f"note: {note}")
        progress.say(headline(exp, prepared, folder.folder, step))
        if exp.origin is None:
            progress.say("note: the knobs are not recorded: no function with @experiment made this experiment")
        if exp.accumulate > 1 and "batch_stats" in prepared.shapes.model_state:
            rows = exp.data.batch // exp.accumulate
            progress.say(f"note: batch statistics are those of micro-batches of {rows}, not of {exp.data.batch}")
        with MetricsLog(folder.folder, resume=step if resume is not None else None) as log:
            told = callback if is_first_process() else None
            recorder = Recorder(log, progress, told, folder.folder / "samples")
            try:
                outcome = fit(
                    prepared.program,
                    exp,
                    dict(prepared.traced),
                    state,
                    events=recorder,
                    checkpoints=checkpoints,
                    limits=limits,
                    traces=folder.folder / "profile",
                )
            except Diverged as error:
                from jaxdl.record.report import report_divergence

                checkpoints.wait()  # the last save may still be under way
                kept = checkpoints.steps()
                report_divergence(folder, exp, recorder)
                rest = f"the last good checkpoint is step {kept[-1]}" if kept else "there is no checkpoint yet"
                hint = f"in {folder.folder}. Try a lower learning rate, gradient clipping, or --debug-nans"
                raise Diverged(f"{error}; {rest}, {hint}") from None
            except OSError as error:
                if isinstance(error, CheckpointError) or not is_first_process():
                    raise
                checkpoints.wait()
                kept = checkpoints.steps()
                rest = f"step {kept[-1]} is the last good one" if kept else "there is no checkpoint yet"
                raise CheckpointError(f"cannot write to {folder.folder}: {reason(error)}; {rest}") from None
            result = Run(prepared, outcome.state, folder.folder, outcome)
            conclude(result, folder, recorder, progress)
    return result


def new_folder(run: str | Path, name: str, **record: Any) -> folders.Run:
    """A new run folder: made by the first process, opened by the others."""
    made = folders.create_run(run, name, **record) if is_first_process() else None
    path = from_first(str(made.folder) if made else "")
    return made or folders.open_run(path)


def conclude(result: Run, folder: folders.Run, recorder: Recorder, progress: Progress) -> None:
    """The last lines of the log, the plots and the report of a run that ended, was stopped or pauses."""
    from jaxdl.record.report import write_report

    outcome, exp = result.outcome, result.experiment
    assert outcome is not None, "a report is of a run that took place"
    beat(int(np.max(outcome.state.step)), "reporting")
    ended = outcome.reason in ("finished", "stopped early")
    evaluations = [result.evaluate(split) for split in exp.data.splits if split != "train"] if ended else []
    recorder.line(
        {
            "kind": "end",
            "step": int(outcome.state.step),
            "reason": outcome.reason,
            "compile_seconds": round(outcome.compile_seconds, 3),
            "train_seconds": round(outcome.train_seconds, 3),
            "results": {evaluation.split: evaluation.metrics for evaluation in evaluations},
        }
    )
    if is_first_process():
        write_report(folder, exp, evaluations)
    name = exp.select[0]
    for evaluation in evaluations:
        loss = f", loss {evaluation.metrics['loss']:.4f}" if "loss" in evaluation.metrics and name != "loss" else ""
        progress.say(f"{evaluation.split} {name} {evaluation.metrics[name]:.4f}{loss}")
    times = f"trained {outcome.train_seconds:.1f} s, compiled {outcome.compile_seconds:.1f} s"
    progress.say(f"{outcome.reason} at step {int(outcome.state.step)} of {exp.steps}; {times}")
    progress.say(f"report: {folder.report}" if ended else f"to go on: python -m jaxdl train --resume {folder.folder}")


def load(
    run: str | Path,
    checkpoint: Literal["best", "last"] = "best",
    *,
    member: int | None = None,
    config: Callable[..., Experiment] | None = None,
) -> Run:
    """A run from its folder, ready to predict and to evaluate.

    Args:
        run: the run folder.
        checkpoint: "best" by the metric that selects, or "last".
        member: which one, where the folder is that of a sweep.
        config: the function the run was made with, where it came from a notebook (a run from a file keeps a copy).
    """
    if checkpoint not in ("best", "last"):
        raise ValueError(f"checkpoint = {checkpoint!r} must be 'best' or 'last'")
    folder = folders.open_run(run)
    if "sweep" in folder.config:
        from jaxdl.members import load_member

        return load_member(folder, member, checkpoint, config)
    if config is None:
        if not folder.experiment.is_file():
            raise ExperimentError(
                f"{run} was trained from a notebook: give its config function, load(run, config=config)"
            )
        config = load_config(folder.experiment, beside=folder.config.get("source"))
    exp = rebuild(config, folder.config, folder.folder)
    prepared = prepare(exp)
    checkpoints = Checkpoints(folder.checkpoints, mode=exp.select[1], notify=lambda line: print(line, file=sys.stderr))
    if not checkpoints.steps():
        raise ExperimentError(f"{run} has no checkpoint yet")
    in_state = exp.stop is not None and exp.stop.restore_best and checkpoint == "best"
    wanted = "last" if in_state or checkpoint == "last" or checkpoints.best is None else "best"
    state, _, _ = checkpoints.restore(prepared.shapes, wanted)
    loaded = Run(prepared, state, folder.folder)
    if checkpoint == "last":
        loaded.weights = prepared.program.weights(dict(prepared.traced), state)
    return loaded


def headline(exp: Experiment, prepared: Prepared, folder: Path, step: int) -> str:
    count = sum(int(np.prod(a.shape)) for a in jax.tree.leaves(prepared.shapes.params))
    devices = jax.devices()
    return (
        f"{exp.data.name}: {exp.data.split}\n"
        f"{count:,} parameters on {len(devices)} {devices[0].platform} device{'s' if len(devices) > 1 else ''}, "
        f"{exp.steps} steps of {exp.data.batch}" + (f", from step {step}" if step else "") + f"\nrun folder: {folder}"
    )


__all__ = [
    "Prepared",
    "Run",
    "as_typed",
    "check",
    "conclude",
    "docstring_of",
    "initialised_from",
    "load",
    "new_folder",
    "prepare",
    "source_of",
    "train",
    "with_overrides",
]
