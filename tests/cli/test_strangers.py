"""Run folders of somebody else: which code is executed, and names that are code in a shell or in HTML."""

import json
import shlex
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from jaxdl.__main__ import main
from jaxdl.cli import export
from jaxdl.record.report import _commands, markdown_table, plain_text
from jaxdl.record.run import RunFolder
from jaxdl.reports import Notes, Rows

pytestmark = pytest.mark.programs(25, "one run is evaluated by several commands")


@pytest.fixture
def given(trained, here):
    """A copy of a run whose experiment.py also writes a file `ran`."""
    shutil.copytree(trained.folder, here / "given")
    file = here / "given" / "experiment.py"
    file.write_text("open('ran', 'w', encoding='utf-8').close()\n" + file.read_text(encoding="utf-8"), encoding="utf-8")
    return here / "given"


@pytest.mark.parametrize("command", [("evaluate",), ("predict", "x.npy"), ("export",), ("verify",), ("generate",)])
def test_a_changed_copy_of_the_experiment_is_not_executed(command, given, capfd, tiny):
    np.save("x.npy", tiny.rows(3, 2)["x"])
    assert main([command[0], "given", *command[1:]]) == 2
    line = capfd.readouterr().err.splitlines()[-1]
    assert "experiment.py" in line
    assert "--trust" in line
    assert not (given.parent / "ran").exists()


def test_with_trust_it_is_executed(given, capfd):
    assert main(["evaluate", "given", "--trust", "--json"]) == 0
    out, err = capfd.readouterr()
    assert json.loads(out)["metrics"]
    assert "experiment.py" in err
    assert (given.parent / "ran").exists()


def test_a_resume_executes_no_other_file_than_the_experiment(given, capfd, tiny_file):
    for source, name in ((given / "experiment.py", "experiment.py"), (given.parent / "other.py", "other.py")):
        (given.parent / "other.py").write_text("open('ran', 'w', encoding='utf-8').close()\n", encoding="utf-8")
        config = json.loads((given / "config.json").read_text(encoding="utf-8"))
        (given / "config.json").write_text(json.dumps(config | {"source": str(source)}), encoding="utf-8")
        assert main(["train", "--resume", "given", "--quiet"]) == 2
        line = capfd.readouterr().err.splitlines()[-1]
        assert name in line
        assert "--trust" in line
    assert not (given.parent / "ran").exists()


def test_the_exported_function_executes_no_file_of_the_run(trained, given, tiny):
    export.write(trained, given / "export")
    x = tiny.rows(3, 2)["x"]
    np.testing.assert_array_equal(export.load(given / "export")(x)["label"], trained.predict(x)["label"])
    assert not (given.parent / "ran").exists()


EVIL = "a<script>alert(1)</script>|b\nc"


def test_a_report_escapes_names():
    safe = "a&lt;script&gt;alert(1)&lt;/script&gt;|b c"
    assert plain_text(EVIL) == safe
    assert markdown_table(["class"], [[EVIL]]).splitlines()[-1] == "| " + safe.replace("|", "\\|") + " |"


def test_a_report_of_strange_names_has_no_html(trained, tmp_path):
    from jaxdl.record.report import write_report

    shutil.copytree(trained.folder, tmp_path / "run")
    run = RunFolder(tmp_path / "run", {**trained_config(trained), "docstring": EVIL, "knobs": {"name": EVIL}})
    report = {"notes": Notes((EVIL,)), "rows": Rows((EVIL,), ((EVIL,),), title=EVIL)}
    found = SimpleNamespace(split=EVIL, metrics={"loss": 1.0, EVIL: 2.0}, report=report)
    data = SimpleNamespace(name=EVIL, split=EVIL, splits={}, classes=(EVIL,), columns=(), batch=2, size=lambda split: 1)
    text = write_report(run, SimpleNamespace(data=data, select=("accuracy", "max")), [found]).read_text(
        encoding="utf-8"
    )
    assert "&lt;script&gt;" in text
    assert "<script>" not in text


def trained_config(run):
    return json.loads((run.folder / "config.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["a b", "a; touch ran", "it's", "$(touch ran)"])
def test_commands_to_repeat_a_run_are_quoted(name, trained, tmp_path):
    (tmp_path / name).mkdir()
    shutil.copy(trained.folder / "env.json", tmp_path / name)
    for line in _commands(RunFolder(tmp_path / name, {})).splitlines():
        if "jaxdl train" in line or "jaxdl evaluate" in line:
            assert str(tmp_path / name) in shlex.split(line, comments=True)
