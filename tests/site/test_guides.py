"""The guides: each command and each snippet runs, in order, in one folder; what a guide shows is what is printed.

- A block `bash` is run line by line: `python -m jaxdl ...` and `python FILE.py` in this process, the rest by a shell. A line that
  ends in `# exit 2` has that exit code.
- A block `python` is run, or written to the file that its first line names: `# file: my_idea.py`.
- A block `text` right after another one is what that printed; `...` stands for anything.
"""

import doctest
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from jaxdl.__main__ import COMMANDS, main
from jaxdl.site import sources

ROOT = Path(__file__).parents[2]
GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LIKE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Block(NamedTuple):
    kind: str
    text: str
    line: int


def blocks(guide: Path) -> list[Block]:
    text = guide.read_text(encoding="utf-8")
    return [Block(m[1], m[2], text.count("\n", 0, m.start()) + 1) for m in FENCE.finditer(text)]


def commands(block: Block) -> list[str]:
    """The lines of a shell block, continued ones joined."""
    lines = block.text.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def code_of(call) -> int:
    try:
        return call() or 0
    except SystemExit as error:
        return int(error.code or 0)


def run_line(line: str, monkeypatch: pytest.MonkeyPatch) -> int:
    words = shlex.split(line, comments=True)
    if words[:3] == ["python", "-m", "jaxdl"]:
        return code_of(lambda: main(words[3:]))
    if words[0] == "python":
        monkeypatch.setattr(sys, "argv", words[1:])
        return code_of(lambda: runpy.run_path(words[1], run_name="__main__") and 0)
    return subprocess.run(line, shell=True).returncode


@pytest.mark.slow
@pytest.mark.programs(400, "a guide trains several runs, as its reader does")
@pytest.mark.parametrize("guide", GUIDES, ids=[path.stem for path in GUIDES])
def test_a_guide_does_what_it_says(guide, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("BROWSER", "true")  # `show` opens nothing here
    names: dict = {"__name__": "__guide__"}
    said = ""
    for block in blocks(guide):
        where = f"{guide.name}, line {block.line}"
        if block.kind == "text":
            assert doctest.OutputChecker().check_output(block.text, said, LIKE), f"{where}:\n{said}"
        elif block.kind == "bash":
            said = ""
            for line in commands(block):
                wanted = int(match[1]) if (match := re.search(r"# exit (\d+)$", line)) else 0
                capfd.readouterr()
                code = run_line(line, monkeypatch)
                out, err = capfd.readouterr()
                said += out if wanted == 0 else err
                assert code == wanted, f"{where}: {line}\n{out}\n{err}"
        elif match := re.match(r"# file: (\S+)\n", block.text):
            (tmp_path / match[1]).write_text(block.text.partition("\n")[2], encoding="utf-8")
        else:
            capfd.readouterr()
            exec(compile(block.text, where, "exec"), names)
            said = capfd.readouterr().out


def test_there_is_a_guide_for_every_task_of_a_newcomer():
    assert [guide.stem for guide in GUIDES] == sorted(sources.GUIDES)


@pytest.mark.parametrize("guide", GUIDES, ids=[path.stem for path in GUIDES])
def test_a_guide_names_files_and_commands_that_exist(guide):
    text = guide.read_text(encoding="utf-8")
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if not link.startswith("http")]
    assert [link for link in links if not (guide.parent / link).exists()] == []
    named = set(re.findall(r"python -m jaxdl ([a-z][\w-]*)", text))
    assert named <= COMMANDS.keys(), named - COMMANDS.keys()
    assert {block.kind for block in blocks(guide)} & {"bash", "python"}, "nothing in it is executed"
