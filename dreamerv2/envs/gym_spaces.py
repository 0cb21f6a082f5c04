"""From the spaces of Gym and Gymnasium to the ones that the agent knows.

Spaces are told apart by the names of their classes, so that both libraries' (and their subclasses')
are understood alike.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dreamerv2.envs.contract import RESERVED, spaces
from dreamerv2.envs.image import shrink
from dreamerv2.errors import UsageError

Convert = Callable[[Any], np.ndarray]


def kind(space: Any) -> str:
    """Name of the library class that a space is an instance of, such as `Box`."""
    for parent in type(space).__mro__:
        if parent.__module__.partition('.')[0] in ('gym', 'gymnasium'):
            return parent.__name__
    return type(space).__name__


def is_image(space: Any) -> bool:
    """Whether a space holds pictures: uint8, `[height, width]` or `[height, width, channels]`."""
    if kind(space) != 'Box' or space.dtype != np.uint8:
        return False
    return len(space.shape) in (2, 3)


def channels_first(shape: tuple[int, ...]) -> bool:
    """Whether a picture's shape is `[channels, height, width]`: only its first axis is short."""
    return len(shape) == 3 and shape[0] <= 4 < min(shape[1:])


def one_hot(index: int, count: int) -> np.ndarray:
    """float32 `[count]`, 1 at the index."""
    result = np.zeros(count, np.float32)
    result[index] = 1
    return result


def observation_entry(
    key: str, space: Any, size: tuple[int, int], grayscale: bool
) -> tuple[Any, Convert]:
    """How one entry of an observation reaches the agent.

    Args:
        key: its name, for messages.
        space: its Gym or Gymnasium space.
        size: (height, width) to which pictures are resized.
        grayscale: whether pictures in colour become gray.

    Returns:
        The space the agent sees, uint8 `[*size, channels]` or float32 `[n]`, and the function that
        turns what the environment gives into it, in memory of its own.

    Raises:
        UsageError: a kind of space that has no such form.
    """
    name = kind(space)
    if is_image(space):
        first = channels_first(space.shape)

        def convert_image(value: Any) -> np.ndarray:
            image = np.asarray(value, np.uint8)
            return shrink(np.moveaxis(image, 0, -1) if first else image, size, grayscale)

        shape = convert_image(np.zeros(space.shape, np.uint8)).shape
        return spaces.Box(0, 255, shape, np.uint8), convert_image
    if name == 'Box':
        # float32 cannot hold the bounds of a float64 box; values beyond them are still welcome.
        count = int(np.prod(space.shape))
        return _floats(count), lambda value: np.array(value, np.float32).reshape(count)
    if name == 'Discrete':
        start = int(getattr(space, 'start', 0))
        count = int(space.n)
        return _floats(count, 0, 1), lambda value: one_hot(int(value) - start, count)
    if name == 'MultiDiscrete':
        counts = [int(count) for count in np.ravel(space.nvec)]
        return _floats(sum(counts), 0, 1), lambda value: np.concatenate(
            [
                one_hot(int(index), count)
                for index, count in zip(np.ravel(value), counts, strict=True)
            ]
        )
    if name == 'MultiBinary':
        count = int(np.prod(space.shape))
        return _floats(count, 0, 1), lambda value: np.array(value, np.float32).reshape(count)
    raise UsageError(
        f'observation {key!r} is a {name} space: expected Box, Discrete, MultiDiscrete, '
        'MultiBinary or a Dict of them'
    )


def observation_space(
    space: Any, size: tuple[int, int], grayscale: bool
) -> tuple[dict[str, Any], Callable[[Any], dict[str, np.ndarray]]]:
    """How observations reach the agent.

    A picture goes by the name `image`, anything else by `vector`, and the entries of a `Dict` by
    their own names (`outer/inner` where dictionaries are nested).

    Args:
        space: observation space of a Gym or Gymnasium environment.
        size: (height, width) to which pictures are resized.
        grayscale: whether pictures in colour become gray.

    Returns:
        name -> space, and the function that turns an observation into a dictionary of arrays.

    Raises:
        UsageError: a kind of space that the agent cannot see, or a name that means something else.
    """
    leaves = _leaves(space)
    if list(leaves) == ['']:
        leaves = {'image' if is_image(space) else 'vector': space}
    for key in leaves:
        if key in RESERVED or key.startswith('log_'):
            raise UsageError(f'observation {key!r}: the name is taken, rename it in a wrapper')
    entries = {key: observation_entry(key, leaf, size, grayscale) for key, leaf in leaves.items()}
    is_dict = kind(space) == 'Dict'

    def convert(value: Any) -> dict[str, np.ndarray]:
        return {
            key: function(_pick(value, key) if is_dict else value)
            for key, (_, function) in entries.items()
        }

    return {key: leaf for key, (leaf, _) in entries.items()}, convert


def action_space(space: Any) -> tuple[Any, Callable[[Any], Any]]:
    """How the agent's actions reach the environment.

    Args:
        space: action space of a Gym or Gymnasium environment, `Discrete` or `Box`.

    Returns:
        The space the agent acts in, `Discrete` from 0 or `Box` `[n]` from -1 to 1, and the function
        that turns an action in it into one of the environment's. Where a box is bounded, -1 and 1
        stand for its bounds; elsewhere the numbers are passed on.

    Raises:
        UsageError: another kind of space.
    """
    if kind(space) == 'Discrete':
        start = int(getattr(space, 'start', 0))
        return spaces.Discrete(int(space.n)), lambda action: int(action) + start
    if kind(space) != 'Box' or not np.issubdtype(space.dtype, np.floating):
        raise UsageError(
            f'actions are a {kind(space)} space of {getattr(space, "dtype", "no type")}: '
            'expected Discrete or a Box of floats'
        )
    bounded = np.isfinite(space.low) & np.isfinite(space.high)
    low = np.where(bounded, space.low, -1).astype(np.float64)
    high = np.where(bounded, space.high, 1).astype(np.float64)
    count = int(np.prod(space.shape))

    def convert(action: np.ndarray) -> np.ndarray:
        fraction = (np.asarray(action, np.float64).reshape(space.shape) + 1) / 2
        value = (low + fraction * (high - low)).astype(space.dtype)
        return np.clip(value, space.low, space.high)

    return spaces.Box(-1, 1, (count,), np.float32), convert


def _floats(count: int, low: float = -np.inf, high: float = np.inf) -> Any:
    return spaces.Box(low, high, (count,), np.float32)


def _leaves(space: Any, prefix: str = '') -> dict[str, Any]:
    if kind(space) != 'Dict':
        return {prefix: space}
    result: dict[str, Any] = {}
    for key, inner in space.spaces.items():
        result.update(_leaves(inner, f'{prefix}/{key}' if prefix else str(key)))
    return result


def _pick(value: Mapping[str, Any], key: str) -> Any:
    for part in key.split('/'):
        value = value[part]
    return value
