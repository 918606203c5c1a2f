"""Processes that read ahead: batches of a function of the position, decoded beside the device's work.

The only module that imports grain, which starts the workers and hands batches over in shared memory. A worker knows the function
and the numbers of its own batches and nothing else, so how many there are is not part of the result.
"""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing import parent_process
from typing import Any

import numpy as np

from jaxdl.types import UserError

PR_SET_PDEATHSIG = 1
"""Of Linux's prctl: the signal that a process gets when the thread that started it ends."""
END = 2**62
"""Positions of an endless sequence."""


def begin_worker(index: int = 0, count: int = 1, *, by_main: bool = False) -> None:
    """A signal for the whole group is the parent's business, which stops its workers; if it is killed, they end with it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if (
        by_main and sys.platform == "linux"
    ):  # ends a worker that is stopped, too; it would end with the thread that started it
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=lambda: (parent_process().join(), os._exit(1)), daemon=True).start()


def _batches(row: Any, first: int, batch: int, workers: int) -> Any:
    """Batches `first`, `first` + 1, ... of a function of the position, read ahead."""
    import grain
    from absl import flags

    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()  # grain asks absl's flags, which only absl's own programs parse
    threads = 0 if workers else 2  # without workers two threads read ahead: decoding runs beside Python
    rows = grain.MapDataset.range(first * batch, END).map(row).batch(batch)
    ahead = rows.to_iter_dataset(grain.ReadOptions(num_threads=threads, prefetch_buffer_size=threads))
    if workers:
        by_main = threading.current_thread() is threading.main_thread()
        options = grain.multiprocessing.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=2)
        ahead = ahead.mp_prefetch(options, worker_init_fn=partial(begin_worker, by_main=by_main))
    return iter(ahead)


def together(action: Callable[[Any], None], things: Sequence[Any]) -> None:
    """One thread for each."""
    if things:
        with ThreadPoolExecutor(len(things)) as threads:
            list(threads.map(action, things))


class Reader:
    """Reads batches by number; in order without a pause, elsewhere by starting anew."""

    def __init__(self, row: Any, batch: int, workers: int):
        self.row, self.batch, self.workers = row, batch, workers
        self.next, self.iterator = 0, None
        self.kept: tuple[int, Any] = (-1, None)

    def read(self, number: int) -> Mapping[str, np.ndarray]:
        """Batch `number`; the latest one is kept, for it is often asked for twice."""
        if self.kept[0] == number:
            return self.kept[1]
        for attempt in (1, 2):
            if self.iterator is None or self.next != number:
                self.close()
                self.iterator, self.next = _batches(self.row, number, self.batch, self.workers), number
            try:
                found = {key: np.array(value) for key, value in next(self.iterator).items()}  # out of shared memory
                break
            except ValueError as error:
                self.close()
                raise UserError(str(error).splitlines()[0]) from None
            except RuntimeError as error:
                self.close()
                if "terminated unexpectedly" not in str(error):
                    raise
                if attempt == 2:
                    raise UserError(
                        f"workers = {self.workers}: a process that decodes images was killed, twice, in batch {number}; "
                        "take fewer if memory (or /dev/shm) is short, or 0 to decode in this process"
                    ) from None
        self.next, self.kept = number + 1, (number, found)
        return found

    def close(self) -> None:
        iterator, self.iterator, self.kept = self.iterator, None, (-1, None)
        if iterator is not None:
            # all workers at once, for each takes up to a second to notice
            parts = [part for part in getattr(iterator, "_iterators_in_use", ()) if part is not None]
            together(lambda part: part.close(), parts)
            iterator.close()
