"""`generate RUN --prompt "..."`: text of a trained or imported language model; examples of a GAN or a VAE."""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from jaxdl import runtime
from jaxdl.cli.generate_examples import make
from jaxdl.cli.options import TrainedOptions, read_flags
from jaxdl.data.text.tokenizers import HuggingFace, named
from jaxdl.decode import beam_search, greedy, recompute, sample, step_of
from jaxdl.decode.generate import Step
from jaxdl.decode.stream import stream
from jaxdl.experiment import ExperimentError
from jaxdl.models.seq2seq import Seq2Seq
from jaxdl.models.transformer import Decoder, EncoderDecoder
from jaxdl.pretrained.folder import open_weights
from jaxdl.tasks.language import MaskedToken, NextToken


@dataclass(frozen=True, kw_only=True)
class Writer:
    """A language model as decoding takes it: its step function, first cache, parameters and tokenizer."""

    step: Step
    start: Callable[[int, int], Any]
    params: Any
    tokenizer: Any
    limit: int | None
    """Number of positions of the model; None: no limit."""


@dataclass(frozen=True, kw_only=True)
class Options(TrainedOptions):
    """Continue a prompt with a language model, or draw examples from a GAN or a VAE.

    It executes the copy of the experiment file in the run folder: for a run of somebody else, use its exported function
    (`python -m jaxdl export`), which executes no Python file.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """The run folder, or a folder of imported GPT-2 weights with their tokenizer.json."""
    prompt: str = ""
    """Beginning of the text; empty: a new line."""
    steps: int = 300
    """Number of tokens to generate."""
    temperature: float = 0.8
    """Sampling temperature: 0 always takes the most probable token, 1 samples from the model's distribution."""
    top_k: int | None = None
    """Sample from this many most probable tokens only."""
    top_p: float | None = None
    """Sample from the smallest set of tokens with this total probability (nucleus sampling)."""
    beam: int | None = None
    """Use beam search with this many beams instead of sampling; the text is printed when it is complete."""
    seed: int = 0
    """Seed of the sampling."""
    samples: int | None = None
    """Number of texts (None: 1) or of examples (None: 64)."""
    label: str | None = None
    """Class of the examples, by name or number, if the model is conditional. None: all classes in turn."""
    out: Path | None = None
    """File for the examples, .png or .npy. None: a new file in the run folder."""


def run(args: Sequence[str]) -> int:
    options = read_flags(Options, args, prog="python -m jaxdl generate")
    check(options)
    runtime.configure(device=options.device)
    if (options.run / "weights.json").is_file():
        return write(imported(options.run), options)

    trained = options.load()
    if trained.experiment.task.generative:
        made = make(trained, options.samples or 64, label=options.label, seed=options.seed, path=options.out)
        print(f"{options.samples or 64} examples: {made}")
        return 0
    return write(writer(trained, options.run), options)


def write(model: Writer, options: Options) -> int:
    """Print the prompt and its continuations."""
    if options.label is not None or options.out is not None:
        raise ExperimentError("--label and --out are for runs that make examples (a GAN, a VAE); this one writes text")
    samples = options.samples or 1
    prompt, limit = encoded(options.prompt, model.tokenizer), model.limit
    if limit is not None and len(prompt) + options.steps > limit:
        known = f"the model has {limit} positions"
        if options.beam is not None:
            raise ExperimentError(
                f"{known}, too few for {len(prompt)} tokens of the prompt and --steps {options.steps}"
            )
        print(f"note: {known}; past them it starts again from the last {limit // 2} tokens", file=sys.stderr)
    rows = np.tile(prompt, (samples, 1))
    if options.beam is not None:
        texts = searched(model, rows[:1], options)
        print("\n---\n".join(options.prompt + text for text in texts))
        return 0
    pieces = written(model, rows, options)
    if samples == 1:
        sys.stdout.write(options.prompt)
        for piece in as_text((p[0] for p in pieces), model.tokenizer):
            sys.stdout.write(piece)
            sys.stdout.flush()
        print()
    else:
        tokens = np.concatenate(list(pieces), 1)
        print("\n---\n".join(options.prompt + "".join(as_text([row], model.tokenizer)) for row in tokens))
    return 0


def check(options: Options) -> None:
    """Refuse flags that are out of range, before anything is loaded."""
    for name, least in (("steps", 1), ("samples", 1), ("beam", 1), ("top_k", 1)):
        value = getattr(options, name)
        if value is not None and value < least:
            raise ExperimentError(f"--{name.replace('_', '-')} {value} must be {least} or more")
    if options.temperature < 0:
        raise ExperimentError(f"--temperature {options.temperature} must be 0 or more")
    if options.top_p is not None and not 0 < options.top_p <= 1:
        raise ExperimentError(f"--top-p {options.top_p} must be above 0 and at most 1")
    if options.beam is not None and options.samples is not None and options.samples > options.beam:
        raise ExperimentError(
            f"--samples {options.samples} must be at most --beam {options.beam}, the number of texts that are searched"
        )
    if not 0 <= options.seed < 2**31:
        raise ExperimentError(f"--seed {options.seed} must be between 0 and {2**31 - 1}")


def imported(folder: Path) -> Writer:
    """The language model of imported weights."""
    found = open_weights(folder)
    if not isinstance(found.model, Decoder):
        raise ExperimentError(f"{folder} holds {found.name}, which is not a language model with a decoder only")
    if found.tokenizer is None:
        raise ExperimentError(f"{folder} has no tokenizer.json: copy the tokenizer.json of these weights into it")
    tokenizer = HuggingFace(found.tokenizer.read_text(encoding="utf-8"))
    return with_cache(found.model, found.weights.variables["params"], tokenizer)


def with_cache(model: Any, params: Any, tokenizer: Any) -> Writer:
    """A model that has the methods `start` and `step`."""
    position = getattr(getattr(model, "config", None), "position", None)
    limit = getattr(position(), "length", None) if position is not None else None
    return Writer(step=step_of(model), start=model.start, params=params, tokenizer=tokenizer, limit=limit)


def writer(trained: Any, run: Path) -> Writer:
    """The language model of a run; ExperimentError if it has none."""
    task, data = trained.experiment.task, trained.experiment.data
    model, tokenizer = task.network, data.tokenizers.get("tokenizer")
    if isinstance(model, (EncoderDecoder, Seq2Seq)):
        raise ExperimentError(
            f"{run} translates and cannot continue a text: use python -m jaxdl predict {run} file.txt"
        )
    writes = isinstance(task, NextToken) and not isinstance(task, MaskedToken)
    if not writes or tokenizer is None:
        why = "its data have no tokenizer" if writes else f"its task is {type(task).__name__}, not NextToken"
        raise ExperimentError(f"{run} is not a language model: {why}, so it cannot generate text")
    if hasattr(model, "start") and hasattr(model, "step"):
        plain = model.clone(stateful=False) if getattr(model, "stateful", False) else model
        return with_cache(plain, trained.weights[0], tokenizer)
    return without_cache(trained, tokenizer, run)


def without_cache(trained: Any, tokenizer: Any, run: Path) -> Writer:
    """A model of the user's own, which gives logits: it reads a window as long as those of its training anew for each token."""
    import jax
    import jax.numpy as jnp

    task, (params, model_state) = trained.experiment.task, trained.weights
    if "carry" in model_state:
        raise ExperimentError(
            f"{run}: {type(task.network).__name__} keeps a state between batches, so it needs the methods `start` and "
            "`step` to generate text (jaxdl.decode says which)"
        )
    limit = trained.experiment.data.example()["x"].shape[-1]

    def logits(params: Any, text: Any) -> Any:
        batch = {"x": text, "mask": jnp.ones(len(text))}
        return task.logits(params, model_state, batch, jax.random.key(0), train=False)[0]

    first = jax.jit(lambda params, text: logits(params, text)[:, 0])
    zeros = jnp.zeros((2, limit), jnp.int32)
    either = np.asarray(first(params, zeros.at[1, 1:].set(1)))
    if not np.allclose(*either, rtol=1e-3, atol=1e-4):
        raise ExperimentError(
            f"{run}: {type(task.network).__name__} is not causal: its prediction for a token depends on later tokens, "
            "which do not exist yet when it writes; mask its attention"
        )
    start = lambda batch, slots: jnp.zeros((batch, limit), jnp.int32)  # a fixed length: the model may know no other
    return Writer(step=recompute(logits), start=start, params=params, tokenizer=tokenizer, limit=limit)


def encoded(prompt: str, tokenizer: Any) -> np.ndarray:
    """The tokens of a prompt, at least one: an empty prompt is the start token or a new line."""
    try:
        prompt.encode()
    except UnicodeEncodeError:
        raise ExperimentError("--prompt: is not text in UTF-8") from None
    unknown = tokenizer.missing(prompt)
    if unknown:
        raise ExperimentError(
            f"--prompt: {named(unknown)} did not occur in the training text, so the model cannot read it"
        )
    tokens = tokenizer.encode(prompt)
    if len(tokens):
        return tokens
    if tokenizer.start is not None:
        return np.array([tokenizer.start], np.int32)
    line = tokenizer.encode("\n") if not tokenizer.missing("\n") else np.zeros(0, np.int32)
    return line if len(line) else np.zeros(1, np.int32)


def written(model: Writer, rows: np.ndarray, options: Options) -> Iterable:
    import jax

    pick = greedy
    if options.temperature > 0:
        pick = sample(temperature=options.temperature, top_k=options.top_k, top_p=options.top_p)
    return stream(
        model.step,
        model.params,
        model.start,
        rows,
        steps=options.steps,
        pick=pick,
        key=jax.random.key(options.seed),
        end=model.tokenizer.end,
        limit=model.limit,
    )


def searched(model: Writer, rows: np.ndarray, options: Options) -> list[str]:
    """The most probable texts, by beam search."""
    import jax

    stop = model.tokenizer.end
    end = -1 if stop is None else stop  # no token is -1: all texts have the full length

    def search(params: Any, rows: Any) -> Any:
        cache = model.start(1, rows.shape[1] + options.steps)
        return beam_search(model.step, params, cache, rows, steps=options.steps, end=end, beams=options.beam)

    found = jax.device_get(jax.jit(search)(model.params, rows))
    return [model.tokenizer.decode(t[:n]) for t, n in zip(found.tokens[0], found.lengths[0], strict=True)][
        : options.samples or 1
    ]


def as_text(pieces: Iterable[np.ndarray], tokenizer: Any) -> Iterable[str]:
    """Decode tokens as they arrive, up to the end token; an incomplete character waits for its other bytes."""
    tokens: list[int] = []
    shown = ""
    for piece in pieces:
        new = piece.tolist()
        ended = tokenizer.end is not None and tokenizer.end in new
        tokens += new[: new.index(tokenizer.end)] if ended else new
        text = tokenizer.decode(tokens)
        ready = text if ended else text.rstrip("\N{REPLACEMENT CHARACTER}")
        yield ready[len(shown) :]
        shown = ready
        if ended:
            return
