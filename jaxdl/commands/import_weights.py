"""`import-weights NAME FILE -o DIR`: PyTorch weights of a named model, as safetensors or a state dict, into jaxdl's form."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from jaxdl.experiment import ExperimentError


@dataclass(frozen=True)
class Options:
    """Read weights in torchvision's, timm's or Hugging Face's naming; nothing is loaded half."""

    name: tyro.conf.Positional[str]
    """A model of `python -m jaxdl models`, such as resnet50."""
    file: tyro.conf.Positional[Path]
    """A .safetensors file, or a state dict that torch.save wrote (read without executing it)."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """The folder to make: weights.safetensors and weights.json."""
    classes: int = 1000
    """Classes of the head."""
    naming: str | None = None
    """torchvision, timm or huggingface; by default whichever fits."""


def run(args: Sequence[str]) -> int:
    options = tyro.cli(Options, args=args, prog="python -m jaxdl import-weights")
    if options.output.exists() and any(options.output.iterdir() if options.output.is_dir() else [options.output]):
        raise ExperimentError(f"{options.output} exists already; nothing was changed")
    from jaxdl.pretrained.folder import import_weights

    imported = import_weights(
        options.name, options.file, options.output, naming=options.naming, classes=options.classes
    )
    print(f"{options.output}: {options.name} from {imported.weights.naming} names, every tensor in its place")
    return 0
