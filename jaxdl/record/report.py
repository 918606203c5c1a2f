"""`report.md` and `report.html`: the settings of a run, its results and pictures, and the commands to repeat it."""

import ast
import html
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxdl.record import gallery, plots
from jaxdl.record.draw import Split, draw
from jaxdl.record.log import Line, best_evaluation, read_thinned, whose_weights
from jaxdl.record.manifest import result_file
from jaxdl.record.page import write_html
from jaxdl.record.processes import is_first_process
from jaxdl.record.run import RunFolder
from jaxdl.record.series import series_of_run
from jaxdl.reports import Notes, Rows


def write_report(run: RunFolder, exp: Any, evaluations: Sequence[Any] = ()) -> Path:
    """Draw the plots of a run and write its report, when it ends or pauses. Returns the path of report.md.

    `exp` is its Experiment (for the data set's sentences, class names and images, and the metric that selects);
    `evaluations` has `split, metrics, report, outputs, targets` of each split that was evaluated with the final weights.
    The pictures are of the test split where there is one, else of the last.
    """
    metric, mode = exp.select
    history, count = read_thinned(run.folder, (metric, mode))
    curves = plots.learning_curves(history, run.plots / "learning_curves.png", select=metric)
    shown = [(curves, "Learning curves")]
    chosen = None
    if evaluations:
        chosen = next((e for e in evaluations if e.split == "test"), evaluations[-1])
        for name, (path, caption) in drawn_pictures(chosen, exp.data, run.plots).items():
            shown.append((path, f"{caption} ({chosen.split} split)"))
            if (film := gallery.film(run.folder / "samples", name, run.plots / f"{name}.gif")) is not None:
                shown.append((film, f"{caption}, evaluation after evaluation"))
    parts = [
        f"# {plain_text(title(run))}\n",
        _outcome(run, history),
        "## Result\n",
        _results(history, {e.split: e.metrics for e in evaluations}, metric, mode),
        *(_written(value) for value in (chosen.report.values() if chosen else ())),
        *(
            f"### {caption}\n\n![{caption}](plots/{path.name})\n"
            for path, caption in ((p, plain_text(c)) for p, c in shown)
        ),
        "## Data\n",
        _data(exp.data),
        "## Settings\n",
        _settings(run.config),
        "## Where it ran\n",
        _where(run, count),
        "## Again\n",
        _commands(run),
    ]
    text = "\n".join(part for part in parts if part)
    with result_file(run.report) as new:
        new.write_text(text, encoding="utf-8")
    write_html(text, run.page, {curves.name: series_of_run(history, select=metric)})
    return run.report


def report_divergence(run: RunFolder, exp: Any, events: Any) -> None:
    """Write the end line and the report of a run that diverged, in the first process; nothing is evaluated."""
    if not is_first_process():
        return
    step = max((line["step"] for line in read_thinned(run.folder)[0]), default=0)
    events.line({"kind": "end", "step": step, "reason": "diverged", "results": {}})
    write_report(run, exp)


def drawn_pictures(evaluation: Any, data: Any, folder: Path) -> dict[str, tuple[Path, str]]:
    """The pictures of one evaluation: name -> (file, caption)."""
    split, shown = Split.of(data, evaluation.split), {}
    for name, value in evaluation.report.items():
        if (path := draw(value, folder / f"{name}.png", split)) is not None:
            shown[name] = path, value.title or name.replace("_", " ").capitalize()
    return shown


def title(run: RunFolder) -> str:
    """The first line of the experiment's docstring, else its name."""
    text = run.config.get("docstring")
    if not text and run.experiment.is_file():
        try:
            text = ast.get_docstring(ast.parse(run.experiment.read_text(encoding="utf-8")))
        except (SyntaxError, ValueError):
            text = None
    return (text or run.config["experiment"]).strip().splitlines()[0].rstrip(".")


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table.

    >>> print(markdown_table(["a", "b"], [["x|y", "1"]]))
    | a | b |
    |---|---|
    | x\\|y | 1 |
    """
    lines = [header, *rows]
    text = ["| " + " | ".join(plain_text(cell).replace("|", "\\|") for cell in line) + " |" for line in lines]
    return "\n".join([text[0], "|" + "---|" * len(header), *text[1:]])


def plain_text(value: Any) -> str:
    """A name of a user, a file or a class on one line, with HTML escaped.

    >>> plain_text("a\\nb <script>")
    'a b &lt;script&gt;'
    """
    return html.escape(" ".join(str(value).split()), quote=False)


def shown_number(value: Any) -> str:
    """A number with four significant digits, or a whole number.

    >>> [shown_number(value) for value in (0.97222, 1797.0, 1.5e-5, float("nan"), "adam", None)]
    ['0.9722', '1797', '1.5e-05', 'nan', 'adam', '–']
    """
    if value is None:
        return "–"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e9 else f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def duration(seconds: float) -> str:
    """
    >>> duration(3.21), duration(75), duration(7380)
    ('3.2 s', '1 min 15 s', '2 h 3 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds) // 60
    return f"{minutes} min {int(seconds) % 60} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


# -- parts ------------------------------------------------------------------------------------------------------------


def _outcome(run: RunFolder, history: Sequence[Line]) -> str:
    end = next((line for line in reversed(history) if line["kind"] == "end"), None)
    if end is None:
        step = history[-1]["step"] if history else 0
        return f"Not finished: the log reaches step {step}.\n"
    text = f"**{str(end.get('reason', 'ended')).capitalize()}** at step {end['step']}"
    if "train_seconds" in end:
        text += f": trained {duration(end['train_seconds'])}, compiled {duration(end.get('compile_seconds', 0.0))}"
    skipped = max((line.get("skipped", 0) for line in history if line["kind"] == "train"), default=0)
    return (
        text
        + (f"; {skipped} steps were skipped because their loss or gradient was not finite" if skipped else "")
        + ".\n"
    )


def _results(history: Sequence[Line], finals: Mapping[str, Mapping[str, Any]], metric: str, mode: str) -> str:
    """The result in a sentence, and all metrics: of the result, and of the last and the best evaluation where they differ."""
    columns: dict[str, Mapping[str, Any]] = dict(finals)
    end = next((line for line in reversed(history) if line["kind"] == "end"), {})
    evaluations: dict[int, list[str]] = {}  # step -> what it is
    last = next((line for line in reversed(history) if line["kind"] == "eval"), None)
    best = best_evaluation(history, metric, mode)
    for line, what in ((last, "last"), (best, f"best {metric}")):
        if line is not None and not (line["step"] == end.get("weights") and line.get("split") in finals):
            evaluations.setdefault(line["step"], []).append(what)
    for line in (last, best):
        if line is not None and line["step"] in evaluations:
            columns[
                f"{line.get('split', 'validation')}, {' and '.join(evaluations[line['step']])} (step {line['step']})"
            ] = line
    if not columns:
        return "Nothing was evaluated yet.\n"
    names = [metric, "loss"]
    for numbers in columns.values():
        names += [name for name, value in numbers.items() if isinstance(value, int | float) and name != "step"]
    names = [name for name in dict.fromkeys(names) if any(name in numbers for numbers in columns.values())]
    rows = [[name, *(shown_number(numbers.get(name)) for numbers in columns.values())] for name in names]
    said = ""
    if finals:
        split = "test" if "test" in finals else list(finals)[-1]
        value, whose = shown_number(finals[split].get(metric)), whose_weights(history, metric, mode)
        said = f"**{plain_text(f'{split} {metric} {value}')}**{', ' * bool(whose)}{whose}.\n\n"
    return said + markdown_table(["", *columns], rows) + "\n"


def _written(value: Any) -> str:
    """The notes and tables of a report as Markdown."""
    if isinstance(value, Notes):
        return "".join(f"- {plain_text(line)}\n" for line in value.lines)
    if isinstance(value, Rows):
        return (
            (f"### {plain_text(value.title)}\n\n" if value.title else "")
            + markdown_table(value.header, value.rows)
            + "\n"
        )
    return ""


def _data(data: Any) -> str:
    """The name of the data, the sentence on the split, and the sizes unless that sentence has them."""
    sizes = {split: str(data.size(split)) for split in data.splits}
    sentence = data.split.rstrip(".")
    listed = "" if all(size in sentence for size in sizes.values()) else ", ".join(f"{n} {s}" for s, n in sizes.items())
    name = data.name or "data"
    text = "; ".join(part for part in (sentence, listed, f"batches of {data.batch}") if part)
    return f"**{plain_text(name)}**: {plain_text(text)}.\n"


def _settings(config: Mapping[str, Any]) -> str:
    rows = [[f"`{name}`", shown_number(value)] for name, value in config.get("knobs", {}).items()]
    rows += [
        [f"`{name}`", shown_number(value)] for name, value in config.get("recorded", {}).items() if value is not None
    ]
    return markdown_table(["setting", "value"], rows) + "\n" if rows else ""


def _where(run: RunFolder, count: int) -> str:
    env = run.env
    devices = ", ".join(f"{count} x {kind}" for kind, count in env["devices"].items())
    versions = ", ".join(f"{name} {version}" for name, version in env["versions"].items() if version)
    git = env["git"]
    rows = [
        ["devices", f"{devices}; {env['cores']} cores, {env['platform']}"],
        ["versions", versions],
        ["commit", f"{git['commit'][:12]}{' with changes' if git['dirty'] else ''}" if git else "no git repository"],
        [
            "experiment file",
            f"{run.config.get('source') or 'a notebook'} ({run.config.get('source_hash') or 'no hash'})",
        ],
        *(["edited", f"at step {edit['step']}: `{edit['file']}` ({edit['source_hash']})"] for edit in run.edits),
        ["started", env["time"]],
        ["lines of the log", str(count)],
    ]
    return markdown_table(["", ""], rows) + "\n"


def _commands(run: RunFolder) -> str:
    folder = shlex.quote(str(run.folder))
    return (
        f"```bash\n{run.env['command']}   # the command of this run\n"
        f"python -m jaxdl train --resume {folder}   # continue it, if it was stopped\n"
        f"python -m jaxdl evaluate {folder}\n```\n"
    )
