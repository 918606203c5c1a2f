"""`import-weights NAME FILE -o DIR`: PyTorch weights of a named model, as safetensors or a state dict, into jaxdl's form."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from jaxdl.cli.options import read_flags
from jaxdl.experiment import ExperimentError
from jaxdl.pretrained.folder import import_weights
from jaxdl.record.manifest import result_file


@dataclass(frozen=True)
class Options:
    """Read weights with torchvision's, timm's or Hugging Face's names: all tensors, or none if one does not fit."""

    name: tyro.conf.Positional[str]
    """A model of `python -m jaxdl models`, such as resnet50 or gpt2."""
    file: tyro.conf.Positional[Path]
    """A .safetensors file, a state dict written by torch.save (no code in it is executed), or a folder with one of them."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """The folder to make, with weights.safetensors, weights.json and, if there is one beside the file, tokenizer.json."""
    classes: int | None = None
    """Classes of the head; by default 1000, or what config.json beside the weights of a language model says."""
    naming: str | None = None
    """torchvision, timm or huggingface; by default the one that fits best."""
    ignore: tuple[str, ...] = ()
    """Patterns of unexpected tensors that are allowed, such as 'aux.*'."""


def run(args: Sequence[str]) -> int:
    options = read_flags(Options, args, prog="python -m jaxdl import-weights")
    if options.output.exists() and any(options.output.iterdir() if options.output.is_dir() else [options.output]):
        raise ExperimentError(f"{options.output} exists already; nothing was changed")

    head = {} if options.classes is None else {"classes": options.classes}
    with result_file(options.output) as new:
        imported = import_weights(options.name, options.file, new, naming=options.naming, ignore=options.ignore, **head)
    print(f"{options.output}: {options.name} from {imported.weights.naming} names, all tensors loaded")
    return 0
