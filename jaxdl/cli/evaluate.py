"""`evaluate RUN`: the exact metrics of a run on a split: every example counts once, whatever the batch size."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from jaxdl import runtime
from jaxdl.cli.options import TrainedOptions, read_flags
from jaxdl.reports import as_json


@dataclass(frozen=True, kw_only=True)
class Options(TrainedOptions):
    """Compute the metrics of a run on a whole split.

    It executes the copy of the experiment file in the run folder: for a run of somebody else, use its exported function
    (`python -m jaxdl export`), which executes no Python file.
    """

    split: str = "test"
    """train, validation or test."""
    json: bool = False
    """Print JSON, including arrays such as the confusion matrix."""


def run(args: Sequence[str]) -> int:
    options = read_flags(Options, args, prog="python -m jaxdl evaluate")
    runtime.configure(device=options.device)
    trained = options.load()
    result = trained.evaluate(options.split)
    if options.json:
        arrays = {name: as_json(value) for name, value in result.report.items()}
        line = {"run": str(options.run), "split": options.split, "step": int(trained.state.step)}
        print(json.dumps({**line, "metrics": result.metrics, "report": arrays}))
        return 0
    from rich.console import Console
    from rich.table import Table

    data = trained.experiment.data
    member = "" if options.member is None else f", member {options.member}"
    print(f"{trained.folder.name}{member}: {options.split} split of {data.name}, {options.checkpoint} weights")
    table = Table()
    table.add_column("metric")
    table.add_column("value", justify="right")
    for name, value in result.metrics.items():
        table.add_row(name, f"{value:.6g}")
    if "per_class_accuracy" in result.report:
        bars = result.report["per_class_accuracy"]
        for i, value in zip(
            range(len(bars.values)) if bars.classes is None else bars.classes, bars.values, strict=True
        ):
            table.add_row(f"accuracy of {data.classes[i] if i < len(data.classes) else i}", f"{value:.4f}")
    Console().print(table)
    for line in result.report["notes"].lines if "notes" in result.report else ():
        print(f"note: {line}", file=sys.stderr)
    return 0
