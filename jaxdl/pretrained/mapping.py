"""Mapping between the tensors of a PyTorch file and the variables of a model, with their layouts.

The names of a family are rules: a pattern of module paths ("stage(\\d+)_block(\\d+)/conv(\\d+)") and the name in the file, as
text or as a function of the pattern's groups (digits as int). Endings such as `weight`, `bias` and `running_mean` are added and
layouts converted automatically. Special layouts are given for flattened images and for 1x1 convolutions that are dense layers
here.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxdl.pretrained.layouts import Layout, convolution, dense, same
from jaxdl.types import UserError


class Place(NamedTuple):
    """Name of a tensor without ending, its layout if special, and its `part` (i, n): the i-th of n parts along `axis`."""

    name: str
    layout: Layout | None = None
    part: tuple[int, int] | None = None
    axis: int = 0


Rules = Mapping[str, str | Place | Callable[..., str | Place]]
Names = Mapping[str, Rules]
"""Rules by naming ("torchvision", "timm", "huggingface", ...)."""


class NameTable(dict):
    """Rules, and the further tensors that a file may hold.

    Args:
        copies: name of a copy -> name of the tensor it repeats (tied weights). A file may hold either or both.
        fixed: name -> function of the length that computes the tensor, such as a table of sines.
        ignore: patterns of tensors that this model does not have, such as masks and the heads of other models.
        absent: name -> name of the tensor that a file without it means.

    A copy or a fixed tensor with other values is refused, like a wrong shape.
    """

    def __init__(
        self,
        rules: Rules,
        *,
        copies: Mapping[str, str] | None = None,
        fixed: Mapping[str, Callable[[int], np.ndarray]] | None = None,
        ignore: Sequence[str] = (),
        absent: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(rules)
        self.copies, self.fixed, self.ignore = dict(copies or {}), dict(fixed or {}), tuple(ignore)
        self.absent = dict(absent or {})

    @property
    def extras(self) -> set[str]:
        """Names of optional tensors."""
        return {*self.copies, *self.fixed}


def bare(rules: Rules, prefix: str) -> NameTable:
    """The same names without the prefix that a class with a head gives to its network, as a file of the network has them."""

    def without(name: str | Place) -> str | Place:
        if isinstance(name, Place):
            return name._replace(name=name.name.removeprefix(prefix))
        return name.removeprefix(prefix)

    def changed(rule: Any) -> Any:
        return (lambda *groups: without(rule(*groups))) if callable(rule) else without(rule)

    ignore = rules.ignore if isinstance(rules, NameTable) else ()
    return NameTable({pattern: changed(rule) for pattern, rule in rules.items()}, ignore=ignore)


ENDINGS = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}


class Tensor(NamedTuple):
    name: str
    layout: Layout
    part: tuple[int, int] | None
    axis: int


def place_of_leaf(rules: Rules, path: str, rank: int) -> Tensor | None:
    """Find the tensor of a leaf by a rule for its path, which gives the whole name, or for its module; None without a rule."""
    place = _match(rules, path)
    if place is not None:
        return Tensor(place.name, place.layout or same, place.part, place.axis)
    module, _, leaf = path.rpartition("/")
    place = _match(rules, module)
    if place is None or leaf not in ENDINGS:
        return None
    # "in_proj_" takes its ending without a dot
    name = place.name + ("" if place.name.endswith("_") else ".") + ENDINGS[leaf]
    usual = same if leaf != "kernel" else convolution if rank == 4 else dense
    return Tensor(name, place.layout if place.layout and leaf == "kernel" else usual, place.part, place.axis)


def _match(rules: Rules, path: str) -> Place | None:
    for pattern, name in rules.items():
        found = re.fullmatch(pattern, path)
        if found:
            groups = [int(g) if g and g.isdigit() else g for g in found.groups()]
            name = name(*groups) if callable(name) else name
            return Place(name) if isinstance(name, str) else name
    return None


IGNORED = (r"(.*\.)?num_batches_tracked", r".*\.position_ids", r".*relative_position_index")
"""Tensors of any file that are no weights."""
PREFIXES = ("module.", "model.", "_orig_mod.")
"""Prefixes that wrappers (data parallel, compile, lightning) add to every name."""


class Loaded(NamedTuple):
    """Variables from a file, its naming, the tensors that were left out, and the leaves of an optional part it lacks."""

    variables: dict[str, Any]
    naming: str
    ignored: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


def leaves_by_path(variables: Mapping[str, Any]) -> dict[tuple[str, str], Any]:
    """(collection, "path/of/leaf") -> leaf."""
    leaves = jax.tree_util.tree_flatten_with_path(dict(variables))[0]
    keys = [[str(part.key) for part in path] for path, _ in leaves]
    return {(key[0], "/".join(key[1:])): leaf for key, (_, leaf) in zip(keys, leaves, strict=True)}


def unflat(leaves: Mapping[tuple[str, str], Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for (collection, path), leaf in leaves.items():
        node = tree.setdefault(collection, {})
        *parents, last = path.split("/")
        for part in parents:
            node = node.setdefault(part, {})
        node[last] = leaf
    return tree


def variables_of(
    shapes: Mapping[str, Any],
    tensors: Mapping[str, np.ndarray],
    names: Names,
    *,
    naming: str | None = None,
    fresh: Sequence[str] = (),
    ignore: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> Loaded:
    """Make the variables (NumPy, float32) with the given `shapes` from the tensors of a file, by the naming that fits best.

    Leaves whose path matches a pattern in `fresh` are left out (a new head); `ignore` are patterns of unexpected tensors that
    are allowed. A file may lack all leaves that match one of the patterns in `optional` together.

    Raises UserError that counts the missing, unexpected and wrongly shaped tensors and names some.
    """
    tensors, wanted = _without_prefix(tensors), leaves_by_path(shapes)
    found = {n: {k: place_of_leaf(rules, k[1], len(s.shape)) for k, s in wanted.items()} for n, rules in names.items()}
    if naming is not None and naming not in found:
        raise UserError(f"naming={naming!r}: this model has {', '.join(found)}")
    fits = {n: sum(t is not None and t.name in tensors for t in places.values()) for n, places in found.items()}
    most = [n for n, count in fits.items() if count == max(fits.values())]
    best = naming or max(most, key=lambda n: len(most) > 1 and _shapes_that_fit(found[n], wanted, tensors))
    if not fits[best]:
        known, some = ", ".join(found), ", ".join(list(tensors)[:3])
        raise UserError(f"no tensor of the file is one of this model's in {known} naming: it has {some}, ...")
    rules = names[best] if isinstance(names[best], NameTable) else NameTable(names[best])
    tensors, other = _without_extras(rules, tensors)
    missing, wrong, used, out, absent = [], [], set(), {}, _absent(found[best], tensors, optional)
    for key, spec in wanted.items():
        if key in absent:
            continue
        place = found[best][key]
        skip = any(re.fullmatch(pattern, key[1]) for pattern in fresh)
        if place is not None and skip:
            used.add(place.name)
        if skip:
            continue
        if place is None or place.name not in tensors:
            missing.append(place.name if place else f"{key[1]} (no name known in {best})")
            continue
        used.add(place.name)
        array = _read(place, tensors[place.name], tuple(spec.shape))
        if array is None or array.shape != tuple(spec.shape):
            wrong.append(f"{place.name} {tensors[place.name].shape} for {key[1]} {tuple(spec.shape)}")
            continue
        out[key] = np.ascontiguousarray(array, np.float32)
    unused = sorted(tensors.keys() - used)
    other_than = lambda patterns: [n for n in unused if not any(re.fullmatch(p, n) for p in patterns)]
    known, rest = other_than(IGNORED), other_than((*IGNORED, *rules.ignore, *ignore))
    problems = [
        ("missing", sorted(set(missing))),
        ("unexpected", rest),
        ("wrong shape", wrong),
        ("wrong values", other),
    ]
    if any(items for _, items in problems):
        some = lambda items: ", ".join(items[:5]) + (f" and {len(items) - 5} more" if len(items) > 5 else "")
        text = "; ".join(f"{what}: {some(items)}" for what, items in problems if items)
        raise UserError(f"the weights do not fit (read as {best}); nothing is loaded. {text}")
    ignored = tuple(n for n in known if n not in rest)
    return Loaded(unflat(out), best, ignored, tuple("/".join(key) for key in absent))


def _absent(
    places: Mapping[tuple[str, str], Tensor | None], tensors: Mapping[str, Any], optional: Sequence[str]
) -> list[tuple[str, str]]:
    """The leaves of the optional parts of which a file has no tensor."""
    parts = [[key for key in places if re.fullmatch(pattern, key[1])] for pattern in optional]
    has = lambda key: (place := places[key]) is not None and place.name in tensors
    return [key for part in parts if not any(map(has, part)) for key in part]


def to_tensors(variables: Mapping[str, Any], rules: Rules) -> dict[str, np.ndarray]:
    """Make a PyTorch state dict (NumPy arrays) from variables. Raises UserError for a leaf without a name."""
    out: dict[str, np.ndarray] = {}
    parts: dict[tuple[str, int], dict[int, np.ndarray]] = {}
    for (_, path), leaf in leaves_by_path(variables).items():
        place = place_of_leaf(rules, path, np.ndim(leaf))
        if place is None:
            raise UserError(f"{path} has no name in this naming")
        array = place.layout.write(np.asarray(leaf))
        if place.part is None:
            out[place.name] = array
        else:
            parts.setdefault((place.name, place.axis), {})[place.part[0]] = array
        if path.endswith("/mean"):
            out[place.name.removesuffix("running_mean") + "num_batches_tracked"] = np.zeros((), np.int64)
    for (name, axis), pieces in parts.items():
        out[name] = np.concatenate([pieces[i] for i in sorted(pieces)], axis)
    if isinstance(rules, NameTable):
        out |= {copy: out[name] for copy, name in rules.copies.items() if name in out}
        out |= {name: table(512) for name, table in rules.fixed.items()}
    return out


def _read(place: Tensor, tensor: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    try:
        if place.part is not None:
            index, count = place.part
            tensor = np.split(tensor, count, place.axis)[index]
        return place.layout.read(tensor, shape)
    except (ValueError, IndexError, TypeError):  # of another rank or size
        return None


def _shapes_that_fit(places: Mapping[Any, Tensor | None], wanted: Mapping[Any, Any], tensors: Mapping[str, Any]) -> int:
    found = (
        (_read(p, tensors[p.name], tuple(wanted[k].shape)), k) for k, p in places.items() if p and p.name in tensors
    )
    return sum(a is not None and a.shape == tuple(wanted[k].shape) for a, k in found)


def _without_extras(rules: NameTable, tensors: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return the tensors without copies and fixed ones, and a list of what is wrong with those."""
    out, wrong = {n: a for n, a in tensors.items() if n not in rules.extras}, []
    for copy, name in rules.copies.items():
        if copy in tensors and not _equal(out.setdefault(name, tensors[copy]), tensors[copy]):
            wrong.append(f"{copy} differs from {name}, of which it should be a copy")
    out |= {name: out[other] for name, other in rules.absent.items() if name not in out and other in out}
    for name, table in rules.fixed.items():
        if name in tensors and not _equal(table(len(tensors[name])), tensors[name], 1e-3):
            wrong.append(f"{name} differs from what this model computes")
    return out, wrong


def _equal(a: np.ndarray, b: np.ndarray, atol: float = 0.0) -> bool:
    a, b = np.asarray(a, np.float32), np.asarray(b, np.float32)
    return a.shape == b.shape and np.allclose(a, b, rtol=0, atol=atol, equal_nan=True)


def _without_prefix(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    for prefix in PREFIXES:
        if tensors and all(name.startswith(prefix) for name in tensors):
            return _without_prefix({name.removeprefix(prefix): a for name, a in tensors.items()})
    return dict(tensors)


def modules(paths: Iterable[str]) -> set[str]:
    """Paths of all modules that hold some leaves: "a/b/kernel" gives "a/b" and "a"."""
    return {"/".join(path.split("/")[:i]) for path in paths for i in range(1, path.count("/") + 1)}
