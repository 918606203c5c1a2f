"""What is noticed is said: categories that training never saw, by predict and evaluate; more logits than classes, by train."""

import pytest

from jaxdl.__main__ import main

EXPERIMENT = '''"""A shop in one town."""
from jaxdl import Experiment
from jaxdl.data.table import tabular
from jaxdl.models.mlp import MLP
from jaxdl.optim import adam
from jaxdl.tasks.classification import Classification

def config(*, seed: int = 0) -> Experiment:
    """A shop.

    Args:
        seed: of the initialization.
    """
    data = tabular.csv("shop.csv", target="bought", categorical=["town"], batch=8)
    return Experiment(data=data, task=Classification(MLP(features=(), classes=3)), optimizer=adam(0.01), steps=2, seed=seed)
'''


@pytest.mark.programs(16, "one training, predictions and an evaluation")
def test_what_is_noticed_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = [f"{20 + i},{'Rome' if i % 4 else f'town{i}'},{('no', 'yes')[i % 2]}" for i in range(80)]
    (tmp_path / "shop.csv").write_text("\n".join(["age,town,bought", *rows]), encoding="utf-8")
    (tmp_path / "new.csv").write_text("age,town\n30,Tesla\n40,Rome\n", encoding="utf-8")
    (tmp_path / "shop.py").write_text(EXPERIMENT, encoding="utf-8")
    assert main(["train", "shop.py"]) == 0
    said = "".join(capsys.readouterr())
    assert "3 logits for 2 classes" in said
    (folder,) = (tmp_path / "runs" / "shop").iterdir()
    assert main(["predict", str(folder), "new.csv"]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2
    assert all(part in err for part in ("note: new.csv", "1 of 2 rows", "town", "'Tesla'"))
    assert main(["evaluate", str(folder)]) == 0  # the third class has no name
    out, err = capsys.readouterr()
    assert "accuracy of yes" in out
    assert "12 rows have a town never seen in training ('town" in err
    assert "never seen in training" in (folder / "report.md").read_text(encoding="utf-8")
