"""What README and the pages beside it claim and can be run: every row from PyTorch to jaxdl gives the same numbers."""

import re
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import shipped
from jaxdl.runs.claim_page import tally
from jaxdl.runs.claim_pictures import judged
from jaxdl.site.sheet.statements import STATEMENTS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
MEASURED, SPEED, PYTORCH = (
    (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("measured.md", "speed.md", "guides/from-pytorch.md")
)


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading of the guide for people who come from PyTorch."""
    section = PYTORCH.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def code(cell: str) -> str:
    return re.match(r"`([^`]+)`", cell)[1]


LINES = rows("Lines side by side")


@pytest.mark.parity
@pytest.mark.programs(60, "lines as a reader types them: eagerly")
@pytest.mark.parametrize("row", LINES, ids=[code(row[0])[:40] for row in LINES])
def test_a_pytorch_line_and_its_jaxdl_line_give_the_same_numbers(row: list[str]) -> None:
    import torch

    random = np.random.default_rng(0)
    arrays = {
        "logits": random.normal(size=(8, 5)).astype(np.float32),
        "labels": random.integers(0, 5, 8),
        "z": random.normal(size=8).astype(np.float32),
        "t": random.integers(0, 2, 8).astype(np.float32),
        "a": random.normal(size=(8, 3)).astype(np.float32),
        "b": random.normal(size=(8, 3)).astype(np.float32),
        "q": random.normal(size=(2, 4, 6, 8)).astype(np.float32),
        "s": random.normal(size=(2, 5, 3)).astype(np.float32),
        "w": np.float32([1, 2, 3, 4, 5]),
    }
    torch.manual_seed(0)
    lstm = torch.nn.LSTM(3, 4, batch_first=True)
    theirs = eval(code(row[0]), {**torch_names(torch, arrays), "lstm": lstm})
    ours = eval(code(row[1]), {**jaxdl_names(arrays), "lstm": lstm})
    if isinstance(theirs, torch.optim.Optimizer):
        compare_optimizers(torch, theirs, ours)
    elif isinstance(theirs, torch.nn.Module):
        import jax

        shapes = jax.eval_shape(lambda x: ours.init(jax.random.key(0), x, train=False), jnp.zeros((1, 224, 224, 3)))
        count = sum(p.numel() for p in theirs.parameters())
        assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == count == 2_026_442
    else:
        np.testing.assert_allclose(np.asarray(ours), theirs.detach().numpy(), rtol=2e-6, atol=1e-6)


def torch_names(torch, arrays: dict[str, np.ndarray]) -> dict:
    tensors = {name: torch.tensor(value) for name, value in arrays.items()}
    parameter = torch.nn.Parameter(torch.tensor(arrays["a"]))
    return {**tensors, "torch": torch, "nn": torch.nn, "F": torch.nn.functional, "params": [parameter]}


def jaxdl_names(arrays: dict[str, np.ndarray]) -> dict:
    from jaxdl import activations, layers, optim
    from jaxdl.layers import attention, recurrent, recurrent_weights
    from jaxdl.losses import classification, regression
    from jaxdl.models.cnn import CNN

    modules = (activations, layers, attention, recurrent, recurrent_weights, classification, regression, optim)
    names = {name: value for module in modules for name, value in vars(module).items() if not name.startswith("_")}
    return {**names, "CNN": CNN, **{name: jnp.asarray(value) for name, value in arrays.items()}}


def compare_optimizers(torch, theirs, ours) -> None:
    import optax

    parameter = theirs.param_groups[0]["params"][0]
    params = {"kernel": jnp.asarray(parameter.detach().numpy())}
    state = ours.init(params)
    for step in range(10):
        gradient = np.sin(np.arange(24, dtype=np.float32) + step).reshape(8, 3)
        parameter.grad = torch.tensor(gradient)
        theirs.step()
        updates, state = ours.update({"kernel": jnp.asarray(gradient)}, state, params)
        params = optax.apply_updates(params, updates)
    np.testing.assert_allclose(params["kernel"], parameter.detach().numpy(), rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize(
    "page", ["README.md", "docs/measured.md", "docs/speed.md", "notebooks/README.md", "CONTRIBUTING.md"]
)
def test_every_link_of_a_page_leads_to_a_file(page: str) -> None:
    linked = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / page).read_text(encoding="utf-8"))
    assert linked
    assert [path for path in linked if not (ROOT / page).parent.joinpath(path).exists()] == []


def test_the_readme_is_one_screen_of_pictures_and_links() -> None:
    assert len(README.splitlines()) <= 150
    for name in re.findall(r'(?:src|srcset)="([^"]+)"', README):
        assert (ROOT / name).stat().st_size < 300_000


@pytest.mark.slow
@pytest.mark.programs(200, "facts are computed eagerly")
def test_the_readme_counts_the_verdicts() -> None:
    found = judged(ROOT / "results" / "claims")
    assert {int(one.decision.number[1:]) for one in found} == {*STATEMENTS}
    assert f"| {tally([one.decision for one in found])} |" in README


def test_the_table_of_experiments_is_complete() -> None:
    files = {str(path.relative_to(ROOT)) for path in shipped.files(ROOT / "experiments")}
    assert files == {name for name in files if f"](../{name})" in MEASURED}


def test_the_lines_on_own_data_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each makes a data set of the rows that it is given, in batches of 32."""
    from PIL import Image

    section = README.split("## Your own\n", 1)[1].split("\n## ", 1)[0]
    block = re.search(r"```python\n(.*?)```", section, re.S)[1]
    random = np.random.default_rng(0)
    rows = [{"age": float(n), "bought": ("no", "yes")[n % 2]} for n in range(100)]
    (tmp_path / "customers.csv").write_text(
        "\n".join(["age,bought", *(f"{row['age']},{row['bought']}" for row in rows)]), encoding="utf-8"
    )
    for n in range(60):
        file = tmp_path / "photos" / ("cat", "dog")[n % 2] / f"{n}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8)).save(file)
    x, y = random.normal(size=(40, 3)).astype(np.float32), np.arange(40) % 2
    names = {"frame": rows, "x": x, "y": y, "x2": x, "y2": y}
    monkeypatch.chdir(tmp_path)
    imports, _, lines = block.partition("\n\n")
    exec(imports, names)
    sizes = []
    for line in lines.strip().splitlines():
        exec(line, names)
        sizes.append(sum(len(split["y"]) for split in names["data"].splits.values()))
        assert names["data"].batch == 32
    assert sizes == [100, 60, 100, 80]


def test_the_table_of_speed_is_that_of_the_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines between the marks are made from results/benchmarks; a file's ratios are its own seconds' quotients."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    benchmarks = __import__("all")
    files = benchmarks.stored()
    assert benchmarks.with_table(SPEED, benchmarks.table(files)) == SPEED
    for one in files:
        for row in one["cases"].values():
            assert row["lower"] <= row["ratio"] <= row["upper"]
            assert row["rounds"] >= 3
