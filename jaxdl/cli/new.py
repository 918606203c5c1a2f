"""`new NAME`: a starting file for an experiment of your own, which runs as it is."""

import keyword
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from jaxdl.experiment import ExperimentError

TEMPLATE = '''"""{title}: one line that `python -m jaxdl list` shows.

Source: <paper, section>.
Run:    {command}
Cost:   <minutes, device>.    Expect: <test accuracy ± sd over n seeds> (not measured yet).
"""

from jaxdl import Experiment, main
from jaxdl.data import vision
from jaxdl.engine.stopping import EarlyStopping
from jaxdl.models.mlp import MLP
from jaxdl.optim import adamw, schedules
from jaxdl.tasks.classification import Classification


def config(*, epochs: int = 10, batch: int = 64, lr: float = 1e-3, rate: float = 0.1, seed: int = 0) -> Experiment:
    """What each knob means becomes its help.

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


if __name__ == "__main__":
    main(config)
'''


@dataclass(frozen=True)
class Options:
    """A starting file for an experiment."""

    name: tyro.conf.Positional[str]
    """Name of the experiment (a Python identifier), or a path ending in .py."""


def run(args: Sequence[str]) -> int:
    options = tyro.cli(Options, args=args, prog="python -m jaxdl new")
    given = Path(options.name)
    in_folder = Path("experiments").is_dir() and given.parent == Path()
    path = (Path("experiments") / given if in_folder else given).with_suffix(".py")
    if not path.stem.isidentifier() or keyword.iskeyword(path.stem):
        raise ExperimentError(f"{path.stem!r} is not a Python name: use letters, digits and _, such as my_idea")
    if path.exists():
        raise ExperimentError(f"{path} exists already; nothing was changed")
    if not path.parent.is_dir():
        raise ExperimentError(f"no folder {path.parent}")
    command = f"python -m experiments.{path.stem}" if in_folder else f"python -m jaxdl train {path}"
    path.write_text(TEMPLATE.format(title=path.stem.replace("_", " ").capitalize(), command=command), encoding="utf-8")
    print(f"wrote {path}; it runs as it is: {command}")
    return 0
