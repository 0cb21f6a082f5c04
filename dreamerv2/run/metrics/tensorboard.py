"""TensorBoard event files with scalars and animated images, written without TensorFlow."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dreamerv2.run.metrics.tags import gifs, tag


class EventFile:
    """One event file of a logdir, in the format that TensorBoard reads.

    Args:
        logdir: where the file goes.
        step: the step the run starts at; TensorBoard drops what older files hold after it.
    """

    def __init__(self, logdir: Path, step: int = 0) -> None:
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._event = event_pb2.Event
        self._summary = summary_pb2.Summary
        name = f'events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}'
        self._records = RecordWriter((logdir / name).open('ab'))
        self._put(file_version='brain.Event:2')
        if step:
            start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._put(step=step + 1, session_log=start)

    def write(self, step: int, scalars: Mapping[str, Any], videos: Mapping[str, Any]) -> None:
        """Appends scalars, and videos uint8 `[T, H, W, C]` as GIFs."""
        summary = self._summary()
        for name, value in scalars.items():
            summary.value.add(tag=tag(name), simple_value=float(value))
        for name, gif in gifs(step, videos):
            _, height, width, channels = videos[name].shape
            image = {'height': height, 'width': width, 'colorspace': 1 if channels == 1 else 3}
            summary.value.add(tag=tag(name), image={**image, 'encoded_image_string': gif})
        self._put(step=step, summary=summary)
        self._records.flush()

    def close(self) -> None:
        """Closes the file."""
        self._records.close()

    def _put(self, **fields: Any) -> None:
        event = self._event(wall_time=time.time(), **fields)
        self._records.write(event.SerializeToString())
