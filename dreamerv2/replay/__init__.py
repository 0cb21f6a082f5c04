"""Experience replay: episodes on disk and compressed in memory, and the past-horizon sampler."""

from dreamerv2.replay.replay import Replay
from dreamerv2.replay.stream import Stream

__all__ = ['Replay', 'Stream']
