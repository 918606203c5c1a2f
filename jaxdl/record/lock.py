"""A lock on a run folder: a second process that trained it would delete the checkpoints of the first."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jaxdl.record.processes import is_first_process
from jaxdl.types import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold `folder/.lock`; ValueError with the number of the process that holds it already.

    The system releases it when the process ends. Where such locks do not exist (Windows, some network file systems) nothing is
    held. Of several processes that train one model the first holds the lock.
    """
    if fcntl is None or not is_first_process():
        yield
        return
    with open(folder / ".lock", "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise UserError(f"{folder} is being trained by process {file.read().strip() or '?'}") from None
        except OSError:
            pass
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_UN)  # forked children have the file open, too
