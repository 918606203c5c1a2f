"""Turn exceptions into one line and an exit code: 2 for a user's mistake, 1 for a run that failed."""

import errno
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

from jaxdl.data.walker import Note
from jaxdl.record.checkpoint import CheckpointError
from jaxdl.types import UserError


def guarded(action: Callable[[], int]) -> int:
    """Run an action and return its exit code; a user's mistake prints one line on standard error and gives 2.

    A mistake is what jaxdl refuses (`UserError`), a missing or unwritable file, or a broken experiment file. Any other
    exception is a defect of jaxdl or of the user's model and keeps its traceback; with JAXDL_TRACEBACK=1 all of them do.
    If stdout is closed early (`| head`), the process exits quietly with SIGPIPE's code.
    """
    for stream in (sys.stdout, sys.stderr):  # a character that the terminal's encoding lacks is escaped, not an error
        if (reconfigure := getattr(stream, "reconfigure", None)) is not None:
            reconfigure(errors="backslashreplace")
    others, said = warnings.showwarning, set()

    def show(message: Any, category: Any, *where: Any, **more: Any) -> None:
        if not issubclass(category, Note):
            others(message, category, *where, **more)
        elif str(message) not in said:  # an experiment is built more than once
            said.add(str(message))
            sys.stderr.write(f"note: {message}\n")

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", Note)
            warnings.showwarning = show
            try:
                return explained(action)
            finally:
                sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python flushes at its end
        return 128 + 13  # as if by SIGPIPE


def explained(action: Callable[[], int]) -> int:
    """The exit code of an action, or of the error that it raised, which is printed."""
    try:
        return action()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        raise
    except Exception as error:
        code = exit_code(error)
        if code is None or os.environ.get("JAXDL_TRACEBACK"):
            raise
        message = " ".join(str(error).split())
        sys.stderr.write(f"error: {message}\n")  # one write: threads may be writing too
        return code


def exit_code(error: Exception) -> int | None:
    """2, 1, or None where the traceback is what helps."""
    if type(error).__name__ == "Diverged":
        return 1
    return 2 if isinstance(error, UserError) or is_of_a_file(error) else None


def is_of_a_file(error: Exception) -> bool:
    """Whether a file is missing, or cannot be read or written (also for lack of space)."""
    full = (errno.ENOSPC, errno.EROFS, errno.EDQUOT)
    kinds = (
        FileNotFoundError | FileExistsError | PermissionError | NotADirectoryError | IsADirectoryError | CheckpointError
    )
    return isinstance(error, kinds) or (isinstance(error, OSError) and (bool(error.filename) or error.errno in full))
