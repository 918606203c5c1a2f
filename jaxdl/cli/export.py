"""`export RUN`: write the prediction function of a run as StableHLO and its weights, usable without jaxdl.

RUN/export/
  predict.jax           the function (params, model_state, x) -> outputs, serialised by `jax.export`
  predict.stablehlo     the same as a portable StableHLO module, for other runtimes
  weights.safetensors   params/... and model_state/..., float32
  signature.json        shapes, types, classes, the run, and of a table the names of the numbers in a row: the function takes
                        encoded rows (`jaxdl.load(RUN).experiment.data.as_inputs(frame)` encodes them)
  MANIFEST.json         size and checksum of these files; `load` compares them

The function computes in the precision of the run: with `precision="bfloat16"` it rounds weights and inputs as training does,
and returns float32.

`load(folder)` returns it as a Python function. It needs jax and safetensors only and executes no file of the folder but the
compiled function: the way to use a run of somebody else.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from jaxdl import runtime
from jaxdl.cli.options import read_flags
from jaxdl.experiment import ExperimentError
from jaxdl.pretrained import files
from jaxdl.pretrained.files import read_json, read_tensors, reading
from jaxdl.record.leaves import flatten
from jaxdl.record.manifest import MANIFEST, find_damage, result_file, write_manifest
from jaxdl.runs.members import load as load_run
from jaxdl.runs.run import check_values
from jaxdl.types import UserError

PLATFORMS = ("cpu", "cuda", "tpu")


@dataclass(frozen=True)
class Options:
    """Write the prediction function of a run as StableHLO and its weights as safetensors.

    It executes the copy of the experiment file in the run folder; using the exported files executes no Python file.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """The run folder."""
    out: Path | None = None
    """The folder to make. None: RUN/export."""
    checkpoint: Literal["best", "last"] = "best"
    """Take the weights of the best evaluation or of the last checkpoint."""
    trust: bool = False
    """Use a run folder whose config.json or experiment.py was changed after the run wrote it."""
    device: Literal["cpu", "gpu", "tpu"] | None = None
    """Where to trace."""


def run(args: Sequence[str]) -> int:
    options = read_flags(Options, args, prog="python -m jaxdl export")
    runtime.configure(device=options.device)
    folder = options.out or options.run / "export"
    if folder.exists():
        raise ExperimentError(f"{folder} exists: remove it, or name another folder with --out")
    signature = write(load_run(options.run, options.checkpoint, trust=options.trust), folder)
    rows = "any number of examples" if signature["any_batch"] else f"{signature['input']['shape'][0]} examples"
    print(f"{folder}: {rows} at a time, for {', '.join(signature['platforms'])}")
    return 0


def write(trained: Any, folder: Path) -> dict[str, Any]:
    """Export a `jaxdl.runs.run.Run` into a new folder; returns what signature.json says."""
    exported, any_batch = exported_function(trained)
    params, model_state = jax.device_get(trained.weights)
    weights = flatten({"params": params, "model_state": model_state})
    example, data = exported.in_avals[-1], trained.experiment.data
    signature = {
        "run": str(trained.folder),
        "step": int(trained.state.step),
        "input": {"shape": [str(n) if any_batch and i == 0 else n for i, n in enumerate(example.shape)]},
        "outputs": [[str(a.dtype), [str(n) for n in a.shape]] for a in exported.out_avals],
        "classes": list(data.classes),
        "columns": list(data.columns),
        "any_batch": any_batch,
        "platforms": list(exported.platforms),
        "jax": jax.__version__,
    }
    signature["input"]["dtype"] = str(example.dtype)
    with result_file(folder) as new:
        new.mkdir()
        files.write(new / "weights.safetensors", weights, {"format": "flax"})
        (new / "predict.jax").write_bytes(exported.serialize())
        (new / "predict.stablehlo").write_bytes(exported.mlir_module_serialized)
        (new / "signature.json").write_text(json.dumps(signature, indent=1) + "\n", encoding="utf-8")
        write_manifest(new)
    return signature


def exported_function(trained: Any) -> tuple[jax.export.Exported, bool]:
    """`(params, model_state, x) -> outputs`, for any batch size and all platforms where the model allows that."""
    program, data = trained.program, trained.experiment.data
    if data.merged:
        what = f"{', '.join(data.merged)} of {data.name}"
        raise ExperimentError(
            f"an exported function has 32 bits, which merge values of {what}: subtract a constant first"
        )
    like = data.inputs()

    def predict(params: Any, model_state: Any, x: Any) -> Any:
        batch = {"x": x, "mask": jnp.ones((x.shape[0],), jnp.float32)}
        return program.one_predict(program.knobs, (params, model_state), batch)

    shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), trained.weights)
    problem: Exception | None = None
    for any_batch in (True, False):
        rows = jax.export.symbolic_shape("batch")[0] if any_batch else like.shape[0]
        x = jax.ShapeDtypeStruct((rows, *like.shape[1:]), jax.dtypes.canonicalize_dtype(like.dtype))
        for platforms in (PLATFORMS, None):
            try:
                return jax.export.export(jax.jit(predict), platforms=platforms)(*shapes, x), any_batch
            except Exception as error:  # a model may branch on its batch size, or know one platform only
                problem = problem or error
    line = str(problem).splitlines()[0]
    raise ExperimentError(f"the model of {trained.folder} cannot be exported: {type(problem).__name__}: {line}")


def load(folder: str | Path) -> Callable[[Any], Any]:
    """The exported function of raw inputs, `x -> outputs`, with its weights.

    predict = load("runs/digits_cnn/2026-01-31_12-00-00-s0/export")
    predict(images)["label"]

    Raises UserError where a file is missing or is not the one that `export` wrote, as MANIFEST.json says (exports of earlier
    versions have none and are not checked).
    """
    folder = Path(folder)
    missing = [
        name for name in ("predict.jax", "signature.json", "weights.safetensors") if not (folder / name).is_file()
    ]
    if missing:
        raise UserError(f"{folder} holds no {missing[0]}: make it with export RUN")
    if (folder / MANIFEST).is_file() and (damage := find_damage(folder)):
        raise UserError(f"{folder}: {damage}: export the run again")
    signature = read_json(folder / "signature.json")
    trees: dict[str, Any] = {"params": {}, "model_state": {}}
    for path, array in read_tensors(folder / "weights.safetensors").items():
        *names, last = path.split("/")
        node = trees
        for name in names:
            node = node.setdefault(name, {})
        node[last] = array
    with reading(folder / "predict.jax"):
        exported = jax.export.deserialize(bytearray((folder / "predict.jax").read_bytes()))
    call = jax.jit(exported.call)
    shape, kind = signature["input"]["shape"], np.dtype(signature["input"]["dtype"])

    def predict(x: Any) -> Mapping[str, np.ndarray]:
        x = np.asarray(x)
        if list(x.shape[1:]) != shape[1:] or not (signature["any_batch"] or len(x) == shape[0]):
            columns = "".join(f"; its columns are {', '.join(names)}" for names in [signature.get("columns")] if names)
            raise UserError(f"x has shape {x.shape}, should be ({', '.join(map(str, shape))}){columns}")
        if x.size:
            check_values(x, kind)
        return jax.device_get(call(trees["params"], trees["model_state"], x.astype(kind)))

    return predict
