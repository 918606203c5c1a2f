"""python -m jaxdl COMMAND ...: train, sweep, evaluate, predict, compare, summary and more."""

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from threading import current_thread, main_thread

COMMANDS = {
    "train": "train an experiment, or resume a run",
    "show": "open the report of a run or a sweep in the browser",
    "site": "write the sheet as a web site, from a clone of the repository",
    "evaluate": "compute the metrics of a run on a split",
    "predict": "predict for files with a run or imported weights",
    "generate": "continue a text with a language model; draw from a GAN or a VAE",
    "compare": "tabulate and plot the metrics of several runs, over seeds",
    "sweep": "train many seeds and settings in one program; tabulate, plot",
    "record": "measure an experiment over seeds, into the ledger",
    "claims": "list the claims of the cheat sheet with measured verdicts",
    "summary": "show layers, parameters, multiply-adds and memory of a model",
    "lr-find": "suggest a learning rate from a short ramp, with a plot",
    "show-augment": "draw training examples before and after augmentation",
    "compile": "compile a training without running it; show FLOPs, memory",
    "verify": "check the files of a run; train a part again, compare the bits",
    "export": "write the prediction function as StableHLO and safetensors",
    "tokenize": "write a corpus as token shards, which language models read",
    "list": "list the experiments",
    "models": "list the named models with parameters and multiply-adds",
    "import-weights": "convert PyTorch weights of a named model",
    "new": "write a starting file for an experiment of your own",
    "doctor": "show versions, devices, caches, and what each extra lacks",
}


def main(args: Sequence[str]) -> int:
    if not args or args[0] in ("-h", "--help"):
        print(__doc__.splitlines()[0].split(":")[0] + "\n")
        for name, text in COMMANDS.items():
            print(f"  {name:<15}{text}")
        print(
            "\n`python -m jaxdl COMMAND --help` shows the flags of a command.\n"
            "An experiment is given by its name or its file:\n\n    python -m jaxdl train digits_cnn\n\n"
            "evaluate, predict, generate, export, verify and --resume execute the copy of\n"
            "the experiment file in a run folder. Of a run of somebody else, use the files\nthat `export` writes."
        )
        return 0 if args else 2
    if args[0] in ("-V", "--version"):
        from jaxdl import __version__

        print(f"jaxdl {__version__}")
        return 0
    if args[0] not in COMMANDS:
        import difflib

        close = difflib.get_close_matches(args[0], COMMANDS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else f"; there are: {', '.join(COMMANDS)}"
        print(f"error: no command {args[0]!r}{hint}", file=sys.stderr)
        return 2
    with ended_by_ctrl_c():
        from jaxdl.cli.errors import guarded

        command = import_module(f"jaxdl.cli.{args[0].replace('-', '_')}")
    return guarded(lambda: command.run(list(args[1:])))


@contextmanager
def ended_by_ctrl_c() -> Iterator[None]:
    """While libraries are imported Ctrl-C ends the process without a traceback: some would turn it into an error of their own."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler or current_thread() is not main_thread():
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def run() -> None:
    """The console script."""
    if hasattr(signal, "SIGPIPE") and (len(sys.argv) < 2 or sys.argv[1].startswith("-")):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # help may be cut by `| head`; commands have `guarded`
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
