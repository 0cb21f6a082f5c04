"""An endless sequence of batches, assembled when asked for or ahead of time."""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any


class Stream:
    """Iterator over `make()`, `make()`, ...

    With `ahead` 0 every batch is made when it is asked for, so that what it holds depends on
    nothing but the calls before it. With `ahead` > 0 a thread keeps up to `ahead` batches ready, in
    the order in which they were made; it starts with the first `next`. An exception in `make`
    reaches the consumer after the batches made before it. Use as a context manager, or `close`.
    """

    def __init__(self, make: Callable[[], Any], ahead: int = 0) -> None:
        if ahead < 0:
            raise ValueError(f'ahead must be 0 or more, not {ahead}')
        self._make = make
        self._ahead = ahead
        self._ready: queue.Queue = queue.Queue()
        # One permit a batch that may be made; the consumer gives one back for each that it takes.
        self._permits = threading.Semaphore(ahead)
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._closed.is_set():
            raise StopIteration
        if not self._ahead:
            return self._make()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name='batches', daemon=True)
            self._thread.start()
        batch, error = self._ready.get()
        if error is not None:
            self.close()
            raise error
        self._permits.release()
        return batch

    def close(self) -> None:
        """End the stream and wait for its thread. Can be called more than once."""
        self._closed.set()
        self._permits.release()
        self._ready.put((None, StopIteration()))
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def __enter__(self) -> 'Stream':
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        while True:
            self._permits.acquire()
            if self._closed.is_set():
                return
            try:
                self._ready.put((self._make(), None))
            except BaseException as error:  # the consumer raises it
                self._ready.put((None, error))
                return
