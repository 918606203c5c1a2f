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
from tests.programs import one_program

pytestmark = pytest.mark.parity  # beside the golden numbers of PyTorch and Hugging Face, which are tested by default


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


def recurrent(case, onnx):
    """One case as a function of arrays, the arrays, and what ONNX expects under the names of the function's results."""
    node = case.model.graph.node[0]
    options = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    values, expected = case.data_sets[0]
    given = dict(zip(["x", "w", "r", "b", "lens", "h", "c", "p"], values, strict=False))  # RNN and GRU end at h
    batchwise, hidden = options.get("layout", 0) == 1, options["hidden_size"]
    order = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}[node.op_type]
    cell = {
        "LSTM": LSTM(hidden, peephole="p" in given),
        "GRU": GRU(hidden, reset="after" if options.get("linear_before_reset") else "before"),
        "RNN": RNN(hidden),
    }[node.op_type]
    direction = options.get("direction", b"forward").decode()
    reverses = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}[direction]

    def params(d):
        n = len(order)
        b = given["b"][d] if "b" in given else np.zeros(2 * n * hidden, np.float32)
        b_x, b_h = (reorder(v, n, order) for v in np.split(b, 2))
        kernels = {name: reorder(given[w][d], n, order).T for name, w in (("kernel", "w"), ("recurrent_kernel", "r"))}
        peephole = {"peephole": given["p"][d].reshape(3, hidden)[[0, 2, 1]]} if "p" in given else {}
        return {**kernels, "bias": b_x + b_h, **peephole}

    def run(x, directions, start, lengths):
        ys, carries = [], []
        for d, reverse in enumerate(reverses):
            carry = cell.start(len(x))
            if "h" in given:
                carry = (start["h"][d], start["c"][d]) if node.op_type == "LSTM" else start["h"][d]
            y, carry = scan_cell(cell, directions[d], x, carry, lengths, reverse=reverse)
            ys.append(y)
            carries.append(carry)
        axis = 1 if batchwise else 0
        return {
            "Y_h": jnp.stack([cell.output(c) for c in carries], axis),
            "Y_c": jnp.stack([jax.tree.leaves(c)[-1] for c in carries], axis),
            "Y": jnp.stack(ys, 2) if batchwise else jnp.stack(ys, 1).transpose(2, 1, 0, 3),
        }

    x = given["x"] if batchwise else given["x"].swapaxes(0, 1)
    start = {name: given[name] for name in "hc" if name in given}
    arrays = (x, [params(d) for d in range(len(reverses))], start, given.get("lens"))
    return run, arrays, dict(zip([n for n in node.output if n], expected, strict=True))


def answers(cases):
    """Every case's function of its arrays, all in one program."""
    everything = lambda arrays: {name: cases[name][0](*arrays[name]) for name in cases}
    return one_program(everything, {name: arrays for name, (_, arrays, _) in cases.items()})


def test_lstm_gru_and_rnn():
    onnx, found = onnx_cases("lstm", "gru", "rnn")
    cases = {case.name: recurrent(case, onnx) for case in found}
    assert len(cases) == 18
    for name, got in answers(cases).items():
        for output, value in cases[name][2].items():
            np.testing.assert_allclose(got[output], value, rtol=1e-3, atol=1e-6, err_msg=name)


def test_attention():
    """All but the cases of a past (ours is a cache), of scores as a second output, and of an external cache's lengths."""
    onnx, found = onnx_cases("attention")
    cases = {}
    for case in found:
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
        given = None
        if rest:
            given = rest[0].reshape((1,) * (4 - rest[0].ndim) + rest[0].shape)
            given = np.broadcast_to(given, (*given.shape[:2], q.shape[1], given.shape[-1]))

        def run(q, k, v, given, o=o, flat=expected[0].ndim == 3):
            options = {"causal": bool(o.get("is_causal")), "scale": o.get("scale"), "softcap": o.get("softcap") or None}
            mask = None
            if given is not None and given.dtype == bool:
                mask = given
            elif given is not None:
                options["bias"] = given
            left, right = o.get("left_window_size", -1), o.get("right_window_size", -1)
            if max(left, right) >= 0:
                far = 10**6
                reach = (left if left >= 0 else far, right if right >= 0 else far)
                mask = both(mask, local_mask(positions_of(q), positions_of(k), *reach))
            y = dot_product_attention(q, k, v, mask=mask, **options)
            return y.reshape(*y.shape[:2], -1) if flat else y.swapaxes(1, 2)

        cases[case.name] = (run, (q, k, v, given), expected[0])
    assert len(cases) == 51
    for name, y in answers(cases).items():
        _, (q, *_), expected = cases[name]
        loose = 1e-5 if q.dtype == np.float32 else 2e-2
        np.testing.assert_allclose(
            np.asarray(y, np.float32), np.asarray(expected, np.float32), rtol=loose, atol=loose, err_msg=name
        )


def test_rotary_embedding():
    onnx, found = onnx_cases("rotaryembedding")
    cases = {}
    for case in found:
        o = {a.name: onnx.helper.get_attribute_value(a) for a in case.model.graph.node[0].attribute}
        (x, cos, sin, *positions), (expected,) = case.data_sets[0]
        if positions:
            cos, sin = cos[positions[0]], sin[positions[0]]

        def run(x, cos, sin, o=o):
            heads = x.reshape(*x.shape[:2], o["num_heads"], -1) if x.ndim == 3 else x.swapaxes(1, 2)
            y = rotate_pairs(heads, cos[:, :, None], sin[:, :, None], interleaved=bool(o.get("interleaved")))
            return y.reshape(x.shape) if x.ndim == 3 else y.swapaxes(1, 2)

        cases[case.name] = (run, (x, cos, sin), expected)
    assert len(cases) == 8
    for name, y in answers(cases).items():
        np.testing.assert_allclose(y, cases[name][2], atol=1e-6, err_msg=name)
