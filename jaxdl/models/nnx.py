"""NNX modules as models: `from_nnx` wraps an NNX class in a Linen module.

    class Net(nnx.Module):
        def __init__(self, width: int, *, rngs: nnx.Rngs):
            self.hidden, self.head = nnx.Linear(64, width, rngs=rngs), nnx.Linear(width, 10, rngs=rngs)

        def __call__(self, x):
            return self.head(nnx.relu(self.hidden(x)))

    Classification(model=from_nnx(Net, width=64))

`flax.nnx.bridge.ToLinen` is similar, with three differences that matter here (a test shows them). It keeps the integers of a list
of layers in parameter names, which then cannot be saved and loaded by name. It treats arrays that are plain attributes as
variables, whose type differs under `jit`. It does not put parameters of a type derived from `nnx.Param` into `params`.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import flax.linen as nn
import jax
from flax import nnx
from flax.traverse_util import unflatten_dict

from jaxdl.calling import call_module, is_sequential
from jaxdl.types import UserError

Path = tuple[Any, ...]
TRANSIENT = (nnx.RngState, nnx.Intermediate)
"""Types of variables that are not kept from call to call: random keys, which are drawn for each step, and sown values."""


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
    """Linen module that wraps an NNX module; made by `from_nnx`.

    Each call builds the NNX module, sets its variables from the collections, and writes back what the call changed.
    """

    make: Callable[..., nnx.Module]

    @nn.compact
    def __call__(self, *inputs: Any, train: bool, call: str = "__call__", **options: Any) -> Any:
        stream = "params" if self.is_initializing() else "dropout"
        rngs = nnx.Rngs(self.make_rng(stream) if self.has_rng(stream) else 0)
        net = self.make(**_rngs(_parameters(self.make.func), rngs))
        if not _is_module(net):
            raise UserError(
                f"from_nnx takes a class or function that makes an NNX module; {self.make.func.__name__} makes a "
                f"{type(net).__name__}"
            )
        first = _variables(net)
        if not self.is_initializing():
            nnx.update(net, unflatten_dict({path: self.kept(collection, path) for collection, path in first}))
        (net.train if train else net.eval)()
        method = getattr(net, call, None)
        if is_sequential(net) or (callable(method) and "rngs" in inspect.signature(method).parameters):
            options["rngs"] = rngs  # for layers that were made without keys
        outputs = call_module(net, *inputs, train=train, method=call, **options)
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
        """Function with the signature of the model."""
        return self.make.func.__call__ if isinstance(self.make.func, type) else self.__call__

    @property
    def classes(self) -> int | None:
        """The argument `classes` of the NNX class, if it is a number; tasks check labels with it."""
        return self.number("classes")

    @property
    def vocab(self) -> int | None:
        """The argument `vocab`, if it is a number; tasks check tokens with it."""
        return self.number("vocab")

    def number(self, name: str) -> int | None:
        signature = inspect.Signature(list(_parameters(self.make.func).values()))
        bound = signature.bind_partial(*self.make.args, **self.make.keywords)
        bound.apply_defaults()
        value = bound.arguments.get(name)
        return value if type(value) is int else None


def _variables(net: nnx.Module) -> dict[tuple[str, Path], Any]:
    """Values of all variables that are kept, by (collection, path). Plain arrays, such as a mask, are not among them."""
    found = {}
    for path, variable in nnx.to_flat_state(nnx.state(net, nnx.Variable)):
        if not isinstance(variable, TRANSIENT):
            found[_collection(type(variable)), path] = variable.get_value()
    return found


def _collection(kind: type[nnx.Variable]) -> str:
    """Collection of a type of variable: `params`, Flax's name (`batch_stats`), or the name of the type."""
    if issubclass(kind, nnx.Param):
        return "params"
    try:
        return nnx.variable_name_from_type(kind)
    except ValueError:
        return kind.__name__


def _parameters(net: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Parameters of a class or a function. (The signature of an NNX class itself is `(*args, **kwargs)`.)"""
    parameters = inspect.signature(net.__init__ if isinstance(net, type) else net).parameters
    return dict(list(parameters.items())[isinstance(net, type) :])


def _rngs(parameters: Mapping[str, inspect.Parameter], rngs: Any) -> dict[str, Any]:
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return {"rngs": rngs} if "rngs" in parameters or anything else {}
