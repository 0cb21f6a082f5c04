"""What the agent sees and does for every kind of Gym and Gymnasium space.

All decisions about spaces are made here: what is a picture, what is a vector, what is left out, and
how any actions become one `Discrete` or one `Box`. Spaces are distinguished by the names of their
classes, so that those of both libraries (and their subclasses) are treated alike.
"""

import dataclasses
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dreamerv2.envs.contract import RESERVED, spaces
from dreamerv2.envs.episodic import shrink
from dreamerv2.errors import UsageError, printable

SHORTEST_SIDE = 8  # pixels of bytes; a smaller array is a game's board rather than a picture
SHORTEST_SIDE_OF_OTHERS = 16  # pixels of other types, which may as well be a table
FEWEST_VALUES = 256  # of an integer pixel; the cells of a board have fewer
UNBOUNDED = 1e9  # a bound of this size is as good as infinite
MOST_VALUES = 10_000  # of a discrete space, for the length of its one-hot vector
MOST_COMBINATIONS = 1024  # of several discrete actions, to be one choice among all combinations

Build = Callable[[Sequence[Any]], Any]


class Mismatch(ValueError):
    """An observation does not match its space; the message says how."""


class Unusable(ValueError):
    """The agent cannot see a space; the message says why."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One entry of the observation as the agent sees it.

    Attributes:
        space: uint8 `[height, width, channels]` or float32 `[n]`.
        convert: turns the environment's value into a new array of that space.
        text: description.
        path: keys and indices that lead to the value in the environment's observation.
    """

    space: Any
    convert: Callable[[Any], np.ndarray]
    text: str
    path: tuple[Any, ...] = ()


@dataclasses.dataclass(frozen=True)
class View:
    """How the agent sees the observations of an environment.

    Attributes:
        entries: by name.
        left_out: by name, why the agent does not see an entry.
    """

    entries: dict[str, Entry]
    left_out: dict[str, str]

    @property
    def spaces(self) -> dict[str, Any]:
        return {name: entry.space for name, entry in self.entries.items()}

    def lines(self) -> list[str]:
        """What is seen and what is left out, one line per entry."""
        seen = [f'The agent sees {name}: {entry.text}.' for name, entry in self.entries.items()]
        return seen + [f'Left out: {name}, {why}.' for name, why in self.left_out.items()]

    def convert(self, observation: Any, step: int = 0) -> dict[str, np.ndarray]:
        """The environment's observation as the agent sees it.

        Raises:
            UsageError: it does not match its space; `step`, since the reset, is named.
        """
        result = {}
        for name, entry in self.entries.items():
            try:
                result[name] = entry.convert(_pick(observation, entry.path))
            except Mismatch as error:
                raise UsageError(
                    f'observation {name!r} at step {step} {error}: correct the environment or its '
                    'observation_space'
                ) from None
        return result


def kind(space: Any) -> str:
    """Name of the library class that a space is an instance of, such as `Box`."""
    for parent in type(space).__mro__:
        library = parent.__module__.partition('.')[0] in ('gym', 'gymnasium')
        if library and parent.__name__ != 'Space':
            return parent.__name__
    return type(space).__name__


def view(space: Any, size: tuple[int, int], grayscale: bool) -> View:
    """How observations reach the agent.

    A picture goes by the name `image`, anything else by `vector`, and the entries of a `Dict` or
    `Tuple` by their own names or positions (`outer/inner` where they are nested), in which all but
    letters, digits, `_` and `-` becomes `_`; reserved names get the prefix `obs_`. Pictures are
    resized and made gray as by `shrink`.

    Raises:
        UsageError: nothing in the space can be seen.
    """
    entries: dict[str, Entry] = {}
    left_out: dict[str, str] = {}
    for path, leaf in _leaves(space):
        try:
            entry = _entry(leaf, size, grayscale)
        except Unusable as error:
            left_out[_name(path, left_out) if path else 'observation'] = str(error)
            continue
        alone = 'image' if len(entry.space.shape) == 3 else 'vector'
        entries[_name(path or (alone,), entries)] = dataclasses.replace(entry, path=path)
    if not entries:
        reasons = '; '.join(f'{name}: {why}' for name, why in left_out.items()) or 'it is empty'
        raise UsageError(
            f'observation_space {_shown(space)} has nothing that the agent can see ({reasons}): '
            'expected Box, Discrete, MultiDiscrete, MultiBinary, or a Dict or Tuple of them; an '
            'ObservationWrapper can convert it'
        )
    return View(entries, left_out)


def action_space(space: Any) -> tuple[Any, Callable[[Any], Any]]:
    """How the agent's actions reach the environment.

    One discrete space, or several with at most MOST_COMBINATIONS combinations, become one choice.
    Everything else becomes one box: each number of a `Box` is scaled from [-1, 1] to its bounds (or
    passed on where it has none), and a discrete space of n values takes n numbers, the largest of
    which is the choice.

    Returns:
        The space the agent acts in, `Discrete` from 0 or `Box` `[n]` from -1 to 1, and the function
        that turns an action in it into one of the environment's.

    Raises:
        UsageError: an unsupported kind of space.
    """
    try:
        parts, build = _action_parts(space)
    except Unusable as error:
        raise UsageError(
            f'action_space {_shown(space)} {error}: expected Discrete, Box, MultiDiscrete, '
            'MultiBinary, or a Dict or Tuple of them; an ActionWrapper can offer one of them'
        ) from None
    counts = [part for part in parts if isinstance(part, int)]
    combinations = math.prod(counts)
    if len(counts) == len(parts) and (len(parts) == 1 or combinations <= MOST_COMBINATIONS):

        def choose(action: Any) -> Any:
            return build([int(index) for index in np.unravel_index(int(action), counts)])

        return spaces.Discrete(combinations), choose
    sizes = [part if isinstance(part, int) else math.prod(part.shape) for part in parts]
    ends = np.cumsum(sizes)

    def convert(action: np.ndarray) -> Any:
        split = zip(parts, np.split(np.asarray(action, np.float64), ends[:-1]), strict=True)
        return build(
            [
                int(numbers.argmax()) if isinstance(part, int) else box_value(part, numbers)
                for part, numbers in split
            ]
        )

    return spaces.Box(-1, 1, (int(ends[-1]),), np.float32), convert


def action_line(space: Any, act_space: Any) -> str:
    """Describes how the agent acts."""
    if hasattr(act_space, 'n'):
        return f'It acts by one of {act_space.n} choices ({_shown(space)}).'
    count = act_space.shape[0]
    numbers = f'{count} number{"s" if count > 1 else ""}'
    return f'It acts by {numbers} from -1 to 1 ({_shown(space)}).'


def box_value(space: Any, numbers: np.ndarray) -> np.ndarray:
    """A value of a box, in its shape and dtype, from as many numbers from -1 to 1.

    With both bounds, -1 and 1 map to them; with one bound the value is at most 2 away from it, and
    without bounds it is the number itself. For integers the range is divided evenly.
    """
    numbers = np.asarray(numbers, np.float64).reshape(space.shape)
    low, high = _bounds(space)
    low = np.where(np.isfinite(low), low, np.where(np.isfinite(high), high - 2, -1))
    high = np.where(np.isfinite(high), high, low + 2)
    fraction = (numbers + 1) / 2
    if np.issubdtype(space.dtype, np.floating):
        value = (low + fraction * (high - low)).astype(space.dtype)
        return np.asarray(np.clip(value, space.low, space.high))
    whole = low + np.floor(fraction * (high - low + 1))
    return np.asarray(np.clip(whole, low, high).astype(space.dtype))


def value_range(space: Any) -> tuple[float, float] | None:
    """Smallest and largest value of a box; None where it is unbounded."""
    low, high = _bounds(space)
    bounded = np.isfinite(low).all() and np.isfinite(high).all() and low.size
    return (float(low.min()), float(high.max())) if bounded else None


def why_no_picture(space: Any) -> str:
    """Why a box of two or more axes is not a picture; empty where it is one."""
    row = _row_axis(space.shape)
    shortest = SHORTEST_SIDE if space.dtype == np.uint8 else SHORTEST_SIDE_OF_OTHERS
    if min(space.shape[row : row + 2]) < shortest:
        return f'a side is shorter than {shortest}'
    limits = value_range(space)
    if limits is None or limits[0] >= limits[1]:
        return 'without bounds black and white are undefined (Box(0, 255, dtype=uint8) has them)'
    if not np.issubdtype(space.dtype, np.floating) and limits[1] - limits[0] + 1 < FEWEST_VALUES:
        return f'its pixels have fewer than {FEWEST_VALUES} values, as the cells of a board'
    return ''


def _entry(space: Any, size: tuple[int, int], grayscale: bool) -> Entry:
    """How one leaf of an observation space reaches the agent; raises Unusable."""
    name = kind(space)
    if name == 'Box' and not _is_real(space.dtype):
        raise Unusable(f'a Box of {space.dtype}')
    if name in ('Box', 'MultiBinary'):
        if math.prod(space.shape) == 0:
            raise Unusable(f'{_shown(space)} is empty')
        if name == 'MultiBinary' or len(space.shape) < 2:
            return _vector(space, _shown(space))
        if reason := why_no_picture(space):
            return _vector(space, f'{_shown(space)}, no picture: {reason}')
        return _picture(space, size, grayscale)
    if name not in ('Discrete', 'MultiDiscrete'):
        raise Unusable(f'a {name} space cannot be seen')
    counts, starts = _choices(space)
    ends = np.cumsum(counts)

    def convert_choices(value: Any) -> np.ndarray:
        indices = np.ravel(_checked(value, space)) - starts
        if not ((indices >= 0) & (indices < counts)).all() or (indices % 1).any():
            raise Mismatch(f'is {printable(repr(value))}, but its space is {_shown(space)}')
        one_hot = np.zeros(ends[-1], np.float32)
        one_hot[(ends - counts + indices).astype(int)] = 1
        return one_hot

    seen = spaces.Box(0, 1, (int(ends[-1]),), np.float32)
    return Entry(seen, convert_choices, f'vector [{ends[-1]}], one-hot, of {_shown(space)}')


def _vector(space: Any, text: str) -> Entry:
    """The numbers of a space as they are."""
    count = math.prod(space.shape)
    # float32 cannot hold the bounds of a float64 box; values beyond them are still accepted.
    seen = spaces.Box(-np.inf, np.inf, (count,), np.float32)
    limits = (0.0, 1.0) if kind(space) == 'MultiBinary' else value_range(space)
    scale = f'{limits[0]:g} to {limits[1]:g}' if limits else 'unbounded'

    def convert(value: Any) -> np.ndarray:
        return np.array(_checked(value, space), np.float32).reshape(count)

    return Entry(seen, convert, f'vector [{count}], {scale}, of {text}')


def _picture(space: Any, size: tuple[int, int], grayscale: bool) -> Entry:
    """How pictures, or stacks of them, reach the agent.

    The two neighbouring axes that are longest are height and width. Colour is the nearest axis
    after them that has three entries, or else the nearest; without axes after them, the same before
    them. All other axes count pictures, which become channels.
    """
    shape = space.shape
    row = _row_axis(shape)
    others = [axis for axis in range(len(shape)) if axis not in (row, row + 1)]
    near = [axis for axis in others if axis > row] or others[::-1]
    colour = [axis for axis in near if shape[axis] == 3][:1] or near[:1]
    order = (row, row + 1, *(axis for axis in others if axis not in colour), *colour)
    colours = shape[colour[0]] if colour else 1
    whole = not np.issubdtype(space.dtype, np.floating)
    low, high = value_range(space) or (0.0, 255.0)
    tolerance = 0 if whole else 1e-3 * (high - low)

    def convert(value: Any) -> np.ndarray:
        pixels = _checked(value, space).reshape(shape)
        if pixels.dtype != np.uint8 or (low, high) != (0, 255):
            least, most = float(pixels.min()), float(pixels.max())
            if not (low - tolerance <= least and most <= high + tolerance):
                raise Mismatch(f'holds {least:g} to {most:g}, but its space is {_shown(space)}')
            if whole and np.issubdtype(pixels.dtype, np.floating) and (pixels % 1).any():
                raise Mismatch(f'holds fractions, but its space is {_shown(space)}')
            bright = (pixels.astype(np.float32) - low) * (255 / (high - low))
            pixels = np.clip(bright + 0.5, 0, 255).astype(np.uint8)
        pixels = pixels.transpose(order).reshape(*shape[row : row + 2], -1, colours)
        pictures = [shrink(pixels[:, :, i], size, grayscale) for i in range(pixels.shape[2])]
        return pictures[0] if len(pictures) == 1 else np.concatenate(pictures, -1)

    seen = spaces.Box(0, 255, convert(np.full(shape, low, space.dtype)).shape, np.uint8)
    text = f'picture {"x".join(map(str, seen.shape))}, 0 to 255, of {_shown(space)}'
    return Entry(seen, convert, text)


def _action_parts(space: Any) -> tuple[list[Any], Build]:
    """The discrete choices (by their number of values) and boxes that an action consists of.

    Returns:
        The parts, and the function that makes an action from one value for each. Raises Unusable.
    """
    name = kind(space)
    if name == 'Box' and _is_real(space.dtype):
        if math.prod(space.shape) == 0:
            raise Unusable('is empty')
        return [space], lambda values: values[0]
    if name == 'Discrete':
        (count,), (start,) = _choices(space)
        return [count], lambda values: int(values[0]) + int(start)
    if name in ('MultiDiscrete', 'MultiBinary'):
        counts, starts = _choices(space)

        def build_array(values: Sequence[Any]) -> Any:
            return (np.array(values) + starts).reshape(space.shape).astype(space.dtype)

        return counts, build_array
    if name in ('Tuple', 'Dict') and len(space.spaces):
        named = name == 'Dict'
        keys = list(space.spaces) if named else range(len(space.spaces))
        inner = [_action_parts(space.spaces[key]) for key in keys]
        ends = np.cumsum([len(parts) for parts, _ in inner])

        def build(values: Sequence[Any]) -> Any:
            own = [
                make(values[end - len(parts) : end])
                for (parts, make), end in zip(inner, ends, strict=True)
            ]
            return dict(zip(keys, own, strict=True)) if named else tuple(own)

        return [part for parts, _ in inner for part in parts], build
    raise Unusable('is empty' if name in ('Tuple', 'Dict') else f'holds a {name} space')


def _choices(space: Any) -> tuple[list[int], np.ndarray]:
    """Number of values and first value of each of a discrete space's choices; raises Unusable."""
    name = kind(space)
    if name == 'MultiBinary':
        counts = [2] * math.prod(space.shape)
    else:
        counts = [int(space.n)] if name == 'Discrete' else [int(n) for n in np.ravel(space.nvec)]
    if not counts:
        raise Unusable('is empty')
    if sum(counts) > MOST_VALUES and name != 'MultiBinary':
        raise Unusable(f'has {sum(counts)} values, too many for a one-hot vector')
    starts = np.ravel(getattr(space, 'start', 0)).astype(np.int64)
    return counts, np.broadcast_to(starts, len(counts))


def _checked(value: Any, space: Any) -> np.ndarray:
    """A value as an array, if it has its space's shape up to axes of length 1; raises Mismatch."""
    try:
        array = np.asarray(value)
    except ValueError:  # Lists of different lengths.
        array = np.array(None)
    if not _is_real(array.dtype):
        raise Mismatch(f'is {printable(repr(value))}, but its space is {_shown(space)}')
    if [n for n in array.shape if n != 1] != [n for n in space.shape if n != 1]:
        raise Mismatch(f'has shape {array.shape}, but its space has {space.shape}')
    return array


def _bounds(space: Any) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of a box, float64 in its shape; infinite where they are as good as infinite."""
    low, high = np.asarray(space.low, np.float64), np.asarray(space.high, np.float64)
    least, most = -UNBOUNDED, UNBOUNDED
    if np.issubdtype(space.dtype, np.floating):
        most = min(most, float(np.finfo(space.dtype).max))
        least = -most
    elif np.issubdtype(space.dtype, np.signedinteger):
        least, most = max(least, np.iinfo(space.dtype).min), min(most, np.iinfo(space.dtype).max)
    return np.where(low > least, low, -np.inf), np.where(high < most, high, np.inf)


def _row_axis(shape: Sequence[int]) -> int:
    """The first of the two neighbouring axes that are longest."""
    return int(np.argmax([min(pair) for pair in zip(shape, shape[1:], strict=False)]))


def _is_real(dtype: Any) -> bool:
    return any(np.issubdtype(dtype, number) for number in (np.integer, np.floating, np.bool_))


def _leaves(space: Any, path: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any]]:
    name = kind(space)
    if name not in ('Dict', 'Tuple'):
        return [(path, space)]
    inner = space.spaces.items() if name == 'Dict' else enumerate(space.spaces)
    return [leaf for key, part in inner for leaf in _leaves(part, (*path, key))]


def _pick(value: Any, path: Sequence[Any]) -> Any:
    for key in path:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            found = sorted(map(str, value)) if isinstance(value, dict) else type(value).__name__
            raise Mismatch(f'is missing: there is {printable(str(found), 100)}') from None
    return value


def _name(path: Sequence[Any], taken: Any) -> str:
    name = '/'.join(re.sub(r'[^A-Za-z0-9_-]', '_', str(part)) or '_' for part in path)[:60]
    if name in RESERVED or name.startswith('log_'):
        name = f'obs_{name}'
    while name in taken:
        name += '_'
    return name


def _shown(space: Any) -> str:
    """A space in short: its bounds are two numbers, however large it is."""
    if kind(space) != 'Box':
        return printable(' '.join(str(space).split()), 100)
    low, high = _bounds(space)
    least, most = (low.min(), high.max()) if low.size else (0, 0)
    return f'Box({least:g}, {most:g}, {tuple(space.shape)}, {space.dtype})'
