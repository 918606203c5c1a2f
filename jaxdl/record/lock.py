"""One process at a time trains a run folder: a second one would delete the first one's checkpoints."""

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
    """Hold `folder/.lock`; ValueError that names the process which has it already.

    The system lets go of it when the process ends, however it ends. Where there are no such locks (Windows, some network
    file systems) nothing is held; of several processes that train one model the first holds it for all.
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
                fcntl.flock(file, fcntl.LOCK_UN)  # children that were forked meanwhile have the file open, too
