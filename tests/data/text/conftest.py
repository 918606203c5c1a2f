"""Two files of sentences, one packed: what parallel text is read from."""

import gzip

import pytest


@pytest.fixture
def folder(request, tmp_path):
    """`train.en` with the LINES of the test file, and `train.de.gz` with them in capitals."""
    lines = request.module.LINES
    (tmp_path / "train.en").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with gzip.open(tmp_path / "train.de.gz", "wt", encoding="utf-8") as file:
        file.write("\r\n".join(line.upper() + "ß" for line in lines))
    return tmp_path
