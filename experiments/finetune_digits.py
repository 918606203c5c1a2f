"""Fine-tuning: a network trained on the digits 0 to 4 learns 5 to 9 from few labels.

Source: Yosinski et al. 2014, arXiv:1411.1792; Howard and Ruder 2018, arXiv:1801.06146 (lower rates for early layers);
        Alpaydin and Kaynak's digits (8x8).
Run:    python -m experiments.finetune_digits                                    first on 0 to 4, all labels
        python -m experiments.finetune_digits --digits high --init-from RUN      then on 5 to 9, RUN the folder it wrote
Cost:   2 to 4 s a run on a 2-core x86 CPU that was busy with other work, after compiling.
Expect: as in this table.

Test accuracy on 736 images of 5 to 9 after 5 labelled ones of each, mean ± standard deviation over seeds 0-2
(0 to 4 itself: 100 %):

    --digits high                                                 86.7 ± 3.7 %      from scratch
    --digits high --freeze features                               77.4 ± 3.6 %      a head on random features
    --digits high --freeze features --init-from RUN               72.5 ± 1.2 %      a head on features trained on 0 to 4
    --digits high --init-from RUN                                 89.1 ± 1.7 %      full fine-tuning
    --digits high --init-from RUN --layer-decay 0.5               90.4 ± 1.1 %      half the rate per earlier stage
    --digits high --init-from RUN --layer-decay 0.2               85.5 ± 1.6 %
"""

from dataclasses import replace
from functools import cache, partial
from typing import Literal

import numpy as np
import optax

from jaxdl import Experiment, main
from jaxdl.data.image import vision
from jaxdl.layers.normalization import BatchNorm
from jaxdl.losses.classification import cross_entropy
from jaxdl.models.resnet import cifar_resnet
from jaxdl.optim import adamw, groups, schedules
from jaxdl.tasks.classification import Classification


@cache
def half_of_the_digits(digits: str, examples: int, batch: int) -> vision.Images:
    """Digits 0 to 4, as they are split; or 5 to 9 with a fixed draw of `examples` per class, the others in the test split."""
    data = vision.digits()
    first = 0 if digits == "low" else 5
    of = {part: (a["y"] >= first) & (a["y"] < first + 5) for part, a in data.splits.items()}
    parts = {part: (a["x"][of[part]], a["y"][of[part]] - first) for part, a in data.splits.items()}
    if digits == "high":
        (x, y), (x_test, y_test) = parts["train"], parts["test"]
        order = np.random.RandomState(0).permutation(len(y))
        few = np.concatenate([order[y[order] == label][:examples] for label in range(5)])
        rest = np.setdiff1d(order, few)
        parts["train"] = x[few], y[few]
        parts["test"] = np.concatenate([x_test, x[rest]]), np.concatenate([y_test, y[rest]])
    sizes = " / ".join(f"{len(y)} {part}" for part, (_, y) in parts.items())
    return replace(
        data,
        batch=min(batch, len(parts["train"][1])),
        splits={part: {"x": x, "y": y} for part, (x, y) in parts.items()},
        name=f"digits {first} to {first + 4}",
        split=sizes
        + ("" if digits == "low" else f": {examples} labels a class, a fixed draw; the others are tested on"),
        classes=tuple(str(label) for label in range(first, first + 5)),
    )


def config(
    *,
    digits: Literal["low", "high"] = "low",
    examples: int = 5,
    freeze: Literal["nothing", "features"] = "nothing",
    layer_decay: float = 1.0,
    steps: int = 200,
    batch: int = 50,
    lr: float = 5e-3,
    decay: float = 0.02,
    seed: int = 0,
) -> Experiment:
    """Fine-tuning on few digits.

    Args:
        digits: low, 0 to 4 with all labels; high, 5 to 9 with few.
        examples: labelled images of each of 5 to 9.
        freeze: `features` trains the head alone, on frozen features.
        layer_decay: factor of the learning rate from each stage to the one before it; 1: the same rate for all.
        steps: updates.
        batch: examples per step, at most as many as there are.
        lr: peak learning rate; linear warm-up, then cosine decay to zero.
        decay: decoupled weight decay.
        seed: random seed of the initialization and the data order.
    """
    data = half_of_the_digits(digits, examples, batch)
    frozen = freeze == "features"
    model = cifar_resnet(8, classes=5, norm=partial(BatchNorm, frozen=frozen))
    optimizer = optax.chain(
        adamw(schedules.warmup_cosine(peak=lr, steps=steps), decay=decay), groups.scale_stages(layer_decay)
    )
    return Experiment(
        data=data,
        task=Classification(model=model, loss=cross_entropy),
        optimizer=groups.freeze(optimizer, r"^(?!head/)") if frozen else optimizer,
        steps=steps,
        eval_every=50,
        fresh=("^head/",),  # the same number of classes, but other ones
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
