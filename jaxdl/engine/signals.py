"""Ctrl-C and preemption: the first signal asks the loop to save and stop, the second ends the process at once."""

import os
import signal
import threading
from types import FrameType
from typing import Any


class Interruption:
    """`with Interruption() as interruption: ... if interruption.signal: save and leave`.

    Handlers are set in the main thread only (Python allows no other), and put back afterwards.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._old: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._old[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            os.write(2, b"\nstopped at once; the last checkpoint stands\n")
            os._exit(128 + number)
        self.signal = number
        if number == signal.SIGINT:
            os.write(2, b"\nsaving, then stopping (Ctrl-C again: stop at once)\n")
