"""Groups of parameters by path: masks for weight decay, learning-rate multipliers, layer-wise decay, freezing.

The path of a parameter is its names joined by slashes, `encoder/block_0/attention/kernel`. A pattern is a regular expression
that is searched for in the path. The default mask of weight decay is in `jaxdl.parameters`. Groups depend on paths and shapes
only, so they are known when the step is compiled.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import optax

from jaxdl.counts import check_count, check_numbers
from jaxdl.optim.schedules import Knob
from jaxdl.parameters import INPUTS, role
from jaxdl.types import UserError

STEM = INPUTS | {"stem", "embeddings"}
"""Names of the layers before the blocks of a model."""

Mask = Callable[[Any], Any]
"""Function from a tree of parameters to the same tree of booleans."""


def path_name(path: tuple) -> str:
    """Return the path of a leaf as one string.

    >>> jax.tree_util.tree_map_with_path(lambda path, _: path_name(path), {"block_0": {"kernel": 0}})
    {'block_0': {'kernel': 'block_0/kernel'}}
    """
    return jax.tree_util.keystr(path, simple=True, separator="/")


def everything(params: Any) -> Any:
    """Mask that selects all parameters, as PyTorch's weight decay does."""
    return _map(lambda name, leaf: True, params)


def matching(*patterns: str) -> Mask:
    """Mask that selects the parameters whose path matches any of the patterns.

    >>> matching("^head")({"head": 0, "backbone": {"head": 0}})
    {'backbone': {'head': False}, 'head': True}
    """
    return lambda params: _map(lambda name, leaf: any(re.search(pattern, name) for pattern in patterns), params)


def scale_groups(multipliers: Mapping[str, Knob]) -> optax.GradientTransformation:
    """Multiply learning rates by path: `optax.chain(adamw(lr), scale_groups({"^backbone": 0.1, "^head": 10.0}))`.

    The first pattern that matches counts; a parameter without a match keeps its rate. Place it after an optimizer whose step,
    including decoupled decay, is proportional to the learning rate: all of this package except `schedule_free` and `prodigy`.
    Raises `UserError` if a pattern matches no parameter, which is most often a misspelling.
    """
    check_numbers(**multipliers)

    def init(params: Any) -> optax.EmptyState:
        names = jax.tree.leaves(_map(lambda name, leaf: name, params))
        for pattern in multipliers:
            if not any(re.search(pattern, name) for name in names):
                raise UserError(f"scale_groups: {pattern!r} matches no parameter of {', '.join(names)}")
        return optax.EmptyState()

    def multiplier(name: str) -> Knob:
        return next((value for pattern, value in multipliers.items() if re.search(pattern, name)), 1.0)

    return optax.GradientTransformation(init, _scale_by(multiplier))


def layer_index(name: str, depth: int) -> int:
    """Return the depth of a parameter: 0 for embeddings and stem, i + 1 for block i, depth + 1 for all others.

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
    """Layer-wise learning-rate decay for fine-tuning: layers near the input get smaller learning rates.

        η_layer = η · rate^(depth + 1 - index)         index 0 (embeddings) ... depth + 1 (head)

    `optax.chain(adamw(lr), scale_layers(0.75, depth=12))`. `index(path, depth)` returns the index of a parameter, by default
    `layer_index`. Source: Bao et al. 2021 (BEiT), arXiv:2106.08254; timm's `layer_decay`.
    """
    check_count("depth", depth)
    check_numbers(rate=rate)
    return optax.GradientTransformation(
        lambda params: optax.EmptyState(), _scale_by(lambda name: rate ** (depth + 1 - index(name, depth)))
    )


def stage_of(name: str) -> tuple[int, int]:
    """Return the place of a parameter in an image model, from input to output: stem, numbered stages, last layers, head.

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
    """Discriminative learning rates for image models: `rate` times smaller for each stage before the head (`stage_of`).

        η_stage = η · rate^(number of stages from it to the head)

    `optax.chain(adamw(lr), scale_stages(0.5))`. Source: Howard and Ruder 2018, arXiv:1801.06146, section 3.2.
    """

    check_numbers(rate=rate)

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        order = sorted(
            {stage_of(name) for name in jax.tree.leaves(_map(lambda name, leaf: name, updates))}, reverse=True
        )
        scale = _scale_by(lambda name: rate ** order.index(stage_of(name)))
        return scale(updates, state, params)

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def freeze(tx: optax.GradientTransformation, *patterns: str) -> optax.GradientTransformationExtraArgs:
    """Freeze the parameters whose path matches a pattern: `freeze(adamw(lr), "^backbone/")`.

    Frozen parameters have no optimizer state. Raises `UserError` if no parameter matches, or all do.
    """

    def labels(params: Any) -> Any:
        frozen = matching(*patterns)(params)
        if len(kinds := set(jax.tree.leaves(frozen))) < 2:
            what = "every parameter" if kinds == {True} else "no parameter"
            raise UserError(f"freeze: {', '.join(map(repr, patterns))} matches {what}")
        return jax.tree.map(lambda f: "frozen" if f else "trained", frozen)

    return optax.partition({"trained": tx, "frozen": optax.set_to_zero()}, labels)


def partition(optimizers: Mapping[str, optax.GradientTransformation | None]) -> optax.GradientTransformationExtraArgs:
    """Train groups of parameters by optimizers of their own, `partition({"^head": nesterov(0.1), "kernel": muon(0.02)})`.

    The first pattern that matches the path counts. None: these parameters keep their values, without optimizer state. Raises
    `UserError` if a pattern has no parameter, or a parameter no pattern.
    """

    groups = {pattern: f"group{i}" for i, pattern in enumerate(optimizers)}  # a state's entries have plain names

    def labels(params: Any) -> Any:
        def label(name: str, leaf: Any) -> str:
            if (found := next((pattern for pattern in groups if re.search(pattern, name)), None)) is None:
                raise UserError(f"partition: {name} matches none of {', '.join(map(repr, groups))}")
            return groups[found]

        named = _map(label, params)
        used = set(jax.tree.leaves(named))
        if unused := [pattern for pattern, group in groups.items() if group not in used]:
            raise UserError(f"partition: no parameter is left for {', '.join(map(repr, unused))}")
        return named

    chosen: dict[Any, Any] = {
        groups[pattern]: optax.set_to_zero() if tx is None else tx for pattern, tx in optimizers.items()
    }
    return optax.partition(chosen, labels)


def _map(rule: Callable[[str, Any], Any], tree: Any) -> Any:
    return jax.tree_util.tree_map_with_path(lambda path, leaf: rule(path_name(path), leaf), tree)


def _scale_by(multiplier: Callable[[str], Knob]) -> Callable:
    def update(updates, state, params=None):
        return _map(lambda name, u: u * jax.numpy.asarray(multiplier(name), u.dtype), updates), state

    return update
