"""`train(config, lr=3e-3)`: one run in its own folder, new or resumed.

run = train(config, lr=3e-3)         # the same program, progress bar and run folder as on the command line
run.predict(images)["label"]
run.evaluate("test").metrics["accuracy"]
"""

import math
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from jaxdl import formats, runtime
from jaxdl.data.text import tokenizers
from jaxdl.engine.callbacks import Callbacks, Event
from jaxdl.engine.distributed import beat, from_first, watchdog
from jaxdl.engine.loop import Diverged, Limits, fit
from jaxdl.engine.parallel import Plan, describe
from jaxdl.engine.program import Program
from jaxdl.experiment import ExperimentError, refuse_while_reading
from jaxdl.record import run as folders
from jaxdl.record.checkpoint import CheckpointError, Checkpoints
from jaxdl.record.lock import locked
from jaxdl.record.log import MetricsLog, read_thinned, whose_weights
from jaxdl.record.manifest import reason
from jaxdl.record.orbax_leaves import preload
from jaxdl.record.processes import anywhere, is_first_process
from jaxdl.record.progress import Progress
from jaxdl.record.recorder import Recorder
from jaxdl.runs.prepare import check_data, prepare
from jaxdl.runs.provenance import about, check_recorded, continued, data_record, notes_on_resume
from jaxdl.runs.run import Run
from jaxdl.runs.weights import check_source, initialised_from
from jaxdl.setup import Config, Setup, refuse_reserved

Callback = Callable[[Event], Any]


def train(
    config: Config,
    /,
    *,
    run: str | Path = "runs",
    resume: str | Path | None = None,
    mesh: str | None = None,
    strategy: Literal["jit", "pmap"] = "jit",
    limits: Limits = Limits(),
    quiet: bool = False,
    callback: Callback | None = None,
    trust: bool = False,
    **values: Any,
) -> Run:
    """Train an experiment in a new run folder under `run`, or continue the run folder `resume`.

    Args:
        config: the function that returns the Experiment.
        run: folder in which `<experiment>/<date-time>-s<seed>/` is made.
        resume: a run folder to continue with its recorded knobs; other values are refused.
        mesh: devices by axis, such as "data=4,model=2" (`jaxdl.engine.parallel`); None: data parallel over all devices.
        strategy: "jit" or "pmap".
        limits: how often to log and save, where to pause.
        quiet: no progress bar.
        callback: called like the `callbacks` of the Experiment, after them: with every line of the log, in the first
            process. See `jaxdl.engine.callbacks` for what it may do, and for Weights & Biases, MLflow and messages.
        trust: resume a run whose config.json was changed since its checkpoints were written.
        **values: knobs of `config`, and recorded fields of the Experiment (`precision`, `ema`, ...), by name.

    With several processes (`jaxdl.engine.distributed`) all of them call this, and an exception ends the process at once.
    """
    refuse_while_reading("train(...)")
    refuse_reserved(config)
    folder = None
    if resume is None:
        setup = Setup.of(config, values)
    else:
        folder = folders.open_run(resume)
        if "sweep" in folder.config:
            raise ExperimentError(f"{resume} is a sweep: python -m jaxdl sweep --resume {resume}")
        check_recorded(folder, trust=trust)
        setup = continued(Setup.from_json(config, folder.config, folder.folder), values)
    runtime.ensure()
    exp = setup.build()
    try:
        with watchdog(limits.watchdog):
            result = _train(setup, exp, run, folder, Plan.make(mesh, strategy, exp), limits, quiet, callback)
            anywhere(False)  # the first process has written its report: now all may go
    finally:
        exp.data.close()  # the processes that decode
    return result


def _train(
    setup: Setup,
    exp: Any,
    run: str | Path,
    folder: folders.RunFolder | None,
    plan: Plan,
    limits: Limits,
    quiet: bool,
    callback: Callback | None,
) -> Run:
    preload()
    resumed, source = folder is not None, setup.source
    if exp.init_from is not None:
        check_source(exp.init_from)
    check_data(exp)
    program = prepare(setup, plan, exp=exp)
    task_notes = exp.task.notes(exp.data, program.predicted_shapes)
    if folder is None:
        record = {
            **setup.to_json(exp),
            "plan": dict(describe(plan)),
            **data_record(exp.data),
        }
        folder = new_folder(run, setup.stem, int(exp.seed), record, source)
        if is_first_process():
            for kept, tokenizer in exp.data.tokenizers.items():
                tokenizers.save(tokenizer, folder.folder / f"{kept}.json")
    metric, mode = exp.select
    with locked(folder.folder), Progress(exp.steps, metric=metric, quiet=quiet) as progress:
        checkpoints = Checkpoints(folder.checkpoints, mode=mode, notify=progress.say)
        if resumed and checkpoints.steps():
            state, _, step = checkpoints.restore(program.shapes)
            progress.begin(step)
        else:
            state, step = initialised_from(program, program.init(), progress.say), 0
        if resumed and (mended := folder.mend_env(source)):
            progress.say(f"note: {mended}")
        if old := formats.note(setup.rules, folder.folder):
            progress.say(old)
        for note in notes_on_resume(folder, source, exp, state, limits.stop_at) if resumed else ():
            progress.say(f"note: {note}")
        checkpoints.about = about(folder)
        progress.say(headline(program, folder.folder, step))
        for note in task_notes:
            progress.say(f"note: {note}")
        if not setup.knobs:
            progress.say(f"note: no knobs are recorded: {setup.name} takes none")
        if exp.accumulate > 1 and "batch_stats" in program.shapes.model_state:
            rows = exp.data.batch // exp.accumulate
            progress.say(f"note: batch statistics are those of micro-batches of {rows}, not of {exp.data.batch}")
        with MetricsLog(folder.folder, resume=step if resumed else None) as log:
            functions = [*exp.callbacks, *([callback] if callback else [])]
            callbacks = Callbacks(functions, folder.folder, setup.knobs)
            recorder = Recorder(log, progress, callbacks, folder.folder / "samples")
            if log.missing:
                recorder.line({"kind": "note", "step": step, "note": log.missing})
            traces = folder.folder / "profile"
            try:
                outcome = fit(
                    program,
                    state,
                    events=recorder,
                    checkpoints=checkpoints,
                    callbacks=callbacks,
                    limits=limits,
                    traces=traces,
                )
            except Diverged as error:
                callbacks.weights = None
                checkpoints.wait()  # the last save may still be under way
                kept = checkpoints.steps()
                from jaxdl.record.report import report_divergence  # brings matplotlib

                report_divergence(folder, exp, recorder)
                rest = f"the last good checkpoint is step {kept[-1]}" if kept else "there is no checkpoint yet"
                search = "" if jax.config.values["jax_debug_nans"] else ", or --debug-nans"
                hint = f"in {folder.folder}. Try a lower learning rate or gradient clipping{search}"
                raise Diverged(f"{error}; {rest}, {hint}") from None
            except OSError as error:
                if is_first_process() and not folder.metrics.exists():
                    raise CheckpointError(
                        f"the run folder {folder.folder} was removed or moved while the run trained"
                    ) from None
                if isinstance(error, CheckpointError) or not is_first_process():
                    raise
                checkpoints.wait()
                kept = checkpoints.steps()
                rest = f"step {kept[-1]} is the last good one" if kept else "there is no checkpoint yet"
                raise CheckpointError(f"cannot write to {folder.folder}: {reason(error)}; {rest}") from None
            result = Run(setup, program, outcome.state, folder.folder, outcome)
            callbacks.weights = lambda: result.weights
            finish(result, folder, recorder, progress)
    return result


def new_folder(run: str | Path, name: str, seed: int, record: dict[str, Any], source: str | None) -> folders.RunFolder:
    """Return a new run folder, which the first process makes and the others open."""
    made = None
    if is_first_process():
        made = folders.create_run(run, name, seed=seed, config=record, source=source)
    path = from_first(str(made.folder) if made else "")
    return made or folders.open_run(path)


def finish(result: Run, folder: folders.RunFolder, recorder: Recorder, progress: Progress) -> None:
    """Write the last line of the log, the plots and the report of a run that has ended or stopped."""
    outcome, exp = result.outcome, result.experiment
    assert outcome is not None, "a report is of a run that took place"
    beat(int(np.max(outcome.state.step)), "reporting")
    ended = outcome.reason in ("finished", "stopped early")
    evaluations = [result.evaluate(split) for split in exp.data.splits if split != "train"] if ended else []
    best = outcome.state.best
    restored = best is not None and exp.stop is not None and exp.stop.restore_best and np.isfinite(best.value)
    recorder.line(
        {
            "kind": "end",
            "step": int(outcome.state.step),
            "reason": outcome.reason,
            "weights": int(best.step if best is not None and restored else outcome.state.step),
            "compile_seconds": round(outcome.compile_seconds, 3),
            "train_seconds": round(outcome.train_seconds, 3),
            "results": {evaluation.split: evaluation.metrics for evaluation in evaluations},
        }
    )
    if is_first_process():
        from jaxdl.record.report import write_report  # brings matplotlib

        write_report(folder, exp, evaluations)
    name = exp.select[0]
    for evaluation in evaluations:
        loss = f", loss {evaluation.metrics['loss']:.4f}" if "loss" in evaluation.metrics and name != "loss" else ""
        progress.result(f"{evaluation.split} {name} {evaluation.metrics.get(name, math.nan):.4f}{loss}")
    if evaluations and (whose := whose_weights(read_thinned(folder.folder, exp.select)[0], *exp.select)):
        progress.result(whose)
    times = f"trained {outcome.train_seconds:.1f} s, compiled {outcome.compile_seconds:.1f} s"
    progress.say(f"{outcome.reason} at step {int(outcome.state.step)} of {exp.steps}; {times}")
    again = f"to go on: python -m jaxdl train --resume {shlex.quote(str(folder.folder))}"
    progress.say(f"report: {folder.page}" if ended else again)


def headline(program: Program, folder: Path, step: int) -> str:
    exp = program.exp
    count = sum(int(np.prod(a.shape)) for a in jax.tree.leaves(program.shapes.params))
    devices = jax.devices()
    split = exp.data.split or ", ".join(f"{exp.data.size(part)} {part}" for part in exp.data.splits)
    return (
        f"{exp.data.name or 'data'}: {split}\n"
        f"{count:,} parameters on {len(devices)} {devices[0].platform} device{'s' if len(devices) > 1 else ''}, "
        f"{exp.steps} steps of {exp.data.batch}" + (f", from step {step}" if step else "") + f"\nrun folder: {folder}"
    )
