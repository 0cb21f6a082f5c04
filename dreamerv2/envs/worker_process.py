"""The process of one environment, and the shared memory through which it answers."""

import contextlib
import pickle
import signal
import traceback
from collections.abc import Mapping
from multiprocessing import shared_memory
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from dreamerv2.envs.episodic import ResumableEnv
from dreamerv2.envs.workers import Maker
from dreamerv2.signals import STOP_SIGNALS

_ALIGNMENT = 64
DONE = b''  # The answer of calls without a result; all others are pickled.


def layout(obs_space: Mapping[str, Any]) -> tuple[dict[str, int], int]:
    """The layout of an observation in a block of memory.

    Args:
        obs_space: name -> space.

    Returns:
        name -> offset in bytes, aligned; and the size of the block.
    """
    offsets, end = {}, 0
    for key, space in obs_space.items():
        offsets[key] = end
        size = int(np.prod(space.shape, dtype=np.int64)) * np.dtype(space.dtype).itemsize
        end += -(-size // _ALIGNMENT) * _ALIGNMENT
    return offsets, end


def views(obs_space: Mapping[str, Any], buffer: Any) -> dict[str, np.ndarray]:
    """Arrays over a block of memory, one for each entry of an observation."""
    offsets, _ = layout(obs_space)
    return {
        key: np.ndarray(space.shape, space.dtype, buffer, offsets[key])
        for key, space in obs_space.items()
    }


def serve(commands: Connection, answers: Connection, maker: Maker) -> None:
    """Answers commands until told to close, or until the parent is gone.

    Args:
        commands: gives pairs of a method's name and its arguments.
        answers: takes `DONE`, or a pickled pair: whether the method succeeded, and its result, or
        the error's name, text and traceback.
        maker: makes the environment.
    """
    # The parent decides when to end, but Ctrl-C and a batch system's signals reach all processes.
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    env = memory = None
    arrays: dict[str, np.ndarray] = {}
    try:
        env = ResumableEnv(maker())
        answers.send((True, (env.obs_space, env.act_space, env.levels, env.action_repeat)))
        memory = shared_memory.SharedMemory(commands.recv())
        arrays = views(env.obs_space, memory.buf)
        answers.send_bytes(DONE)
        while True:
            name, arguments = commands.recv()
            if name == 'close':
                break
            result = getattr(env, name)(*arguments)
            if name in ('reset', 'step'):
                for key, array in arrays.items():
                    array[...] = result[key]
                # From where another process could restart this episode.
                result = env.start if name == 'reset' else None
            answers.send_bytes(DONE if result is None else pickle.dumps((True, result)))
    except (EOFError, BrokenPipeError):
        pass  # the parent is gone
    except BaseException as error:
        with contextlib.suppress(OSError):
            text = str(error) or type(error).__name__
            answers.send((False, (type(error).__name__, text, traceback.format_exc())))
    finally:
        if env is not None:
            env.close()
        arrays.clear()  # the memory cannot be closed while arrays use it
        if memory is not None:
            memory.close()
        commands.close()
        answers.close()
