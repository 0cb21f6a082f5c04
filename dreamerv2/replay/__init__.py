"""Experience replay: episodes on disk and compressed in memory, and the past-horizon sampler."""

from dreamerv2.replay.replay import Replay

__all__ = ['Replay']
