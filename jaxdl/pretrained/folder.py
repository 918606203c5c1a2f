"""Load a weight file into a model; import weights into a folder that describes them."""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.counts import check_counts, unknown_model
from jaxdl.models.catalog import MODELS
from jaxdl.pretrained import files, sizes
from jaxdl.pretrained.architectures import described_beside, name_beside
from jaxdl.pretrained.families import READS_TOKENS, image_of, inputs_of, names_of, optional_parts, shapes_of
from jaxdl.pretrained.imported import Imported, Weights
from jaxdl.pretrained.mapping import NameTable, leaves_by_path, to_tensors, unflat, variables_of
from jaxdl.pretrained.preprocess import Preprocess, beside, labels_beside, usual
from jaxdl.pretrained.text_settings import TextSettings, text_settings_beside
from jaxdl.types import UserError

TENSORS, TOKENIZER, DESCRIPTION = "weights.safetensors", "tokenizer.json", "weights.json"


def load_weights(
    model: Any,
    path: str | Path,
    *,
    name: str | None = None,
    image: Sequence[int] | None = None,
    naming: str | None = None,
    fresh: Sequence[str] = (),
    ignore: Sequence[str] = (),
    optional: Sequence[str] = (),
    key: Any = None,
    preprocess: Preprocess | None = None,
) -> Weights:
    """Load a safetensors or PyTorch file as variables of `model`.

    Args:
        model: a model of `jaxdl.models`, e.g. `MODELS["resnet50"].build()`.
        path: the file, or a folder of the Hugging Face hub.
        name: name of the model in the catalog; it gives the usual preprocessing if no file beside the weights does.
        image: (height, width, channels) of the model's images; by default 224x224 colour (299x299 for Inception v3).
        naming: "torchvision", "timm" or "huggingface"; by default the one that fits best.
        fresh: patterns of paths of the model that are initialised from `key` instead, e.g. `("head/.*",)` for other classes.
        ignore: patterns of unexpected tensors that are allowed, e.g. `("aux.*",)` for a GoogLeNet without its auxiliary heads.
        optional: patterns of paths of the model that the file may lack together, e.g. `("head/.*",)`; they are left out.
        key: of the initialisation of `fresh` parts.
        preprocess: preprocessing of images; by default from the files beside the weights, else the usual one.

    Raises UserError that lists every missing, unexpected or wrongly shaped tensor; then nothing is loaded.
    """
    shapes = shapes_of(model, image)
    tensors = files.read_tensors(path)
    how = {"naming": naming, "fresh": fresh, "ignore": ignore, "optional": optional}
    loaded = variables_of(shapes, tensors, names_of(model, shapes), **how)
    variables = jax.tree.map(jnp.asarray, loaded.variables)
    there = {"/".join(k) for k in leaves_by_path(variables)} | {*loaded.absent}
    new = {k: v for k, v in leaves_by_path(shapes).items() if "/".join(k) not in there}
    if new:
        variables = unflat(
            {**leaves_by_path(variables), **_fresh(model, image, jax.random.key(0) if key is None else key, new)}
        )
    if type(model) not in READS_TOKENS:
        preprocess = preprocess or beside(path) or usual(name, loaded.naming, (image or image_of(model))[0])
    labels = None if loaded.absent else labels_beside(path)
    return Weights(variables, loaded.naming, preprocess, labels, loaded.absent, loaded.ignored)


def _fresh(model: Any, image: Sequence[int] | None, key: Any, wanted: Mapping[tuple[str, str], Any]) -> dict:
    inputs = [jnp.zeros(x.shape, x.dtype) for x in inputs_of(model, image)]

    @jax.jit  # under jit only the wanted leaves are computed, so the model does not run
    def init(key: Any) -> dict:
        made = leaves_by_path(model.init(key, *inputs, train=False))
        return {k: made[k] for k in wanted}

    return init(key)


def save_torch(
    model: Any, variables: Mapping[str, Any], path: str | Path, *, naming: str, image: Sequence[int] | None = None
) -> None:
    """Write variables as a safetensors file with PyTorch names."""
    names = names_of(model, shapes_of(model, image))
    if naming not in names:
        raise UserError(f"naming={naming!r}: this model has {', '.join(names)}")
    rules = names[naming]
    extras = rules.extras if isinstance(rules, NameTable) else ()  # PyTorch computes tied and fixed tensors itself
    files.write(path, {n: a for n, a in to_tensors(variables, rules).items() if n not in extras})


# -- folders ----------------------------------------------------------------------------------------------------------


def import_weights(
    name: str | None,
    path: str | Path,
    out: str | Path,
    *,
    naming: str | None = None,
    ignore: Sequence[str] = (),
    labels: Sequence[str] | None = None,
    preprocess: Mapping[str, Any] | None = None,
    **options: Any,
) -> Imported:
    """Read weights of the catalog's model `name` and write them to the folder `out`, with everything needed to use them.

    Without a name (None) `config.json` beside the weights says which model it is.

    `options` are arguments of the model (numbers and texts such as `classes=10`, `padding="same"`, and `eps`, that of all
    norms). Where they are not given, `config.json` beside the weights decides. `preprocess` holds entries of `Preprocess` that
    are other than the files say, such as `{"crop": 240}`. The folder holds `weights.safetensors`, with paths of the model as
    names, `weights.json`, and `tokenizer.json` if there was one beside the weights. Weights without a head (a backbone) are
    imported without one. Raises UserError for an unknown name and for weights that do not fit.
    """
    if name is None:
        name = name_beside(path)
    if name not in MODELS:
        raise UserError(f"{unknown_model(name, MODELS)}{described_beside(path)}")
    options = storable({**sizes.options_beside(path, name), **options})
    model, out = MODELS[name].configured(**options), Path(out)
    how = {"naming": naming, "ignore": ignore, "optional": optional_parts(model)}
    weights = load_weights(model, path, name=name, **how)
    if preprocess:
        weights = replace(weights, preprocess=adjusted(weights.preprocess, preprocess, name))
    settings = text_settings_beside(path) if weights.preprocess is None else None
    if labels:
        weights = replace(weights, labels=tuple(labels))
    out.mkdir(parents=True, exist_ok=True)
    arrays = {
        f"{collection}/{path}": np.asarray(a) for (collection, path), a in leaves_by_path(weights.variables).items()
    }
    files.write(out / TENSORS, arrays, {"format": "flax"})
    record = {
        "name": name,
        "options": options,
        "naming": weights.naming,
        "preprocess": weights.preprocess and weights.preprocess.to_json(),
        "labels": weights.labels,
        "text": settings and settings.to_json(),
        "absent": weights.absent,
        "source": {"file": Path(path).name, "sha256": file_digest(Path(path)) if Path(path).is_file() else None},
    }
    tokenizer = (Path(path) if Path(path).is_dir() else Path(path).parent) / TOKENIZER
    if weights.preprocess is None and tokenizer.is_file():
        files.read_json(tokenizer)
        shutil.copyfile(tokenizer, out / TOKENIZER)
    digests = {name: file_digest(out / name) for name in (TENSORS, TOKENIZER) if (out / name).is_file()}
    record["sha256"] = {**digests, DESCRIPTION: description_digest(record)}
    (out / DESCRIPTION).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return Imported(name, model, weights, options, tokenizer_in(out), settings)


def adjusted(preprocess: Preprocess | None, values: Mapping[str, Any], name: str) -> Preprocess:
    """The preprocessing with some entries of another value."""
    if preprocess is None:
        raise UserError(f"{', '.join(values)}: {name} reads texts, not images")
    if unknown := sorted(values.keys() - asdict(preprocess).keys()):
        raise UserError(f"{unknown[0]} is no entry of the preprocessing: it has {', '.join(asdict(preprocess))}")
    check_counts(**{key: values[key] for key in ("resize", "crop") if key in values})
    new = replace(preprocess, **{key: tuple(v) if isinstance(v, list | tuple) else v for key, v in values.items()})
    if len(new.mean) not in (1, 3) or len(new.mean) != len(new.std) or not all(s > 0 for s in new.std):
        raise UserError(f"mean {new.mean} and std {new.std}: take one number for each of 1 or 3 channels, std above 0")
    return new


def storable(options: dict[str, Any]) -> dict[str, Any]:
    """The options, if `weights.json` can hold them."""
    try:
        return json.loads(json.dumps(options))
    except TypeError as error:
        raise UserError(f"options of imported weights are numbers, texts and lists of them: {error}") from None


def tokenizer_in(folder: Path) -> Path | None:
    return folder / TOKENIZER if (folder / TOKENIZER).is_file() else None


def open_weights(folder: str | Path) -> Imported:
    """Open a folder that `import_weights` wrote.

    Raises UserError for other folders, if the SHA-256 of a file is not the one in `weights.json` (folders of earlier versions
    have none and are not checked), and if the tensors do not fit the model.
    """
    folder = Path(folder)
    file = folder / DESCRIPTION
    if not file.is_file():
        raise UserError(f"{folder} holds no {DESCRIPTION}: make it with import-weights")
    record = files.read_json(file)
    with files.reading(file):
        model = MODELS[record["name"]].configured(**record["options"])
        labels = tuple(record["labels"]) if record["labels"] else None
        preprocess = record["preprocess"] and Preprocess.from_json(record["preprocess"])
        settings = TextSettings.from_json(record["text"]) if record.get("text") else None
        naming, digests, absent = record["naming"], dict(record.get("sha256", {})), tuple(record.get("absent", ()))
    for name, digest in digests.items():
        if name == DESCRIPTION:
            changed = description_digest(record) != digest
        else:
            changed = (folder / name).is_file() and file_digest(folder / name) != digest
        if changed:
            raise UserError(f"{folder / name} is not the file that import-weights wrote: import the weights again")
    arrays = files.read_tensors(folder / TENSORS)
    with files.reading(file):
        shapes = {"/".join(key): tuple(spec.shape) for key, spec in leaves_by_path(shapes_of(model)).items()}
        wanted = {name: shape for name, shape in shapes.items() if name not in absent}
    wrong = sorted(n for n in {*arrays, *wanted} if n not in arrays or n not in wanted or arrays[n].shape != wanted[n])
    if wrong:
        raise UserError(f"{folder}: {', '.join(wrong)} do not fit {record['name']}")
    variables = unflat({tuple(name.split("/", 1)): jnp.asarray(a) for name, a in arrays.items()})
    weights = Weights(variables, naming, preprocess, labels, absent)
    return Imported(record["name"], model, weights, record["options"], tokenizer_in(folder), settings)


def description_digest(record: Mapping[str, Any]) -> str:
    """SHA-256 of all that `weights.json` says but the digests themselves."""
    kept = {name: value for name, value in record.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
