"""`new NAME`: write a starting file for an experiment of your own, or copy an existing experiment."""

import keyword
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from jaxdl import shipped
from jaxdl.cli.options import read_flags
from jaxdl.experiment import ExperimentError, did_you_mean
from jaxdl.record.manifest import result_file

TEMPLATE = '''"""{title}: one line that `python -m jaxdl list` shows.

Source: <paper, section>.
Run:    {command}
Cost:   <minutes, device>.    Expect: <test accuracy ± sd over n seeds> (not measured yet).
"""

from jaxdl import Experiment, main
from jaxdl.data.image import vision
from jaxdl.engine.stopping import EarlyStopping
from jaxdl.models.mlp import MLP
from jaxdl.optim import adamw, schedules
from jaxdl.tasks.classification import Classification


def config(*, epochs: int = 10, batch: int = 64, lr: float = 1e-3, rate: float = 0.1, seed: int = 0) -> Experiment:
    """The knobs of the command line; each line under Args becomes the help of one.

    Args:
        epochs: passes over the training split.
        batch: examples in a step.
        lr: peak learning rate.
        rate: dropout.
        seed: of the initialization, the order and the dropout.
    """
    data = vision.digits(batch=batch)
    steps = epochs * data.steps_per_epoch
    return Experiment(
        data=data,
        task=Classification(model=MLP(features=(128,), classes=10, rate=rate)),
        optimizer=adamw(schedules.warmup_cosine(peak=lr, steps=steps), decay=0.01),
        steps=steps,
        stop=EarlyStopping(patience=5),
        seed=seed,
    )


if __name__ == "__main__":  # whatever trains or loads stands under this line: `load` and `evaluate` execute the file
    main(config)
'''

NNX = {
    "from jaxdl import Experiment, main\n": "from flax import nnx\n\nfrom jaxdl import Experiment, main\n",
    "from jaxdl.models.mlp import MLP\n": "from jaxdl.models.nnx import from_nnx\n",
    "MLP(features=(128,), classes=10, rate=rate)": "from_nnx(Net, width=128, classes=10, rate=rate)",
    "\n\ndef config(": '''

class Net(nnx.Module):
    """A multilayer perceptron: 64 pixels, one hidden layer, dropout, one logit per class."""

    def __init__(self, width: int, classes: int, rate: float = 0.0, *, rngs: nnx.Rngs):
        self.hidden = nnx.Linear(64, width, rngs=rngs)
        self.dropout = nnx.Dropout(rate, rngs=rngs)
        self.head = nnx.Linear(width, classes, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.hidden(x.reshape(x.shape[0], -1)))
        return self.head(self.dropout(x))


def config(''',
}
"""What differs in the template of a model written with Flax NNX."""


@dataclass(frozen=True)
class Options:
    """Write a starting file for an experiment of your own; it runs as it is."""

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    """Name of the experiment (a Python identifier), or a path that ends in .py."""
    copy_of: Annotated[str | None, tyro.conf.arg(name="from")] = None
    """Copy this experiment (a name that `list` prints, or a file) instead of the template."""
    nnx: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Write the model of the template with Flax NNX."""


def run(args: Sequence[str]) -> int:
    options = read_flags(Options, args, prog="python -m jaxdl new")
    given = Path(options.name)
    in_folder = Path("experiments").is_dir() and given.parent == Path()
    path = (Path("experiments") / given if in_folder else given).with_suffix(".py")
    if not path.stem.isidentifier() or keyword.iskeyword(path.stem):
        raise ExperimentError(f"{path.stem!r} is not a Python name: use letters, digits and _, such as my_idea")
    if path.exists():
        raise ExperimentError(f"{path} exists already; nothing was changed")
    if not path.parent.is_dir():
        raise ExperimentError(f"no folder {path.parent}")
    command = f"python -m experiments.{path.stem}" if in_folder else f"python -m jaxdl train {shlex.quote(str(path))}"
    if options.nnx and options.copy_of is not None:
        raise ExperimentError("--nnx is for the template: leave out --from")
    template = TEMPLATE
    for linen, nnx in NNX.items() if options.nnx else ():
        template = template.replace(linen, nnx, 1)
    text = template.format(title=path.stem.replace("_", " ").capitalize(), command=command)
    with result_file(path) as new:
        new.write_text(text if options.copy_of is None else copied(options.copy_of, command), encoding="utf-8")
    print(f"wrote {path}; it runs as it is: {command}")
    return 0


def copied(given: str, command: str) -> str:
    """The text of an experiment file; the commands in its docstring run the copy."""
    file = shipped.locate(given)
    if not file.is_file():
        raise ExperimentError(f"no experiment file {file}{did_you_mean(file)}")
    text = file.read_text(encoding="utf-8")
    return re.sub(rf"python -m (experiments\.|jaxdl train ){file.stem}\b", command.replace("\\", r"\\"), text)
