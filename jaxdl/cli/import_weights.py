"""`import-weights [NAME] FILE -o DIR`: convert PyTorch weights of a named model, given as safetensors or a state dict."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from jaxdl.cli.options import read_flags
from jaxdl.experiment import ExperimentError
from jaxdl.pretrained.files import config_beside
from jaxdl.pretrained.folder import import_weights
from jaxdl.record.manifest import result_file


@dataclass(frozen=True)
class Options:
    """Convert weights named as in torchvision, timm or Hugging Face. A missing or superfluous tensor is an error.

    FILE is a .safetensors file, a state dict written by torch.save (read without executing it), or a folder with one of them.
    NAME is one that `python -m jaxdl models` lists, such as resnet50 or gpt2; a config.json beside the weights says it, too.
    """

    words: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(name="", metavar="[NAME] FILE")]
    """The weights, and the name of their model where no config.json says it."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """The folder to make, with weights.safetensors, weights.json and, if there is one beside the file, tokenizer.json."""
    classes: int | None = None
    """Number of classes of the head. None: what config.json beside the weights says, else 1000."""
    padding: Literal["same", "symmetric"] | None = None
    """Padding of the convolutions; weights trained in TensorFlow need "same". None: what config.json says, else symmetric."""
    eps: float | None = None
    """ε of all norms; 1e-3 for convolutions trained in TensorFlow. None: what config.json says, else that of the model."""
    heads: int | None = None
    """Number of attention heads. None: what config.json says, else that of the model."""
    resize: int | None = None
    """Pixels of the shorter side to which an image is resized. None: what the files beside the weights say, else the usual."""
    crop: int | None = None
    """Pixels of the square that is cut out of its middle. None: as for --resize."""
    mean: tuple[float, ...] | None = None
    """What is subtracted of each channel in [0, 1], such as 0.485 0.456 0.406. None: as for --resize."""
    std: tuple[float, ...] | None = None
    """What each channel is then divided by, such as 0.229 0.224 0.225. None: as for --resize."""
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos"] | None = None
    """How an image is resized. None: as for --resize."""
    naming: str | None = None
    """torchvision, timm, huggingface, ... None: the one that fits."""
    ignore: tuple[str, ...] = ()
    """Patterns of tensors to ignore, such as 'aux.*'."""


def shortened(names: Sequence[str], shown: int = 5) -> str:
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")


def run(args: Sequence[str]) -> int:
    options = read_flags(Options, args, prog="python -m jaxdl import-weights")
    if len(options.words) not in (1, 2):
        raise ExperimentError("import-weights takes a file or folder of weights, and before it the name of their model")
    name, file = (None, *options.words)[-2:]
    if not Path(str(file)).exists():
        raise FileNotFoundError(f"no file {file}: give the weights{'' if name else ', after the name of their model'}")
    if options.output.exists() and any(options.output.iterdir() if options.output.is_dir() else [options.output]):
        raise ExperimentError(f"{options.output} exists and is not empty: name another folder with -o")

    flags = lambda *names: {name: value for name in names if (value := getattr(options, name)) is not None}
    how = {"naming": options.naming, "ignore": options.ignore}
    how |= {"preprocess": flags("resize", "crop", "mean", "std", "interpolation")}
    with result_file(options.output) as new:
        imported = import_weights(name, file, new, **how, **flags("classes", "padding", "eps", "heads"))
    weights = imported.weights
    print(f"{options.output}: {imported.name} from {weights.naming} names, all tensors loaded")
    if weights.ignored:
        print(f"left out, because {imported.name} does not have them: {shortened(weights.ignored)}")
    if weights.absent:
        parts = sorted({name.split("/")[1] for name in weights.absent})
        print(f"without {' and '.join(parts)}: --init-from draws it anew")
    if not config_beside(file).is_file():
        assumed = ", ".join(f"{name}={value}" for name, value in imported.options.items()) or "those of the name"
        print(f"there is no config.json beside the weights: the options are {assumed}")
        if p := weights.preprocess:
            scaled = f"minus {', '.join(map(str, p.mean))}, by {', '.join(map(str, p.std))}"
            print(f"images are resized to {p.resize} ({p.interpolation}), cropped to {p.crop}, {scaled}")
    return 0
