"""What outputs share: tags of metrics, and videos as animated GIFs."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping

import numpy as np

from dreamerv2.envs.episodic import as_rgb

logger = logging.getLogger(__name__)

FRAMES_PER_SECOND = 15
# What has the same first part of its tag is shown together; the first that matches counts.
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


def gifs(step: int, videos: Mapping[str, np.ndarray]) -> Iterator[tuple[str, bytes]]:
    """Name and GIF of each video; one that cannot be encoded is left out, with a warning."""
    for name, frames in videos.items():
        try:
            yield name, encode_gif(frames)
        except Exception as error:  # A run does not fail over a video.
            logger.warning('No video %s at step %d: %s', name, step, error)
