"""Threads that wait for one server, so that a slow one keeps none of the others waiting."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import SimpleQueue
from threading import Lock, Semaphore, Thread
from typing import Any, TypeVar

Result = TypeVar("Result")


class ServerThreads(Executor):
    """Up to so many threads, started when there is work for them.

    They are daemons, unlike those of concurrent.futures: the end of the process waits for none of them. A fetch ends at
    its deadline, but looking up a name can take as long as the resolver likes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._started = 0
        self._starting = Lock()
        self._idle = Semaphore(0)
        self._work: SimpleQueue[Callable[[], None]] = SimpleQueue()

    def submit(self, function: Callable[..., Result], /, *args: Any, **options: Any) -> Future[Result]:
        """Call a function in one of the threads."""
        future: Future[Result] = Future()
        self._work.put(partial(_run, future, partial(function, *args, **options)))
        with self._starting:
            if not self._idle.acquire(blocking=False) and self._started < self._most:
                self._started += 1
                Thread(target=self._serve, name="fhir", daemon=True).start()
        return future

    def _serve(self) -> None:
        while True:
            self._work.get()()
            self._idle.release()


def _run(future: Future[Result], function: Callable[[], Result]) -> None:
    if future.set_running_or_notify_cancel():
        try:
            future.set_result(function())
        except BaseException as failed:  # noqa: BLE001  # whoever asks for the result raises it
            future.set_exception(failed)
