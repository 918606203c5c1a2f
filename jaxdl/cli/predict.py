"""`predict RUN|WEIGHTS FILE...`: predictions of a run, or of imported weights, for files."""

import json
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from jaxdl import runtime
from jaxdl.cli.export import load as exported_function
from jaxdl.cli.options import TrainedOptions, read_flags
from jaxdl.data import files
from jaxdl.data.image.reader import suffixes
from jaxdl.data.text.parallel import read_sentences
from jaxdl.data.walker import list_files
from jaxdl.experiment import ExperimentError
from jaxdl.models.transformer import Encoder, EncoderDecoder
from jaxdl.models.transformer_heads import PooledEncoder
from jaxdl.pretrained.files import read_json
from jaxdl.pretrained.folder import open_weights
from jaxdl.runs.run import as_rows
from jaxdl.types import UserError

MOST_COMPARED = 10
"""Number of embeddings up to which every pair is compared."""


@dataclass(frozen=True, kw_only=True)
class Options(TrainedOptions):
    """Predict for files: images (png, jpg, ...), sounds (wav, flac), arrays (npy; npz with an `x`), tables (csv), texts (txt).

    It executes the copy of the experiment file in the run folder: for a run of somebody else, give the folder that
    `python -m jaxdl export` made of it, from which no Python file is executed.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """The run folder, or a folder made by import-weights or by export."""
    files: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FILE ...")]
    """One or more files, or folders of images."""
    top: int = 5
    """Number of classes to show, the most probable first."""
    beam: int | None = None
    """Search an answer with this many beams, for imported weights that translate. None: the likeliest token each time."""
    json: bool = False
    """Print one JSON object per line instead of text."""


def run(args: Sequence[str]) -> int:
    options = read_flags(Options, args, prog="python -m jaxdl predict")
    if not options.files:
        raise ExperimentError("predict needs at least one file")
    options = replace(options, files=tuple(chain.from_iterable(map(listed, options.files))))
    if options.top < 1:
        raise ExperimentError(f"--top {options.top}: must be 1 or more")
    if options.beam is not None and options.beam < 1:
        raise ExperimentError(f"--beam {options.beam}: must be 1 or more")
    runtime.configure(device=options.device)
    if (options.run / "weights.json").is_file():
        return by_weights(options)
    if (options.run / "signature.json").is_file():
        return by_export(options)

    try:
        trained = options.load()
    except ValueError as error:
        raise UserError(f"{error}{instead(options.run)}" if "is not a run folder" in str(error) else error) from None
    data, embedded = trained.experiment.data, {}
    for file in options.files:
        x = read(file, data)
        try:
            outputs = trained.predict(x)
        except ValueError as error:
            raise UserError(f"{file}: {error}") from None
        texts = data.decode(outputs).get("text") if isinstance(outputs, dict) else None
        for row, (name, one) in enumerate(each_row(file, outputs, len(x))):
            if "embedding" in one:
                embedded[name] = one["embedding"]
            if texts is not None:  # the answer is a text: a transcript, a translation
                print(json.dumps({"file": name, "text": texts[row]}) if options.json else f"{name}: {texts[row]}")
                continue
            print((as_json if options.json else as_text)(name, one, data.classes, options.top))
    for line in similarities(embedded, as_json=options.json):
        print(line)
    return 0


def listed(path: Path) -> list[Path]:
    """The file itself, or the images in a folder and below it."""
    if path.is_dir():
        found = list_files(path, suffixes()).files
        if not found:
            raise UserError(f"the folder {path} holds no images: name the files to predict for")
        return [Path(file) for file in found]
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    return [path]


def similarities(embedded: dict[str, np.ndarray], *, as_json: bool) -> Iterator[str]:
    """The cosine of each pair of embeddings (1 is the same direction), as lines of text or JSON.

    >>> list(similarities({"a.png": np.array([2.0, 0.0]), "b.png": np.array([1.0, 1.0])}, as_json=False))
    ['a.png  b.png: similarity 0.707']
    """
    for (one, e), (other, f) in combinations(list(embedded.items())[:MOST_COMPARED], 2):
        cosine = float(e @ f / max(float(np.linalg.norm(e) * np.linalg.norm(f)), 1e-12))
        line = {"files": [one, other], "similarity": round(cosine, 6)}
        yield json.dumps(line) if as_json else f"{one}  {other}: similarity {cosine:.3f}"


def by_weights(options: Options) -> int:
    """Predict for images or lines of text with imported weights, prepared as the weights need it."""
    weights = open_weights(options.run)
    classes, embedded = weights.weights.labels or (), {}
    answers = isinstance(weights.model, EncoderDecoder)
    if options.beam is not None and not answers:
        raise ExperimentError(f"--beam is for models that answer with a text; {weights.name} does not")
    for file in options.files:
        inputs = text_lines(file, weights.name) if weights.reads_texts else [file]
        try:
            if answers:
                for row, text in enumerate(weights.text.answers(inputs, beams=options.beam)):
                    print(
                        json.dumps({"file": f"{file}[{row}]", "text": text})
                        if options.json
                        else f"{file}[{row}]: {text}"
                    )
                continue
            if weights.headless or isinstance(weights.model, Encoder | PooledEncoder):
                outputs = {"embedding": weights.features(inputs)}
            else:
                probability = weights.predict(inputs)
                outputs = {"label": probability.argmax(-1), "probability": probability}
        except UserError as error:
            raise UserError(f"{file}: {error}") from None
        for name, one in each_row(file, outputs, len(inputs)):
            if "embedding" in one:
                embedded[name] = one["embedding"]
            print((as_json if options.json else as_text)(name, one, classes, options.top))
    for line in similarities(embedded, as_json=options.json):
        print(line)
    return 0


def text_lines(file: Path, name: str) -> list[str]:
    """The lines of a text file."""
    if file.suffix != ".txt":
        raise UserError(f"{file}: {name} reads texts, one a line of a .txt file")
    return read_sentences(file)


def by_export(options: Options) -> int:
    """Predict for arrays and images with the function that `export` wrote, which executes no Python file."""
    predict, signature = exported_function(options.run), read_json(options.run / "signature.json")
    shape, classes = signature["input"]["shape"], signature["classes"]
    for file in options.files:
        if file.suffix == ".npz":
            x = npz_inputs(file)
        elif file.suffix == ".npy":
            x = np.asarray(files.read_npy(file))
        elif len(shape) == 4 and shape[-1] in (1, 3) and signature["input"]["dtype"] == "uint8":
            x = files.read_image(file, size=(shape[1], shape[2]), channels=shape[-1])
        else:
            raise UserError(f"{file}: {options.run} takes npy or npz files of shape ({', '.join(map(str, shape))})")
        x = x[None] if x.ndim == len(shape) - 1 else x
        try:
            outputs = predict(x)
        except ValueError as error:
            raise UserError(f"{file}: {error}") from None
        for name, one in each_row(file, outputs, len(x)):
            print((as_json if options.json else as_text)(name, one, classes, options.top))
    return 0


def each_row(file: Path, outputs: Any, rows: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """The name and the outputs of each example of a file."""
    for row in range(rows):
        one = {k: v[row] for k, v in outputs.items()} if isinstance(outputs, Mapping) else {"value": outputs[row]}
        yield f"{file}" if rows == 1 else f"{file}[{row}]", one


def instead(path: Path) -> str:
    """A hint for a path that is not a run folder."""
    if path.is_file():
        return f"; weights are imported first: python -m jaxdl import-weights NAME {path} -o DIR"
    return ", and it does not hold imported weights (no weights.json)" if path.is_dir() else ""


def read(file: Path, data: Any) -> np.ndarray:
    """The inputs in a file, `(n, ...)`: an npz with an array `x`, an npy, or what the data set of the run reads."""
    if file.suffix == ".npz":
        x = npz_inputs(file)
    else:
        with warnings.catch_warnings(record=True) as notes:
            warnings.simplefilter("always", UserWarning)
            x = data.read(file)["x"]
        for note in notes:
            print(f"note: {note.message}", file=sys.stderr)
    return as_rows(data.as_inputs(x), data.inputs())[0]


def npz_inputs(file: Path) -> np.ndarray:
    """The array `x` of an npz file."""
    arrays = files.read_npz(file)
    if "x" not in arrays:
        raise UserError(f"{file}: has no array 'x'; it has {', '.join(arrays)}")
    return arrays["x"]


def as_json(name: str, one: dict[str, Any], classes: Sequence[str], top: int) -> str:
    plain = {key: np.asarray(value).tolist() for key, value in one.items()}
    if np.ndim(one.get("probability", 0.0)) == 1:
        plain["top"] = [[label, round(p, 6)] for label, p in ranked(one["probability"], classes, top)]
    return json.dumps({"file": name, **plain})


def as_text(name: str, one: dict[str, Any], classes: Sequence[str], top: int) -> str:
    """One prediction as a line of text.

    >>> as_text("one.png", {"label": np.array([[0, 0], [0, 1]])}, ("ground", "cat"), 5)
    'one.png: ground 0.750  cat 0.250'
    >>> as_text("t.csv", {"value": np.float64(1600005254.25)}, (), 5)
    't.csv: value 1600005254.25'
    """
    if np.ndim(one.get("probability", 0.0)) == 1:
        return f"{name}: " + "  ".join(f"{label} {p:.3f}" for label, p in ranked(one["probability"], classes, top))
    if np.ndim(label := one.get("label", 0)) == 2:  # a label map: the share of each class among its pixels
        share = np.bincount(np.ravel(label)) / np.size(label)
        return f"{name}: " + "  ".join(f"{label} {p:.3f}" for label, p in ranked(share, classes, top) if p > 0)
    return f"{name}: " + "  ".join(
        f"{key} {np.array2string(np.asarray(value), precision=5, threshold=8, edgeitems=3)}"
        if key == "embedding"
        else f"{key} {value:.12g}"
        if np.ndim(value) == 0 and np.asarray(value).dtype == np.float64  # in a unit that needs its digits
        else f"{key} {np.array2string(np.asarray(value), precision=5)}"
        for key, value in one.items()
    )


def ranked(probability: np.ndarray, classes: Sequence[str], top: int) -> list[tuple[str, float]]:
    order = np.argsort(-probability)[:top]
    return [(classes[i] if i < len(classes) else str(i), float(probability[i])) for i in order]
