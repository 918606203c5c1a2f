"""How a Flax module is called: whether and under which name its `__call__` takes the mode, training or evaluation.

    def __call__(self, x, *, train)              and training, is_training; also positional
    def __call__(self, x, deterministic)         and use_running_average: the opposite of train
    def __call__(self, x)                        nothing is passed: no dropout, no batch norm
    nn.Sequential([...])                         every layer is called by its own signature

A field of one of these names, as in `Net(train=True)`, is set to the mode when `__call__` takes none of them.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from jaxdl.types import UserError

MODES = {"train": True, "training": True, "is_training": True, "deterministic": False, "use_running_average": False}
"""Name of the argument -> its value in training."""


def called(
    model: Any, *inputs: Any, train: bool, method: str = "__call__", **options: Any
) -> tuple[Any, dict[str, Any]]:
    """The module and the keywords with which its `init` and `apply` run `method` on these inputs.

    model, how = called(model, x, train=False)
    model.apply(variables, x, **how)

    Raises UserError, with the file and the line of the class, where its signature does not take the inputs and options.
    """
    if method == "__call__" and is_sequential(model):
        if unknown := options.keys() - {"rngs"}:
            raise UserError(
                f"{type(model).__name__} takes no {min(unknown)}: write a module with __call__(self, x, *, train)"
            )
        return model, {"method": lambda bound, x, **options: in_order(bound.layers, x, train, **options), **options}
    if hasattr(model, "wrapped"):  # an adapter, which looks at the signature of what it wraps
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


def run(module: Any, *inputs: Any, train: bool, method: str = "__call__", **options: Any) -> Any:
    """The output of a module that holds its own variables (NNX)."""
    _, how = called(module, *inputs, train=train, method=method, **options)
    function = how.pop("method", method)
    return function(module, *inputs, **how) if callable(function) else getattr(module, function)(*inputs, **how)


def mode(parameters: Mapping[str, inspect.Parameter], train: bool) -> dict[str, bool]:
    """The mode as keywords, for those of `MODES` among the parameters; `train` for a function that takes any keyword.

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
    """Whether this is Linen's or NNX's `Sequential`, whose own `__call__` gives keywords to its first layer only."""
    return type(module).__name__ == "Sequential" and type(module).__module__.startswith("flax.")


def in_order(layers: Any, x: Any, train: bool, **options: Any) -> Any:
    """The output of the last layer: each gets the one before's, and the mode and the options that its signature names."""
    for layer in layers:
        if is_sequential(layer):
            x = in_order(layer.layers, x, train, **options)
        else:
            parameters = _named(layer)
            x = layer(x, **mode(parameters, train), **{k: v for k, v in options.items() if k in parameters})
    return x


def _named(layer: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Parameters with a name of their own; none for functions without a signature, as some of NumPy's."""
    try:
        parameters = inspect.signature(layer).parameters
    except (TypeError, ValueError):
        return {}
    return {name: p for name, p in parameters.items() if p.kind is not p.VAR_KEYWORD}


def contract(model: Any, method: str = "__call__") -> str:
    """What a model must look like, and where this one's class is written."""
    kind = type(model)
    try:
        place = f" ({inspect.getsourcefile(kind)}:{inspect.getsourcelines(kind)[1]})"
    except (OSError, TypeError):  # a class typed into a prompt
        place = ""
    wanted = f"{method}(self, x, *, train)"
    return f"{kind.__name__}{place} must have {wanted} or {method}(self, x)"


def _given(inputs: tuple[Any, ...], how: Mapping[str, Any]) -> str:
    shapes = [f"an array {getattr(x, 'shape', '')}" for x in inputs]
    return ", ".join([*shapes, *(f"{name}={v}" if isinstance(v, bool) else name for name, v in how.items())])
