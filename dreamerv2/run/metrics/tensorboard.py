"""TensorBoard event files with scalars and animated images, written without TensorFlow."""

from __future__ import annotations

import logging
import os
import re
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dreamerv2.envs.episodic import as_rgb

logger = logging.getLogger(__name__)

FRAMES_PER_SECOND = 15
# TensorBoard shows together what has the same first part of its tag; the first that matches counts.
GROUPS = {
    'time': r'fps|updates|train_ratio|policy_staleness|skipped_.*',
    'train': r'train_.*|episodes',
    'eval': r'eval_.*',
    'replay': r'replay_.*|(absorbing|filler)_fraction',
    'actor_critic': r'(actor|critic|return_range|reward_(mean|std|normed)).*',
    'model': r'(.*_(loss|ent)|model_.*|deaths_foreseen|reward_predicted|openloop_.*)(/.*)?',
}


def tag(name: str) -> str:
    """The tag of a metric, `train/return/1-1` for `train_return/1-1`; others keep their name."""
    for group, pattern in GROUPS.items():
        if re.fullmatch(pattern, name):
            return f'{group}/{name.removeprefix(f"{group}_")}'
    return name


def encode_gif(frames: np.ndarray) -> bytes:
    """An animated GIF of frames uint8 `[T, H, W, C]`; see `as_rgb` for other C than 1 and 3."""
    import imageio.v3 as imageio

    # Gray needs no palette search.
    frames = frames[..., 0] if frames.shape[-1] == 1 else as_rgb(frames)
    duration = 1000 / FRAMES_PER_SECOND
    return imageio.imwrite(
        '<bytes>', frames, extension='.gif', duration=duration, loop=0, is_batch=True
    )


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
        self._put(self._event(wall_time=time.time(), file_version='brain.Event:2'))
        if step:
            start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._put(self._event(wall_time=time.time(), step=step + 1, session_log=start))

    def write(self, step: int, scalars: Mapping[str, Any], videos: Mapping[str, Any]) -> None:
        """Appends scalars, and videos uint8 `[T, H, W, C]` as GIFs."""
        summary = self._summary()
        for name, value in scalars.items():
            summary.value.add(tag=tag(name), simple_value=float(value))
        for name, frames in videos.items():
            _, height, width, channels = frames.shape
            try:
                gif = encode_gif(frames)
            except Exception as error:  # A run does not fail over a video.
                logger.warning('No video %s at step %d: %s', name, step, error)
                continue
            image = {'height': height, 'width': width, 'colorspace': 1 if channels == 1 else 3}
            summary.value.add(tag=tag(name), image={**image, 'encoded_image_string': gif})
        self._put(self._event(wall_time=time.time(), step=step, summary=summary))

    def flush(self) -> None:
        """Flushes to the operating system."""
        self._records.flush()

    def close(self) -> None:
        """Flushes and closes the file."""
        self._records.close()

    def _put(self, event: Any) -> None:
        self._records.write(event.SerializeToString())
