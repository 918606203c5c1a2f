"""Calling Flax modules: pass the mode, training or evaluation, by the signature of their `__call__`.

    def __call__(self, x, *, train)              also training and is_training; also positional
    def __call__(self, x, deterministic)         also use_running_average; the opposite of train
    def __call__(self, x)                        no mode is passed
    nn.Sequential([...])                         each layer is called by its own signature

If `__call__` takes none of these arguments, a field with one of these names, as in `Net(train=True)`, is set instead.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from jaxdl.types import UserError

MODES = {"train": True, "training": True, "is_training": True, "deterministic": False, "use_running_average": False}
"""Arguments that are the mode, with their value in training."""


def called(
    model: Any, *inputs: Any, train: bool, method: str = "__call__", **options: Any
) -> tuple[Any, dict[str, Any]]:
    """Return the module and the keywords for its `init` and `apply` to run `method` on these inputs.

    model, how = called(model, x, train=False)
    model.apply(variables, x, **how)

    Raises UserError, with the file and the line of the class, if its signature does not take the inputs and options.
    """
    if method == "__call__" and is_sequential(model):
        if unknown := options.keys() - {"rngs"}:
            raise UserError(
                f"{type(model).__name__} takes no {min(unknown)}: write a module with __call__(self, x, *, train)"
            )
        return model, {"method": lambda bound, x, **options: in_order(bound.layers, x, train, **options), **options}
    if hasattr(model, "wrapped"):  # an adapter; it calls `called` for the module that it wraps
        return model, {"train": train, **({} if method == "__call__" else {"call": method}), **options}
    if not callable(getattr(model, method, None)):
        raise UserError(f"{contract(model, method)}; it has no such method")
    signature = inspect.signature(getattr(model, method))
    how = {**mode(signature.parameters, train), **options}
    try:
        signature.bind(*inputs, **how)
    except TypeError as error:
        raise UserError(f"{contract(model, method)}; called with {_given(inputs, how)} it fails: {error}") from None
    if hasattr(model, "clone") and not mode(signature.parameters, train):
        fields = {name for name in MODES if name in getattr(model, "__dataclass_fields__", ())}
        model = model.clone(**{name: MODES[name] is train for name in fields}) if fields else model
    return model, {**how, **({} if method == "__call__" else {"method": method})}


def call_module(module: Any, *inputs: Any, train: bool, method: str = "__call__", **options: Any) -> Any:
    """Return the output of a module that holds its own variables (NNX)."""
    _, how = called(module, *inputs, train=train, method=method, **options)
    function = how.pop("method", method)
    return function(module, *inputs, **how) if callable(function) else getattr(module, function)(*inputs, **how)


def mode(parameters: Mapping[str, inspect.Parameter], train: bool) -> dict[str, bool]:
    """Keywords of the mode: those of `MODES` among the parameters, or `train` for a function with `**kwargs`.

    >>> mode(inspect.signature(lambda x, deterministic: x).parameters, train=True)
    {'deterministic': False}
    """
    keyword = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    found = {name: MODES[name] is train for name, p in parameters.items() if name in MODES and p.kind in keyword}
    anything = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    return found or ({"train": train} if anything else {})


def takes(model: Any, option: str) -> bool:
    """Whether a model can be called with this keyword."""
    if is_sequential(model):
        return False
    options = inspect.signature(getattr(model, "wrapped", model.__call__)).parameters
    return option in options or any(p.kind is p.VAR_KEYWORD for p in options.values())


def is_sequential(module: Any) -> bool:
    """Whether this is Linen's or NNX's `Sequential`, whose `__call__` passes keywords to its first layer only."""
    return type(module).__name__ == "Sequential" and type(module).__module__.startswith("flax.")


def in_order(layers: Any, x: Any, train: bool, **options: Any) -> Any:
    """Apply layers one after the other, each with the mode and those options that its signature names."""
    for layer in layers:
        if is_sequential(layer):
            x = in_order(layer.layers, x, train, **options)
        else:
            parameters = _named(layer)
            x = layer(x, **mode(parameters, train), **{k: v for k, v in options.items() if k in parameters})
    return x


def _named(layer: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Parameters of a layer but `**kwargs`; empty for functions without a signature, such as NumPy's."""
    try:
        parameters = inspect.signature(layer).parameters
    except (TypeError, ValueError):
        return {}
    return {name: p for name, p in parameters.items() if p.kind is not p.VAR_KEYWORD}


def contract(model: Any, method: str = "__call__") -> str:
    """State the signature that a model must have, with the file and the line of its class."""
    kind = type(model)
    try:
        place = f" ({inspect.getsourcefile(kind)}:{inspect.getsourcelines(kind)[1]})"
    except (OSError, TypeError):  # a class defined at a prompt
        place = ""
    wanted = f"{method}(self, x, *, train)"
    return f"{kind.__name__}{place} must have {wanted} or {method}(self, x)"


def _given(inputs: tuple[Any, ...], how: Mapping[str, Any]) -> str:
    shapes = [f"an array {getattr(x, 'shape', '')}" for x in inputs]
    return ", ".join([*shapes, *(f"{name}={v}" if isinstance(v, bool) else name for name, v in how.items())])
