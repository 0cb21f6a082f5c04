"""Training batches, prepared in a thread while the agent acts and learns."""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from dreamerv2 import npz
from dreamerv2.errors import UsageError
from dreamerv2.replay import Replay
from dreamerv2.run.types import Batch


class Batches:
    """Draws batches in a fixed order, one ahead.

    The rows of a batch are drawn in the caller's thread, right after the previous batch was taken,
    so that runs are reproducible; only gathering them and copying to the device happens in a
    thread. The batch ahead is part of a checkpoint: a resumed run uses the same batch as an
    uninterrupted one.

    Args:
        replay: what is sampled from.
        batch, length: the batch's size.
        place: copies a batch to the device.
    """

    def __init__(
        self, replay: Replay, batch: int, length: int, place: Callable[[Batch], Any]
    ) -> None:
        self._replay = replay
        self._size = batch, length
        self._place = place
        self._pool = ThreadPoolExecutor(1, thread_name_prefix='batches')
        self._ahead: Future[tuple[Batch, Any]] | None = None
        self.last: Batch | None = None

    def take(self) -> Any:
        """The next batch, on the device; the first is drawn now.

        Raises:
            UsageError: the replay has nothing to sample from.
        """
        if self._ahead is None:
            self._draw()
        assert self._ahead is not None
        self.last, placed = self._ahead.result()
        self._ahead = None
        self._draw()
        return placed

    def get_state(self) -> bytes | None:
        """The batch ahead as an `.npz` file; None before the first was taken."""
        if self._ahead is None:
            return None
        file = io.BytesIO()
        np.savez(file, **self._ahead.result()[0])
        return file.getvalue()

    def set_state(self, state: bytes) -> None:
        """Takes what `get_state` gave.

        Raises:
            UsageError: it is invalid.
        """
        try:
            batch = npz.decode(state)
        except ValueError as error:
            raise UsageError(
                f'The batch ahead in the checkpoint cannot be read ({error}): use another one.'
            ) from error
        self._ahead = self._pool.submit(lambda: (batch, self._place(batch)))

    def close(self) -> None:
        """Ends the thread."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _draw(self) -> None:
        assemble = self._replay.choose(*self._size)

        def ready() -> tuple[Batch, Any]:
            batch = assemble()
            return batch, self._place(batch)

        self._ahead = self._pool.submit(ready)
