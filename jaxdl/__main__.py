"""python -m jaxdl COMMAND ...: train, sweep, evaluate, predict, compare, summary and more.

`python -m jaxdl COMMAND --help` tells more.
"""

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from threading import current_thread, main_thread

COMMANDS = {
    "train": "train an experiment file, or resume a run",
    "evaluate": "metrics of a run on a split",
    "predict": "predictions of a run or of imported weights for files",
    "generate": "what a trained language model writes behind a prompt; what a GAN or a VAE makes",
    "compare": "final and best metrics of several runs, over seeds, and one plot",
    "sweep": "many seeds and settings in one program: a table, curves, a heat map",
    "summary": "layers, shapes, parameters, multiply-adds and memory of an experiment's model",
    "lr-find": "a learning rate from a short ramp of the real training step, with a plot",
    "show-augment": "a picture of training examples before and after augmentation",
    "compile": "compile what training needs, without training: FLOPs, memory, communication",
    "verify": "check a run's files and train a part of it again: the same bits?",
    "export": "the prediction function of a run as StableHLO, its weights as safetensors",
    "list": "the experiments, a line each",
    "models": "every named model with parameters, statistics, multiply-adds, input size and source",
    "import-weights": "PyTorch weights of a named model into jaxdl's form",
    "new": "a starting file for an experiment of your own",
    "doctor": "versions, devices, cache, and what is missing for which extra",
}


def main(args: Sequence[str]) -> int:
    if not args or args[0] in ("-h", "--help"):
        print(__doc__.splitlines()[0].split(":")[0] + "\n")
        for name, text in COMMANDS.items():
            print(f"  {name:<15}{text}")
        print(
            "\npython -m jaxdl COMMAND --help tells more; an experiment goes by its name or its file: "
            "python -m jaxdl train digits_cnn"
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
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
