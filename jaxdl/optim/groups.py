"""Which parameters an optimizer treats how, told by their paths: decay masks, multipliers, layer-wise decay, freezing.

A parameter's path is its names joined by slashes, `encoder/block_0/attention/kernel`; a rule of yours is a regular expression
searched for in it. What is decayed without a rule says `jaxdl.parameters`. All rules depend on paths and shapes only, so they
are known when the step is compiled.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import optax

from jaxdl.optim.schedules import Knob
from jaxdl.parameters import INPUTS, role
from jaxdl.types import UserError

STEM = INPUTS | {"stem", "embeddings"}
"""What models call what lies before their blocks."""

Mask = Callable[[Any], Any]
"""parameter tree -> the same tree of booleans."""


def path_name(path: tuple) -> str:
    """The path of a leaf as one string.

    >>> jax.tree_util.tree_map_with_path(lambda path, _: path_name(path), {"block_0": {"kernel": 0}})
    {'block_0': {'kernel': 'block_0/kernel'}}
    """
    return jax.tree_util.keystr(path, simple=True, separator="/")


def everything(params: Any) -> Any:
    """The mask that leaves nothing out: PyTorch's behaviour."""
    return _map(lambda name, leaf: True, params)


def matching(*patterns: str) -> Mask:
    """The mask of the parameters whose path matches any of the patterns.

    >>> matching("^head")({"head": 0, "backbone": {"head": 0}})
    {'backbone': {'head': False}, 'head': True}
    """
    return lambda params: _map(lambda name, leaf: any(re.search(pattern, name) for pattern in patterns), params)


def scale_groups(multipliers: Mapping[str, Knob]) -> optax.GradientTransformation:
    """Learning-rate multipliers by path: `optax.chain(adamw(lr), scale_groups({"^backbone": 0.1, "^head": 10.0}))`.

    The first pattern that matches counts; what matches none keeps its rate. It goes after an optimizer whose step is
    proportional to its learning rate, decoupled decay included; all here are but `schedule_free` and `prodigy`.
    Errors: ValueError if a pattern matches no parameter, since that is most often a misspelling.
    """

    def init(params: Any) -> optax.EmptyState:
        names = jax.tree.leaves(_map(lambda name, leaf: name, params))
        for pattern in multipliers:
            if not any(re.search(pattern, name) for name in names):
                raise UserError(f"scale_groups: {pattern!r} matches no parameter; there are {', '.join(names)}")
        return optax.EmptyState()

    def multiplier(name: str) -> Knob:
        return next((value for pattern, value in multipliers.items() if re.search(pattern, name)), 1.0)

    return optax.GradientTransformation(init, _scale_by(multiplier))


def layer_index(name: str, depth: int) -> int:
    """How deep a parameter lies: 0 for embeddings and stem, i + 1 for block i, depth + 1 for the rest (the head, the last norm).

    >>> [
    ...     layer_index(name, 12)
    ...     for name in ("patch_embed/kernel", "block_0/kernel", "layers_11/mlp/bias", "head/kernel")
    ... ]
    [0, 1, 12, 13]
    """
    if numbered := re.search(r"(?:block|layer)s?_?/?(\d+)", name, re.IGNORECASE):
        return int(numbered.group(1)) + 1
    path = tuple(name.split("/"))
    return 0 if STEM.intersection(path) or role(path, 2) in ("embedding", "position", "token") else depth + 1


def scale_layers(
    rate: Knob, *, depth: int, index: Callable[[str, int], int] = layer_index
) -> optax.GradientTransformation:
    """Layer-wise learning-rate decay for fine-tuning: the deeper a layer, the slower it forgets.

        η_layer = η · rate^(depth + 1 - index)         index 0 (embeddings) ... depth + 1 (head)

    `optax.chain(adamw(lr), scale_layers(0.75, depth=12))`. `index(path, depth)` says where a parameter lies; see `layer_index`.
    Source: Bao et al. 2021 (BEiT), arXiv:2106.08254; `timm`'s `layer_decay`.
    """
    return optax.GradientTransformation(
        lambda params: optax.EmptyState(), _scale_by(lambda name: rate ** (depth + 1 - index(name, depth)))
    )


def stage_of(name: str) -> tuple[int, int]:
    """Where in an image model a parameter lies, from the input on: stem and positions, numbered stages, what follows, head.

    >>> [stage_of(name) for name in ("stem/conv1/kernel", "stage2_block1/conv1/kernel", "inception4a/one/conv/kernel")]
    [(0, 0), (1, 2), (1, 4)]
    >>> [stage_of(name) for name in ("block11/norm1/scale", "conv3_1/bias", "dense2/kernel", "norm/scale", "head/bias")]
    [(1, 11), (1, 3), (2, 2), (2, 0), (3, 0)]
    """
    top = name.partition("/")[0]
    number = int((re.search(r"\d+", top) or [0])[0])
    if re.match(r"head|aux\d", top):
        return 3, 0
    if re.match(r"dense|hidden|last|norm$|pool|representation", top):
        return 2, number
    return (1, number) if number else (0, 0)


def scale_stages(rate: Knob) -> optax.GradientTransformation:
    """`scale_layers` for any image model: the head learns at the full rate, what lies a stage earlier at `rate` times that.

        η_stage = η · rate^(stages between it and the head, plus one)         see `stage_of`

    `optax.chain(adamw(lr), scale_stages(0.5))`; 1 changes nothing. Source: Howard and Ruder 2018, arXiv:1801.06146, section 3.2.
    """

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        order = sorted(
            {stage_of(name) for name in jax.tree.leaves(_map(lambda name, leaf: name, updates))}, reverse=True
        )
        scale = _scale_by(lambda name: rate ** order.index(stage_of(name)))
        return scale(updates, state, params)

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def freeze(tx: optax.GradientTransformation, *patterns: str) -> optax.GradientTransformationExtraArgs:
    """Optimize all but the parameters whose path matches a pattern: those stay as they are and cost no state.

    `freeze(adamw(lr), "^backbone/")`. Errors: ValueError if nothing matches, or nothing is left to train.
    """

    def labels(params: Any) -> Any:
        frozen = matching(*patterns)(params)
        if len(kinds := set(jax.tree.leaves(frozen))) < 2:
            what = "every parameter" if kinds == {True} else "no parameter"
            raise UserError(f"freeze: {', '.join(map(repr, patterns))} matches {what}")
        return jax.tree.map(lambda f: "frozen" if f else "trained", frozen)

    return optax.partition({"trained": tx, "frozen": optax.set_to_zero()}, labels)


def _map(rule: Callable[[str, Any], Any], tree: Any) -> Any:
    return jax.tree_util.tree_map_with_path(lambda path, leaf: rule(path_name(path), leaf), tree)


def _scale_by(multiplier: Callable[[str], Knob]) -> Callable:
    def update(updates, state, params=None):
        return _map(lambda name, u: u * jax.numpy.asarray(multiplier(name), u.dtype), updates), state

    return update
