"""ONNX's own cases of LSTM, GRU, RNN, Attention and RotaryEmbedding."""

import importlib
import sys
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers.attention import both, dot_product_attention, local_mask
from jaxdl.layers.position import positions_of, rotate_pairs
from jaxdl.layers.recurrent import GRU, LSTM, RNN, scan_cell


def onnx_cases(*modules):
    """ONNX keeps its cases in a list that importing a module fills, once a process: import afresh."""
    onnx = pytest.importorskip("onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        node = importlib.import_module("onnx.backend.test.case.node")
        node._TargetOpType = None
        before = len(node._NodeTestCases)
        for name in modules:
            sys.modules.pop(f"{node.__name__}.{name}", None)
            importlib.import_module(f"{node.__name__}.{name}")
    return onnx, [case for case in node._NodeTestCases[before:] if len(case.model.graph.node) == 1]


def reorder(m, gates, order):
    """ONNX stacks gates along axis 0 in its own order."""
    return np.concatenate([np.split(m, gates)[i] for i in order])


def test_lstm_gru_and_rnn():
    onnx, cases = onnx_cases("lstm", "gru", "rnn")
    orders = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
    seen = set()
    for case in cases:
        node = case.model.graph.node[0]
        options = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        values, expected = case.data_sets[0]
        given = dict(zip(["x", "w", "r", "b", "lens", "h", "c", "p"], values, strict=False))  # RNN and GRU end at h
        batchwise = options.get("layout", 0) == 1
        x = given["x"] if batchwise else given["x"].swapaxes(0, 1)
        hidden, order = options["hidden_size"], orders[node.op_type]
        cell = {
            "LSTM": LSTM(hidden, peephole="p" in given),
            "GRU": GRU(hidden, reset="after" if options.get("linear_before_reset") else "before"),
            "RNN": RNN(hidden),
        }[node.op_type]
        direction = options.get("direction", b"forward").decode()
        carries = []
        ys = []
        for d, reverse in enumerate({"forward": [False], "reverse": [True], "bidirectional": [False, True]}[direction]):
            n = len(order)
            b = np.zeros(2 * n * hidden, np.float32) if "b" not in given else given["b"][d]
            b_x, b_h = (reorder(v, n, order) for v in np.split(b, 2))
            params = {
                "kernel": reorder(given["w"][d], n, order).T,
                "recurrent_kernel": reorder(given["r"][d], n, order).T,
                "bias": b_x + b_h,
            }
            if "p" in given:
                params["peephole"] = given["p"][d].reshape(3, hidden)[[0, 2, 1]]
            carry = cell.start(len(x))
            if "h" in given:
                carry = (given["h"][d], given["c"][d]) if node.op_type == "LSTM" else given["h"][d]
            lengths = jnp.asarray(given["lens"]) if "lens" in given else None
            params, x = jax.tree.map(jnp.asarray, (params, x))
            y, carry = scan_cell(cell, params, x, carry, lengths, reverse=reverse)
            ys.append(y)
            carries.append(carry)
        got = {"Y_h": jnp.stack([cell.output(c) for c in carries], 1 if batchwise else 0)}
        got["Y_c"] = jnp.stack([jax.tree.leaves(c)[-1] for c in carries], 1 if batchwise else 0)
        got["Y"] = jnp.stack(ys, 2) if batchwise else jnp.stack(ys, 1).transpose(2, 1, 0, 3)
        names = [n for n in node.output if n]
        for name, value in zip(names, expected, strict=True):
            np.testing.assert_allclose(got[name], value, rtol=1e-3, atol=1e-6, err_msg=case.name)
        seen.add(case.name)
    assert len(seen) == 18


@pytest.mark.slow
def test_attention():
    """All but the cases of a past (ours is a cache), of scores as a second output, and of an external cache's lengths."""
    onnx, cases = onnx_cases("attention")
    seen = set()
    for case in cases:
        node = case.model.graph.node[0]
        o = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        (q, k, v, *rest), expected = case.data_sets[0]
        if len(expected) > 1 or len([name for name in node.input if name]) > 4 or "nonpad" in case.name:
            continue
        if q.ndim == 3:
            split = lambda x, n: x.reshape(*x.shape[:2], n, -1)
            q, k, v = split(q, o["q_num_heads"]), split(k, o["kv_num_heads"]), split(v, o["kv_num_heads"])
        else:
            q, k, v = (x.swapaxes(1, 2) for x in (q, k, v))
        q, k, v = (jnp.asarray(x) for x in (q, k, v))
        options = {"causal": bool(o.get("is_causal")), "scale": o.get("scale"), "softcap": o.get("softcap") or None}
        mask = None
        if rest:
            given = jnp.asarray(rest[0])
            given = given.reshape((1,) * (4 - given.ndim) + given.shape)
            given = jnp.broadcast_to(given, (*given.shape[:2], q.shape[1], given.shape[-1]))
            if given.dtype == bool:
                mask = given
            else:
                options["bias"] = given
        left, right = o.get("left_window_size", -1), o.get("right_window_size", -1)
        if max(left, right) >= 0:
            far = 10**6
            window = local_mask(
                positions_of(q), positions_of(k), left if left >= 0 else far, right if right >= 0 else far
            )
            mask = both(mask, window)
        y = dot_product_attention(q, k, v, mask=mask, **options)
        y = y.reshape(*y.shape[:2], -1) if expected[0].ndim == 3 else y.swapaxes(1, 2)
        loose = 1e-5 if q.dtype == jnp.float32 else 2e-2
        np.testing.assert_allclose(
            np.asarray(y, np.float32), np.asarray(expected[0], np.float32), rtol=loose, atol=loose, err_msg=case.name
        )
        seen.add(case.name)
    assert len(seen) == 51


def test_rotary_embedding():
    onnx, cases = onnx_cases("rotaryembedding")
    for case in cases:
        o = {a.name: onnx.helper.get_attribute_value(a) for a in case.model.graph.node[0].attribute}
        (x, cos, sin, *positions), (expected,) = case.data_sets[0]
        if positions:
            cos, sin = cos[positions[0]], sin[positions[0]]
        heads = x.reshape(*x.shape[:2], o["num_heads"], -1) if x.ndim == 3 else x.swapaxes(1, 2)
        y = rotate_pairs(jnp.asarray(heads), cos[:, :, None], sin[:, :, None], interleaved=bool(o.get("interleaved")))
        y = y.reshape(x.shape) if x.ndim == 3 else y.swapaxes(1, 2)
        np.testing.assert_allclose(y, expected, atol=1e-6, err_msg=case.name)
    assert len(cases) == 8
