"""Bilinear functions of two arrays with given derivatives, as primitives of JAX.

A function with a `jax.custom_vjp` has no forward mode (`jax.jvp`, `jax.hessian` raise). A primitive that is declared linear has
both modes, of any order: JAX only needs its two transposes. A faster form for CPUs is chosen when the program is lowered, which
costs nothing at run time.
"""

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

Form = Callable[[Any, jax.Array, jax.Array], jax.Array]
"""Function (static arguments, left, right) -> product."""
Levels = tuple[tuple[bool, bool], ...]
"""For each `vmap` around the map, from the outermost: which of the two arrays have its axis."""

Turned = tuple["LinearMap", bool]
"""A map, and whether the cotangent is its left array."""

FORMS: dict[Primitive, Callable[..., jax.Array]] = {}
"""The plain form of every map, from which operations are counted, called with the parameters of an equation."""


class LinearMap:
    """A product of two arrays, `product(static, left, right)`. Call `transposes` once before it is used.

    Args:
        name: name of the primitive in a jaxpr.
        plain: the form for every platform.
        cpu: function from the static arguments to the form for CPUs, which may have its own rule for `vmap`; None is `plain`.
    """

    def __init__(self, name: str, plain: Form, cpu: Callable[[Any], Callable[..., jax.Array]] | None = None):
        self.plain, self.cpu = plain, cpu or (lambda static: partial(plain, static))
        self.primitive = Primitive(name)
        FORMS[self.primitive] = partial(self._evaluate, False)
        self.compiled: dict[Any, Callable[..., jax.Array]] = {}
        self.primitive.def_abstract_eval(self._shape)
        self.primitive.def_impl(lambda a, b, **params: self._compiled(**params)(a, b))
        batching.primitive_batchers[self.primitive] = self._batch
        for platform, on_cpu in ((None, False), ("cpu", True)):
            rule = mlir.lower_fun(partial(self._evaluate, on_cpu), multiple_results=False)
            mlir.register_lowering(self.primitive, rule, platform=platform)

    def __call__(self, static: Hashable, left: jax.Array, right: jax.Array) -> jax.Array:
        return self._bind(left, right, static=static, levels=())

    def transposes(self, left: Turned, right: Turned | None) -> None:
        """Set the derivatives with respect to the two arrays: other maps of the cotangent and the remaining array.

        `right` is None if the map is not differentiable with respect to its right array, such as integers.
        """

        def rule(side: int, ct: jax.Array, a: Any, b: Any, *, static: Any, levels: Levels) -> jax.Array:
            chosen = (left, right)[side]
            assert chosen is not None, "only sides that are differentiated have a rule"
            turned, ct_first = chosen
            pair = (ct, a if side else b) if ct_first else (a if side else b, ct)
            # the cotangent has the axes of all vmaps, the other array has its own
            has = [(True, level[1 - side]) if ct_first else (level[1 - side], True) for level in levels]
            out = turned._bind(*pair, static=static, levels=tuple(has))
            return out.sum([i for i, level in enumerate(levels) if not level[side]]) if levels else out

        if right is not None:
            ad.defbilinear(self.primitive, partial(rule, 0), partial(rule, 1))
            return
        ad.defjvp(self.primitive, lambda tangent, a, b, **params: self._bind(tangent, b, **params), None)
        ad.primitive_transposes[self.primitive] = lambda ct, a, b, **params: (rule(0, ct, a, b, **params), None)

    def _bind(self, a: jax.Array, b: jax.Array, **params: Any) -> jax.Array:
        a, b = jnp.asarray(a), jnp.asarray(b)
        over_a, over_b = (jax.typeof(v).manual_axis_type.varying for v in (a, b))  # the mesh axes inside a shard_map
        if over_a != over_b:
            a = lax.pcast(a, tuple(over_b - over_a), to="varying") if over_b - over_a else a
            b = lax.pcast(b, tuple(over_a - over_b), to="varying") if over_a - over_b else b
        return self.primitive.bind(a, b, **params)

    def _evaluate(self, on_cpu: bool, a: jax.Array, b: jax.Array, *, static: Any, levels: Levels) -> jax.Array:
        form = self.cpu(static) if on_cpu else partial(self.plain, static)
        for level in reversed(levels):
            form = jax.vmap(form, in_axes=tuple(0 if part else None for part in level))
        return form(a, b)

    def _compiled(self, **params: Any) -> Callable[..., jax.Array]:
        """The compiled function for a call outside of `jit`."""
        key = tuple(params.items())
        if key not in self.compiled:
            cpu, default = (partial(self._evaluate, on_cpu, **params) for on_cpu in (True, False))
            self.compiled[key] = jax.jit(lambda a, b: lax.platform_dependent(a, b, cpu=cpu, default=default))
        return self.compiled[key]

    def _shape(self, a: Any, b: Any, **params: Any) -> Any:
        structs = (jax.ShapeDtypeStruct(v.shape, v.dtype) for v in (a, b))
        out = jax.eval_shape(partial(self._evaluate, False, **params), *structs)
        like = a if a.ndim == len(out.shape) else b
        if like.ndim != len(out.shape):
            return ShapedArray(out.shape, out.dtype)
        return like.update(shape=out.shape, dtype=out.dtype, weak_type=False)

    def _batch(self, arrays: Any, axes: Any, *, static: Any, levels: Levels) -> tuple[jax.Array, int]:
        a, b = (v if axis is None else jnp.moveaxis(v, axis, 0) for v, axis in zip(arrays, axes, strict=True))
        level = tuple(axis is not None for axis in axes)
        return self._bind(a, b, static=static, levels=(level, *levels)), 0
