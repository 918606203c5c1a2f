"""`models`: every named model with parameters, batch statistics, multiply-adds, input size and source.

The numbers are read from `jaxdl/models/catalog.json`, because counting takes most of a minute. After a change to the catalog:

    python -c "from jaxdl.cli.models import write; write()"
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jaxdl.models
from jaxdl.cli.options import read_flags
from jaxdl.inspect.flops import rows
from jaxdl.models.catalog import MODELS

CATALOG = Path(jaxdl.models.__file__).with_name("catalog.json")


@dataclass(frozen=True)
class Options:
    """List the named models. Counts are of whole models with 1,000 classes (CIFAR: 10, BERT: 2)."""

    json: bool = False
    """Print a JSON list instead of a table."""


def run(args: Sequence[str]) -> int:
    options = read_flags(Options, args, prog="python -m jaxdl models")
    found = read()
    if options.json:
        print(json.dumps(found, indent=1))
        return 0
    print(f"{'name':<28}{'parameters':>14}{'statistics':>12}{'multiply-adds':>18}  {'input':<16}source")
    for row in found:
        size = "x".join(str(n) for n in row["input"]) if len(row["input"]) > 1 else f"{row['input'][0]} tokens"
        counts = f"{row['params']:>14,}{row['batch_stats']:>12,}{row['multiply_adds']:>18,}"
        print(f"{row['name']:<28}{counts}  {size:<16}{row['source']}")
    return 0


def read() -> list[dict[str, Any]]:
    """The rows of catalog.json: name, params, batch_stats, multiply_adds, input, source."""
    return json.loads(CATALOG.read_text(encoding="utf-8"))


def write() -> None:
    """Count every model of the catalog again: about a minute, abstractly, nothing is allocated."""

    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows(MODELS))
    CATALOG.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
