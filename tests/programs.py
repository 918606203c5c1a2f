"""A pytest plugin: a test may compile six programs, and the summary names the dearest tests.

Compiling is most of what the suite costs, so every test that compiles more than LIMIT programs says how many and why:

    @pytest.mark.programs(20, "eager jax is the subject")

What a fixture of a wider scope than one test compiles is shared, and counted for nobody. With JAXDL_PROGRAMS=alone jax
forgets its programs before every test, so that each count is that of the test run alone: what no order of tests exceeds.
"""

import os
from collections import Counter

import jax
import jax.monitoring
import pytest

LIMIT = 6
SHOWN = 10
ALONE = os.environ.get("JAXDL_PROGRAMS") == "alone"
ENFORCED = ALONE or os.environ.get("JAXDL_PROGRAMS") == "on"

compiled = 0


def count(event, duration, **_):
    global compiled
    compiled += event.endswith("backend_compile_duration")


jax.monitoring.register_event_duration_secs_listener(count)


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "programs(limit, reason): how many XLA programs the test may compile, where six are too few"
    )


def one_program(function, *args, **kwargs):
    """What a function gives, computed by one compiled program and handed out as NumPy arrays.

    Eagerly, jax compiles one program for every operation and shape.
    """
    return jax.device_get(jax.jit(function)(*args, **kwargs))


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef, request):
    """Programs of a shared fixture are not those of the test that happens to come first."""
    global compiled
    before = compiled
    try:
        return (yield)
    finally:
        if fixturedef.scope != "function":
            compiled = before


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item, nextitem):
    global compiled
    if ALONE:
        jax.clear_caches()
    compiled = 0
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    began = sum(os.times()[:4])
    try:
        return (yield)
    finally:
        item.user_properties.append(("setup_cpu_seconds", sum(os.times()[:4]) - began))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    began = sum(os.times()[:4])
    try:
        result = yield
    finally:
        item.user_properties += [("programs", compiled), ("cpu_seconds", sum(os.times()[:4]) - began)]
    mark = item.get_closest_marker("programs")
    limit = mark.args[0] if mark else LIMIT
    if ENFORCED and compiled > limit and not isinstance(item, pytest.DoctestItem):
        pytest.fail(
            f"compiled {compiled} programs, more than {limit}: put them into one jit or a shared fixture, use NumPy or "
            "eval_shape, or mark the test with pytest.mark.programs(limit, reason)",
            pytrace=False,
        )
    return result


def pytest_terminal_summary(terminalreporter):
    """The tests that cost most, in CPU seconds, with what they compiled."""
    cost, programs, fixtures = Counter(), Counter(), 0.0
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) == "call":
                shown = dict(report.user_properties)
                cost[report.nodeid] = shown.get("cpu_seconds", 0.0)
                fixtures += shown.get("setup_cpu_seconds", 0.0)
                programs[report.nodeid] = shown.get("programs", 0)
    if not cost:
        return
    terminalreporter.section(f"the {SHOWN} dearest of {len(cost)} tests")
    for name, seconds in cost.most_common(SHOWN):
        terminalreporter.write_line(f"{seconds:7.1f} CPU s {programs[name]:4} programs  {name}")
    calls = f"{sum(cost.values()):7.1f} CPU s {sum(programs.values()):4} programs"
    terminalreporter.write_line(f"{calls}  in all test calls, and {fixtures:.1f} CPU s in fixtures")
