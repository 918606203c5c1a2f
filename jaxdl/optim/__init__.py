"""Optimizers and schedules: `adamw(schedules.warmup_cosine(peak=lr, steps=steps), decay=0.05)`."""

from jaxdl.optim import groups, schedules
from jaxdl.optim.composition import clip, compose, current_learning_rate, scale_by_learning_rate
from jaxdl.optim.groups import everything, freeze, matching, partition, scale_groups, scale_layers
from jaxdl.optim.matrices import adafactor, keep_norm, muon
from jaxdl.optim.modern import adan, lion, nadam, prodigy
from jaxdl.optim.optimizers import adagrad, adam, adamw, lamb, momentum, nesterov, rmsprop, sgd
from jaxdl.optim.plateau import reduce_on_plateau
from jaxdl.optim.schedule_free import evaluation_params, schedule_free_adamw, schedule_free_sgd
from jaxdl.optim.sharpness import sam
from jaxdl.parameters import decayed

__all__ = [
    "adafactor", "adagrad", "adam", "adamw", "adan", "clip", "compose", "current_learning_rate", "decayed",
    "evaluation_params", "everything", "freeze", "groups", "keep_norm", "lamb", "lion", "matching", "momentum", "muon",
    "nadam", "nesterov", "partition", "prodigy", "reduce_on_plateau", "rmsprop", "sam", "scale_by_learning_rate", "scale_groups",
    "scale_layers", "schedule_free_adamw", "schedule_free_sgd", "schedules", "sgd",
]  # fmt: skip
