"""What the ledger holds of an experiment, as tables in Markdown."""

from pathlib import Path

import numpy as np

from jaxdl import shipped
from jaxdl.runs import ledger


def entries_of(experiment: str, results: Path) -> list[ledger.LedgerEntry]:
    """The settings of an experiment in the ledger, the default one first."""
    files = sorted((results / experiment).glob("*.json"), key=lambda path: (path.stem != "default", path.stem))
    return [ledger.load_entry(path) for path in files]


def ledger_lines(experiment: str, results: Path) -> list[str]:
    """A table of the metric that selects, on the test split: mean ± standard deviation, seeds, date, a naive method beside it."""
    found = entries_of(experiment, results)
    if not found:
        return []
    code = ledger.code_checksum(shipped.locate(experiment))
    metric = found[0].select[0]
    lines = [f"| setting | test {metric.replace('_', ' ')} | seeds | measured |", "|---|---|---|---|"]
    for one in found:
        values = np.array(one.values(metric))
        name = ", ".join(f"{knob} {value}" for knob, value in one.setting.items()) or "default"
        date = max(run["date"] for run in one.runs)
        stale = "" if one.code == code else ", with older code"
        spread = f" ± {values.std(ddof=1):.2g}" if len(values) > 1 else ""
        lines.append(f"| {name} | {values.mean():.4g}{spread} | {len(values)} | {date}{stale} |")
    base = found[0].baseline.get(metric)
    lines += [f"| *{found[0].baseline_by}* | {base:.4g} | | |"] if base is not None else []
    return [*lines, ""]
