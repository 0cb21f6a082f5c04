"""Videos of an agent playing: the rendered game with level and return above it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dreamerv2.envs.contract import Environment
from dreamerv2.envs.episodic import as_rgb
from dreamerv2.errors import UsageError
from dreamerv2.run.types import Row

FORMATS = ('.mp4', '.gif')
SHORTEST_SIDE = 192  # Smaller pictures are enlarged to this many pixels.
CAPTION_HEIGHT = 24


def check_video_path(path: Path) -> None:
    """Raises UsageError where no video can be written: unknown format or missing folder."""
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f'--video {path}: expected a name that ends in {" or ".join(FORMATS)}.')
    check_output_path(path, '--video')


def check_output_path(path: Path, flag: str) -> None:
    """Raises UsageError where a file cannot be written."""
    folder = path.parent
    if path.is_dir():
        raise UsageError(f'{flag} {path} is a folder: give the name of a file.')
    if not folder.is_dir():
        raise UsageError(f'{flag} {path}: the folder {folder} does not exist.')
    if not os.access(folder, os.W_OK):
        raise UsageError(f'{flag} {path}: the folder {folder} cannot be written to.')


def observation_picture(obs: Row) -> np.ndarray | None:
    """The first image of an observation as RGB, or None where it has none."""
    for value in obs.values():
        if isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.ndim == 3:
            return as_rgb(value)
    return None


def enlarge(picture: np.ndarray, shortest: int = SHORTEST_SIDE) -> np.ndarray:
    """Enlarges by an integer factor so that the shorter side has at least `shortest` pixels."""
    factor = max(1, -(-shortest // min(picture.shape[:2])))
    return picture.repeat(factor, 0).repeat(factor, 1)


def captioned(picture: np.ndarray, text: str) -> np.ndarray:
    """The picture, enlarged if small, with a line of text above; sides are even, as H.264 needs."""
    import cv2

    picture = enlarge(picture)
    height, width = picture.shape[:2]
    canvas = np.zeros((CAPTION_HEIGHT + height + height % 2, width + width % 2, 3), np.uint8)
    canvas[CAPTION_HEIGHT : CAPTION_HEIGHT + height, :width] = picture
    white = (255, 255, 255)
    cv2.putText(canvas, text, (4, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.45, white, 1, cv2.LINE_AA)
    return canvas


class RecordingEnv:
    """An environment that passes the pictures of its first episode to `take`, one per step."""

    def __init__(self, env: Environment, take: Callable[[np.ndarray], Any]) -> None:
        self._env = env
        self._take = take
        self._episode = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)

    def reset(self) -> Row:
        """Starts an episode."""
        self._episode += 1
        self._return = 0.0
        return self._record(self._env.reset())

    def step(self, action: Any) -> Row:
        """Acts for one agent step."""
        return self._record(self._env.step(action))

    def _record(self, obs: Row) -> Row:
        if self._episode > 1:
            return obs
        self._return += float(obs['reward'])
        picture = getattr(self._env, 'render', lambda: None)()
        if picture is None:
            picture = observation_picture(obs)
        if picture is not None:
            level = self._env.levels[int(obs.get('level', 0))]
            self._take(captioned(picture, f'{level}  return {self._return:.0f}'))
        return obs


def write_video(path: Path, frames: Sequence[np.ndarray], fps: float) -> None:
    """Writes frames uint8 `[H, W, 3]` as MP4 (H.264) or GIF, by file extension.

    Frames smaller than the largest are padded with black.
    """
    import imageio.v2 as imageio

    height = max(frame.shape[0] for frame in frames)
    width = max(frame.shape[1] for frame in frames)
    options: dict[str, Any] = {'duration': 1000 / fps, 'loop': 0}
    if path.suffix.lower() == '.mp4':
        options = {'fps': fps, 'codec': 'libx264', 'macro_block_size': 2, 'quality': 8}
    writer: Any
    with imageio.get_writer(path, **options) as writer:
        for frame in frames:
            below, right = height - frame.shape[0], width - frame.shape[1]
            writer.append_data(np.pad(frame, ((0, below), (0, right), (0, 0))))
