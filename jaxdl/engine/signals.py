"""Ctrl-C and preemption: the first signal asks the loop to save and stop, the second ends the process at once."""

import multiprocessing
import os
import select
import signal
import socket
import threading
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """`with Interruption() as interruption: ... if interruption.signal: save and leave`.

    Python calls a handler only between two of its own instructions, and once for all signals of a kind that came meanwhile. A
    chunk of steps is one such instruction, so signals are counted as they arrive, by a thread that reads what
    `signal.set_wakeup_fd` writes for each.

    Handlers are set in the main thread only (Python allows no other), and put back afterwards.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._count = 0
        self._lock = threading.RLock()
        self._old: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            self._arrived, self._written = socket.socketpair()
            for end in (self._arrived, self._written):
                end.setblocking(False)
            self._old_fd = signal.set_wakeup_fd(self._written.fileno(), warn_on_full_buffer=False)
            for number in SIGNALS:
                self._old[number] = signal.signal(number, self._handle)
            self._reader = threading.Thread(target=self._read, name="signals", daemon=True)
            self._reader.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if not self._old:
            return
        for number, handler in self._old.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_fd)
        self._written.close()  # the reader sees the end
        self._reader.join()
        self._arrived.close()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._drain()

    def _read(self) -> None:
        while self._drain():
            select.select([self._arrived], [], [])

    def _drain(self) -> bool:
        """Count the signals that have arrived; False once no more can come."""
        with self._lock:
            try:
                numbers = self._arrived.recv(256)
            except BlockingIOError:
                return True
            for number in numbers:
                if number in SIGNALS:
                    self._one(number)
            return bool(numbers)

    def _one(self, number: int) -> None:
        self._count += 1
        if self._count > 1:
            os.write(2, b"\nstopped at once; the last checkpoint is kept\n")
            kill_children()
            os._exit(128 + number)
        self.signal = number
        if number == signal.SIGINT:
            os.write(2, b"\nsaving, then stopping (Ctrl-C again: stop at once)\n")


def kill_children() -> None:
    """End the processes that this one has started: one that is stopped (SIGSTOP) would not notice that its parent is gone."""
    for child in multiprocessing.active_children():
        child.kill()
