"""Writes the run folders of tests/test_museum.py as the code of today writes them: `python tests/museum/write.py`.

Every change of what a run folder holds (`format` in config.json) adds one set, format-<n>/, before the change; the sets that
are there stay as they are. A set holds small runs, what they evaluate and predict to (expected.json), the state that the paused
run ends in (paused-end.npz), and what wrote it (stamp.json). The script proves that the paused run, resumed, ends in the same
bits as one that was never paused.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ.setdefault("MPLBACKEND", "Agg")

import jax
import numpy as np

from jaxdl import load, sweep, train
from jaxdl.engine.loop import Limits
from jaxdl.experiment import load_config
from jaxdl.pretrained import folder as weights_folder
from jaxdl.record.leaves import digest, flatten
from jaxdl.record.manifest import write_manifest
from jaxdl.record.run import PACKAGES, environment
from jaxdl.runs.run import Run

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LARGE = ("plots", "samples", "tensorboard", "profile")
PAUSED_AT = 20


def asked(run: Run) -> dict:
    """What a loaded run evaluates and predicts to."""
    x = run.experiment.data.splits["validation"]["x"][:3]
    outputs = {name: np.asarray(value).tolist() for name, value in run.predict(x).items()}
    splits = [split for split in run.experiment.data.splits if split != "train"]
    return {
        "metrics": {split: run.evaluate(split).metrics for split in splits},
        "inputs": x.tolist(),
        "outputs": outputs,
    }


def imported(target: Path) -> None:
    """A GPT-2 of one block with the names that Hugging Face gives its tensors, imported from such a file."""
    language = load_config(HERE / "language.py")
    model = language().task.model
    variables = model.init(jax.random.key(1), np.zeros((1, 2), np.int32), train=False)
    made = target.with_name("huggingface")
    made.mkdir()
    weights_folder.save_torch(model, variables, made / "model.safetensors", naming="huggingface gpt2")
    sizes = {"n_embd": 8, "n_layer": 1, "n_head": 2, "n_inner": 16, "n_positions": 16}
    sizes |= {"model_type": "gpt2", "vocab_size": language().data.tokenizer.size}
    (made / "config.json").write_text(json.dumps(sizes), encoding="utf-8")
    weights_folder.import_weights("gpt2", made, target)
    shutil.rmtree(made)


def named(made: Path, name: str) -> Path:
    """The run folder under a name without date, pruned of what is large."""
    for part in LARGE:
        shutil.rmtree(made / part, ignore_errors=True)
    for left in (".lock", "report.md"):  # the report shows pictures that are not kept
        (made / left).unlink()
    return made.rename(made.parents[2] / name)


def without_paths(target: Path) -> None:
    """Absolute paths become relative to the repository, and how this script was called is left out."""
    for path in target.rglob("env.json"):
        env = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(
            json.dumps({**env, "command": "write.py", "platform": platform.machine()}, indent=2) + "\n",
            encoding="utf-8",
        )
    for pattern in ("*.json", "*.jsonl", "*.csv", "commit_success.txt"):
        for path in target.rglob(pattern):
            path.write_text(
                path.read_text(encoding="utf-8").replace(f"{target}/", "").replace(f"{ROOT}/", ""), encoding="utf-8"
            )
    for manifest in target.rglob("MANIFEST.json"):
        write_manifest(manifest.parent)


def processor() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text(encoding="utf-8")) if info.is_file() else None
    return found.group(1) if found else platform.processor()


def stamp() -> dict:
    versions = environment()["versions"]
    commit = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True
    ).stdout.strip()
    return {
        "versions": {name: versions[name] for name in ("python", *PACKAGES)},
        "machine": platform.machine(),
        "processor": processor(),
        "flags": os.environ.get("XLA_FLAGS", ""),
        "commit": commit,
    }


def write(target: Path) -> None:
    target.mkdir()
    mlp, language, gan = (load_config(HERE / f"{name}.py") for name in ("mlp", "language", "gan"))
    options = {"run": target / "runs", "quiet": True}
    stopped = named(train(mlp, lr=0.3, steps=100, patience=1, **options).folder, "mlp")
    swept = sweep(mlp, {"lr": (0.02, 0.05), "seed": (0, 1)}, steps=10, **options)
    swept = named(swept.folder, "sweep")
    unbroken = {"lr": 0.003, "steps": 30, "patience": 100}
    paused = train(mlp, limits=Limits(stop_at=PAUSED_AT), **unbroken, **options)
    paused = named(paused.folder, "paused")
    talker = named(train(language, **options).folder, "language")
    players = named(train(gan, **options).folder, "gan")
    imported(target / "weights")
    os.chdir(target)
    tuned = named(train(language, weights="weights", **options).folder, "finetuned")

    whole = train(mlp, **unbroken, **options)
    again = shutil.copytree(paused, target / "again")
    resumed = train(mlp, resume=again, quiet=True)
    same = digest(whole.state) == digest(resumed.state)
    print(f"unbroken {digest(whole.state)}, paused at {PAUSED_AT} and resumed {digest(resumed.state)}: equal: {same}")
    assert same
    end = {
        name: a for name, a in flatten(resumed.state).items() if name.split("/")[0] in ("params", "model_state", "ema")
    }
    np.savez_compressed(target / "paused-end.npz", **{name: np.asarray(a) for name, a in end.items()})
    shutil.rmtree(again)
    shutil.rmtree(target / "runs")

    expected = {
        f"{run.name} {checkpoint}": asked(load(run, checkpoint))
        for run in (stopped, paused, talker, players, tuned)
        for checkpoint in ("best", "last")
    }
    expected |= {f"sweep {member}": asked(load(swept, member=member)) for member in range(4)}
    expected["paused end"] = asked(resumed)
    gpt2 = weights_folder.open_weights(target / "weights")
    tokens = [[1, 2, 3, 4, 5]]
    logits = gpt2.model.apply(gpt2.weights.variables, np.asarray(tokens, np.int32), train=False)
    expected["weights"] = {"inputs": tokens, "outputs": np.asarray(logits).tolist()}
    (target / "expected.json").write_text(json.dumps(expected) + "\n", encoding="utf-8")
    without_paths(target)
    (target / "stamp.json").write_text(json.dumps(stamp(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]).resolve())
