"""`models`: every named configuration with parameters, batch statistics, multiply-adds, input size and source."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import tyro


@dataclass(frozen=True)
class Options:
    """Every named model. Counted abstractly: nothing is allocated."""

    json: bool = False
    """A JSON list instead of a table."""


def run(args: Sequence[str]) -> int:
    options = tyro.cli(Options, args=args, prog="python -m jaxdl models")
    from jaxdl.inspect.flops import rows
    from jaxdl.models.catalog import MODELS

    found = list(rows(MODELS))
    if options.json:
        print(json.dumps(found, indent=1))
        return 0
    print(f"{'name':<28}{'parameters':>14}{'statistics':>12}{'multiply-adds':>18}  {'input':<16}source")
    for row in found:
        size = "x".join(str(n) for n in row["input"])
        counts = f"{row['params']:>14,}{row['batch_stats']:>12,}{row['multiply_adds']:>18,}"
        print(f"{row['name']:<28}{counts}  {size:<16}{row['source']}")
    return 0
