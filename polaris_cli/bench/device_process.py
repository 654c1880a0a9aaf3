"""Measures the parts of `device` in a process of their own: `Worker`.

An error may leave a process that cannot measure any more: a GPU refuses all work after some of
them, and a recording that fails leaves torch in the middle of it. Another process then goes on. A
process can also be stopped when the time is up. Does not know what the parts measure.
"""

import time
from collections.abc import Callable
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from polaris_cli.bench.device_model import Measured
from polaris_cli.bench.device_steps import Figures
from polaris_cli.models.devices import Device

Part = Callable[[Measured], Figures]


class Worker:
    """A process that measures parts one after the other; after an error, another one does."""

    def __init__(self, shape: str, device: Device) -> None:
        self._subject = shape, device
        self._context = get_context("spawn")  # a fork could not use the GPU
        self._running: tuple[Any, Connection] | None = None

    def measure(self, part: Part, end: float) -> Figures | str:
        """The figures of a part, or in words why there are none.

        `part` is a function of a module. At `end`, a time of `time.monotonic`, it is stopped.
        """
        process, connection = self._running = self._running or self._start()
        result: Figures | str
        result, has_failed = "stopped: the time was up", True
        try:
            connection.send(part)
            if connection.poll(max(0.0, end - time.monotonic())):
                result, has_failed = connection.recv()
        except (EOFError, OSError):
            process.join()
            result = f"The process ended with exit code {process.exitcode}."
        if has_failed:
            self.close()
        return result

    def close(self) -> None:
        """End the process, if there is one."""
        if self._running:
            process, connection = self._running
            self._running = None
            process.kill()
            process.join()
            connection.close()

    def _start(self) -> tuple[Any, Connection]:
        ours, its = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(its, *self._subject))
        process.start()
        its.close()  # so that the end of the process is noticed
        return process, ours


def _serve(connection: Connection, shape: str, device: Device) -> None:
    """Measure the parts that come through the connection, until it is closed."""
    measured = Measured(shape, device)
    while True:
        try:
            part = connection.recv()
        except EOFError:
            return
        connection.send((measured.attempt(partial(part, measured)), measured.has_failed))
