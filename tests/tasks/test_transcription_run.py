"""A recognizer from the command line and in a notebook: train, resume, a file's transcript, clear errors."""

import json

import numpy as np
import pytest

from experiments.spoken_digits import config
from jaxdl import __main__ as command
from jaxdl import load, train
from jaxdl.data.audio.soundfiles import write_wav
from jaxdl.data.audio.spectrogram import PAD
from jaxdl.engine.loop import Limits


@pytest.mark.slow
@pytest.mark.programs(90, "three runs, predictions and a command")
def test_a_file_is_transcribed(tmp_path, capsys):
    values = {"steps": 4, "batch": 4, "width": 8, "layers": 1, "longest": 2, "bands": 2.0}
    half = train(config, **values, run=tmp_path, quiet=True, limits=Limits(stop_at=2))
    run = train(config, resume=half.folder, quiet=True)
    whole = train(config, **values, run=tmp_path / "again", quiet=True)
    exp = whole.experiment
    for a, b in zip(
        *(np.concatenate([np.ravel(v) for v in r.weights[0]["head"].values()]) for r in (run, whole)), strict=True
    ):
        assert a == b, "two steps, a pause and two steps are four"
    assert (run.folder / "plots" / "alignment.png").is_file()
    assert "What the model says at each frame" in (run.folder / "report.md").read_text(encoding="utf-8")

    x = exp.data.splits["test"]["x"][0]
    file = write_wav(tmp_path / "press.wav", x[x != PAD], 8000)
    trained = load(run.folder)
    out = trained.predict(str(file))
    assert (
        out["text"]
        == exp.data.decode({"tokens": trained.predict(exp.data.splits["test"]["x"][:1])["tokens"]})["text"][0]
    )
    capsys.readouterr()  # the results of the trainings
    assert command.main(["predict", str(run.folder), str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"file": str(file), "text": out["text"]}
    long = write_wav(tmp_path / "long.wav", np.zeros(20000), 8000)
    assert command.main(["predict", str(run.folder), str(long)]) == 2
    assert "long.wav: lasts 2.50 s, this set's recordings at most 1.15 s" in capsys.readouterr().err
