"""NNX modules as models: `from_nnx` makes a Linen module of the class, so that everything here trains it as any other.

    class Net(nnx.Module):
        def __init__(self, width: int, *, rngs: nnx.Rngs):
            self.hidden, self.head = nnx.Linear(64, width, rngs=rngs), nnx.Linear(width, 10, rngs=rngs)

        def __call__(self, x):
            return self.head(nnx.relu(self.hidden(x)))

    Classification(model=from_nnx(Net, width=64))

`flax.nnx.bridge.ToLinen` does nearly this. It is not used because it keeps the integers of a list of layers in the names of
parameters, which then cannot be saved and loaded by name, because it takes arrays that are plain attributes for variables of a
type that changes under `jit`, and because it does not train parameters whose type is derived from `nnx.Param`.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import flax.linen as nn
import jax
from flax import nnx
from flax.traverse_util import unflatten_dict

from jaxdl.calling import run
from jaxdl.types import UserError

Path = tuple[Any, ...]
TRANSIENT = (nnx.RngState, nnx.Intermediate)
"""Variables that are made anew at every call: random keys follow from the step, sown values are read at once."""


def from_nnx(net: Callable[..., nnx.Module], *args: Any, **kwargs: Any) -> "FromNNX":
    """A model of an NNX class and its arguments without `rngs`: `from_nnx(Net, width=64)`.

    Parameters (`nnx.Param` and types derived from it) are trained. Every other variable (`nnx.BatchStat`, or a state of your own)
    is model state, in a collection with the name of its type. The module is in `train()` mode in training and in `eval()` mode
    otherwise; arguments `train`, `deterministic` and `rngs` of its `__call__` are set. Dropout draws a new key at every step. A
    rate cannot be traced: a sweep over it compiles once for each value. Variables must be made in `__init__`.

    Args:
        net: a class, or a function of `rngs` that makes a module:
            `from_nnx(lambda rngs: nnx.Sequential(nnx.Linear(64, 32, rngs=rngs), nnx.relu, nnx.Linear(32, 10, rngs=rngs)))`.
        args, kwargs: its arguments but `rngs`.

    Raises UserError for an instance, also among the arguments: its weights would be the same for every seed.
    """
    name = getattr(net, "__name__", type(net).__name__)
    inner = [part for part in jax.tree.leaves((net, args, kwargs), is_leaf=_is_module) if _is_module(part)]
    if inner:
        kind = type(inner[0]).__name__
        wanted = (
            f"from_nnx({kind}, ...)" if inner[0] is net else f"from_nnx(lambda rngs: {name}({kind}(..., rngs=rngs)))"
        )
        raise UserError(
            f"a {kind} that exists already has the same weights for every seed: give the class and its arguments, {wanted}"
        )
    if isinstance(net, nn.Module) or (isinstance(net, type) and issubclass(net, nn.Module)) or not callable(net):
        raise UserError(
            f"from_nnx takes an NNX class and its arguments, got {name}; a Linen module is a model as it is"
        )
    if "rngs" in kwargs:
        raise UserError(f"rngs follows from the experiment's seed: leave it out of from_nnx({name}, ...)")
    parameters = _parameters(net)
    try:
        inspect.Signature(list(parameters.values())).bind(*args, **kwargs, **_rngs(parameters, None))
    except TypeError as error:
        raise UserError(f"{name} cannot be made of the arguments given to from_nnx: {error}") from None
    return FromNNX(partial(net, *args, **kwargs))


def _is_module(value: Any) -> bool:
    return isinstance(value, nnx.Module)


class FromNNX(nn.Module):
    """An NNX module behind `init` and `apply`; `from_nnx` makes it.

    The module is built in each trace, its variables are set to what the collections hold, and what a call changed is kept.
    """

    make: Callable[..., nnx.Module]

    @nn.compact
    def __call__(self, *inputs: Any, train: bool, call: str = "__call__", **options: Any) -> Any:
        stream = "params" if self.is_initializing() else "dropout"
        rngs = nnx.Rngs(self.make_rng(stream) if self.has_rng(stream) else 0)
        net = self.make(**_rngs(_parameters(self.make.func), rngs))
        if not _is_module(net):
            raise UserError(
                f"from_nnx takes what makes an NNX module; {self.make.func.__name__} makes a {type(net).__name__}"
            )
        first = _variables(net)
        if not self.is_initializing():
            nnx.update(net, unflatten_dict({path: self.kept(collection, path) for collection, path in first}))
        (net.train if train else net.eval)()
        method = getattr(net, call, None)
        if callable(method) and "rngs" in inspect.signature(method).parameters:  # for layers that were made without
            options["rngs"] = rngs
        outputs = run(net, *inputs, train=train, method=call, **options)
        last = _variables(net)
        if new := last.keys() - first.keys():
            name = "/".join(map(str, min(new, key=str)[1]))
            raise UserError(
                f"{type(net).__name__} makes its variable {name} in {call}: make it in __init__, so that it is kept"
            )
        for collection in {collection for collection, _ in first}:
            if self.is_mutable_collection(collection):
                values = first if self.is_initializing() else last
                self.keep(collection, {path: value for (at, path), value in values.items() if at == collection})
        return outputs

    def kept(self, collection: str, path: Path) -> Any:
        value = self.get_variable(collection, str(path[0]))
        for name in path[1:]:
            value = value[str(name)]
        return value

    def keep(self, collection: str, values: Mapping[Path, Any]) -> None:
        for name, tree in unflatten_dict({tuple(map(str, path)): value for path, value in values.items()}).items():
            self.put_variable(collection, name, tree)

    @property
    def wrapped(self) -> Callable[..., Any]:
        """The function whose signature says what the model takes."""
        return self.make.func.__call__ if isinstance(self.make.func, type) else self.__call__

    @property
    def classes(self) -> int | None:
        """Number of classes, where it is an argument of that name; a task then checks its labels."""
        return self.make.keywords.get("classes")

    @property
    def vocab(self) -> int | None:
        return self.make.keywords.get("vocab")


def _variables(net: nnx.Module) -> dict[tuple[str, Path], Any]:
    """(collection, path) -> value of every variable that lasts. What is no variable, such as a mask, is made with the module."""
    found = {}
    for path, variable in nnx.to_flat_state(nnx.state(net, nnx.Variable)):
        if not isinstance(variable, TRANSIENT):
            found[_collection(type(variable)), path] = variable.get_value()
    return found


def _collection(kind: type[nnx.Variable]) -> str:
    """`params` for what is trained, Flax's name where it has one (`batch_stats`), else the type's."""
    if issubclass(kind, nnx.Param):
        return "params"
    try:
        return nnx.variable_name_from_type(kind)
    except ValueError:
        return kind.__name__


def _parameters(net: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """What a class or a function takes; the signature of an NNX class itself says nothing."""
    parameters = inspect.signature(net.__init__ if isinstance(net, type) else net).parameters
    return dict(list(parameters.items())[isinstance(net, type) :])


def _rngs(parameters: Mapping[str, inspect.Parameter], rngs: Any) -> dict[str, Any]:
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return {"rngs": rngs} if "rngs" in parameters or anything else {}
