"""The metrics log: nothing lost silently, the same bits back, the same file after a kill and a resume."""

import json
import math
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.record.log import DROPPED, LOG, MetricsLog, comparable, read, read_thinned
from jaxdl.types import UserError


def write(folder, steps, *, resume=None, end=True, tensorboard=False, at=0.0):
    with MetricsLog(folder, resume=resume, tensorboard=tensorboard) as log:
        for step in steps:
            loss = np.float32(1.0) / np.float32(step)
            log.line({"kind": "train", "step": step, "loss": loss, "seconds": at + step})
            if step % 2 == 0:
                log.line({"kind": "eval", "step": step, "split": "validation", "accuracy": np.float32(step / 7)})
        if end:
            log.line({"kind": "end", "step": step, "reason": "paused"})


def test_floats_come_back_with_their_bits(tmp_path):
    bits = np.random.default_rng(0).integers(0, 2**32, 20_000, dtype=np.uint32)
    values = np.concatenate([bits.view(np.float32), np.float32([0.0, -0.0, 1e-45, 3.4028235e38, 0.1])])
    with MetricsLog(tmp_path, tensorboard=False) as log:
        log.line({"kind": "eval", "step": 0, "all": values, "one": np.float32(0.1), "wide": 0.1 + 0.2})
    (line,) = read(tmp_path)
    back = np.array(line["all"], np.float32)
    finite = np.isfinite(values)
    np.testing.assert_array_equal(back[finite].view(np.uint32), values[finite].view(np.uint32))
    np.testing.assert_array_equal(back[~finite], values[~finite])
    assert (line["one"], line["wide"]) == (0.1, 0.1 + 0.2)


@pytest.mark.parametrize(
    ("value", "text", "back"),
    [
        (float("nan"), '"nan"', math.nan),
        (jax.device_put(np.float32(np.inf)), '"inf"', math.inf),
        (np.float32(-np.inf), '"-inf"', -math.inf),
        (jnp.bfloat16(0.1), "0.10009765625", 0.10009765625),
        (jax.device_put(np.int32(3)), "3", 3),
        (np.array([[1, 2], [3, 4]]), "[[1, 2], [3, 4]]", [[1, 2], [3, 4]]),
        (np.array([0.5, np.nan], np.float32), '[0.5, "nan"]', [0.5, math.nan]),
        (None, "null", None),
        (True, "true", True),
        ("ab\n", '"ab\\n"', "ab\n"),
        ({"a": np.float32(0.1)}, '{"a": 0.1}', {"a": 0.1}),
    ],
)
def test_values(tmp_path, value, text, back):
    with MetricsLog(tmp_path, tensorboard=False) as log:
        log.line({"kind": "x", "step": 0, "v": value})
    assert (tmp_path / LOG).read_text(encoding="utf-8") == f'{{"kind": "x", "step": 0, "v": {text}}}\n'
    np.testing.assert_equal(read(tmp_path)[0]["v"], back)
    json.loads((tmp_path / LOG).read_text(encoding="utf-8"), parse_constant=pytest.fail)  # strict JSON


def test_stopped_and_resumed_equals_undisturbed(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir(), parts.mkdir()
    write(whole, range(1, 9))
    write(parts, range(1, 7), at=50)  # the last checkpoint was step 4
    write(parts, range(5, 9), resume=4, at=100)
    assert comparable(read(parts)) == comparable(read(whole))
    assert [(line["kind"], line["step"]) for line in read(parts)] == [
        (line["kind"], line["step"]) for line in read(whole)
    ]
    assert [(line["kind"], line["step"]) for line in read(parts / DROPPED)] == [
        ("train", 5),
        ("train", 6),
        ("eval", 6),
        ("end", 6),
    ]
    assert read(parts) != read(whole)  # the wall clock differs


@pytest.mark.parametrize("torn", ['{"kind": "train", "st', '{"kind": "train", "step": 3, "loss": 1.0}', "\xff"])
def test_a_torn_last_line_is_left_out_and_moved_aside(tmp_path, torn):
    write(tmp_path, [1, 2], end=False)
    with open(tmp_path / LOG, "a", encoding="utf-8") as file:
        file.write(torn)
    assert [line["step"] for line in read(tmp_path)] == [1, 2, 2]
    write(tmp_path, [3], end=False)
    assert [line["step"] for line in read(tmp_path)] == [1, 2, 2, 3]
    assert (tmp_path / DROPPED).read_text(encoding="utf-8") == torn + "\n"


def test_a_damaged_line_is_named(tmp_path):
    (tmp_path / LOG).write_text(
        '{"kind": "train", "step": 1}\n{"kind"\n{"kind": "train", "step": 2}\n', encoding="utf-8"
    )
    with pytest.raises(ValueError, match=r"metrics\.jsonl, line 2: not a JSON object"):
        read(tmp_path)


def test_tensorboard_gets_the_scalars_and_a_resume_hides_the_old_ones(tmp_path):
    from tensorboardX.proto.event_pb2 import Event, SessionLog
    from tensorboardX.record_writer import masked_crc32c  # noqa: F401  (the framing read below is the TFRecord one)

    write(tmp_path, range(1, 5), tensorboard=True)
    write(tmp_path, range(3, 5), resume=2, tensorboard=True)
    events = []
    for path in sorted((tmp_path / "tensorboard").iterdir()):
        data = path.read_bytes()
        while data:
            length = int.from_bytes(data[:8], "little")
            events.append(Event.FromString(data[12 : 12 + length]))
            data = data[16 + length :]
    scalars = {(v.tag, e.step): v.simple_value for e in events for v in e.summary.value}
    assert scalars[("loss/train", 3)] == np.float32(1 / 3)
    assert scalars[("accuracy/validation", 4)] == np.float32(4 / 7)
    assert {tag for tag, _ in scalars} == {"loss/train", "seconds/train", "accuracy/validation"}
    assert [e.step for e in events if e.session_log.status == SessionLog.START] == [3]


# -- long logs ---------------------------------------------------------------------------------------------------------


def test_a_long_log_is_read_in_part(tmp_path):
    """Evenly spread lines of each kind, the first, the last and the best; of a short one all."""
    scores = np.random.default_rng(0).permutation(200) / 1000
    with MetricsLog(tmp_path, tensorboard=False) as log:
        for step in range(1, 1001):
            log.line({"kind": "train", "step": step, "loss": 1 / step})
            if step % 5 == 0:
                log.line({"kind": "eval", "step": step, "split": "validation", "f1": scores[step // 5 - 1]})
        log.line({"kind": "note", "step": 1000, "note": "a"})
        log.line({"kind": "end", "step": 1000, "reason": "finished"})
    whole = read(tmp_path)
    lines, count = read_thinned(tmp_path, ("f1", "max"), most=20)
    assert count == len(whole) == 1202
    assert [line for line in whole if line in lines] == lines
    steps = {kind: [line["step"] for line in lines if line["kind"] == kind] for kind in ("train", "eval")}
    assert set(range(1, 1001, 64)) | {1000} == set(steps["train"])  # every 64th: the first power of two that leaves 20
    best = 5 * (int(scores.argmax()) + 1)
    assert set(steps["eval"]) == {*range(5, 1001, 80), best, 1000}
    assert [line["kind"] for line in lines[-2:]] == ["note", "end"]
    worst = read_thinned(tmp_path, ("f1", "min"), most=20)[0]
    assert 5 * (int(scores.argmin()) + 1) in [line["step"] for line in worst if line["kind"] == "eval"]
    assert read_thinned(tmp_path) == (whole, 1202)


@pytest.mark.slow
def test_a_log_of_a_million_lines_costs_seconds_and_little_memory(tmp_path):
    """Before a resume and in a report; all lines as Python objects take 2 GB."""
    line = {"kind": "train", "step": 0, "loss": 0.123456, "accuracy": 0.5, "gradient_norm": 1.25, "learning_rate": 0.01}
    with open(tmp_path / LOG, "w", encoding="utf-8") as file:
        for step in range(1, 1_000_001):
            file.write(json.dumps(line | {"step": step}) + "\n")
        file.write(json.dumps({"kind": "checkpoint", "step": 999_990, "digest": "0"}) + "\n")
    program = (
        "import resource, sys, time\nfrom jaxdl.record.log import MetricsLog, read_thinned\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "with MetricsLog(sys.argv[1], resume=999_990, tensorboard=False) as log: assert not log.missing\n"
        "lines, count = read_thinned(sys.argv[1], ('accuracy', 'max'))\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print(len(lines), count, used.ru_utime + used.ru_stime, (used.ru_maxrss - before) / 1e6)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True)
    kept, count, seconds, gigabytes = map(float, done.stdout.split())
    assert (kept < 6000, count) == (True, 999_991)
    assert seconds < 10
    assert gigabytes < 0.5
    assert len((tmp_path / DROPPED).read_bytes().splitlines()) == 10


def test_some_steps_are_read_without_parsing_the_others(tmp_path):
    lines = [f'{{"kind": "train", "step": {step}, "loss": 0.5}}\n' for step in range(10)]
    lines[2] = '{"kind": "train", "step": 2, "loss": not JSON}\n'
    (tmp_path / LOG).write_text("".join(lines), encoding="utf-8")
    assert [line["step"] for line in read(tmp_path, range(4, 8))] == [4, 5, 6, 7]
    with pytest.raises(UserError, match="line 3"):
        read(tmp_path, range(2, 8))
