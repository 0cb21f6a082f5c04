"""The old and the new interface of Gym environments, behind one.

Until Gym 0.25 `reset()` returned an observation, `step()` returned `(observation, reward, done,
info)`, and a method `seed(seed)` seeded it. Since then, and in Gymnasium, `reset(seed=, options=)`
returns `(observation, info)` and `step()` returns five values. The libraries' own wrappers (such as
the time limit that `make` adds) insist on the new interface, whatever they wrap.
"""

import contextlib
import inspect
from typing import Any

from dreamerv2.errors import UsageError, printable


def split_reset(result: Any) -> Any:
    """The observation in what `reset` returned: itself (old interface) or `(observation, info)`."""
    if isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict):
        return result[0]
    return result


def split_step(result: Any) -> tuple[Any, float, bool, bool]:
    """What `step` returned, in one form.

    Args:
        result: `(observation, reward, done, info)`, where `info['TimeLimit.truncated']` marks a
            time limit, or `(observation, reward, terminated, truncated, info)`.

    Returns:
        observation, reward, terminated, truncated.

    Raises:
        UsageError: another number of entries, or a reward that is not one number.
    """
    count = len(result) if isinstance(result, (tuple, list)) else 1
    if count not in (4, 5):
        raise UsageError(f'step() returned {count} values: expected 4 (Gym) or 5 (Gymnasium)')
    observation, reward, terminated, *rest = result
    try:
        number = float(reward)
    except (TypeError, ValueError):
        raise UsageError(
            f'step() returned the reward {printable(repr(reward))}: expected one number'
        ) from None
    if count == 5:
        return observation, number, bool(terminated), bool(rest[0])
    done, info = bool(terminated), rest[0]
    truncated = done and isinstance(info, dict) and bool(info.get('TimeLimit.truncated'))
    return observation, number, done and not truncated, truncated


class Modern:
    """Gives a library's wrapper the interface it expects; attributes are passed through.

    Args:
        env: what is wrapped.
        resets: whether `reset` has to give `(observation, info)`.
        steps: whether `step` has to give five values.
    """

    def __init__(self, env: Any, resets: bool, steps: bool):
        self.__dict__.update(env=env, _resets=resets, _steps=steps)

    def __getattr__(self, name: str) -> Any:
        if name == 'env':  # While it is being copied it has no attributes yet.
            raise AttributeError(name)
        return getattr(self.env, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.env, name, value)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        given = {'seed': seed, 'options': options}
        kept = {k: v for k, v in given.items() if v is not None and _accepts(self.env.reset, k)}
        result = self.env.reset(**kept)
        observation = split_reset(result)
        return (observation, {}) if self._resets and observation is result else result

    def step(self, action: Any) -> Any:
        result = self.env.step(action)
        return (*split_step(result), result[-1]) if self._steps else result


def modernize(env: Any) -> None:
    """Put a `Modern` below every wrapper of the libraries.

    New environments are passed through unchanged; old ones would make those wrappers fail. Wrappers
    that merely pass results on, and those of others, get what they always got.
    """
    for wrapper in filter(_is_wrapper, _layers(env)):
        reset, step = type(wrapper).reset, type(wrapper).step
        if not isinstance(wrapper.env, Modern) and (_is_of_library(reset) or _is_of_library(step)):
            wrapper.env = Modern(wrapper.env, _unpacks(reset), _unpacks(step))


def takes_seed(env: Any) -> bool:
    """Whether a seed has an effect, given to `reset` or to a method `seed`."""
    layers = _layers(env)
    return _accepts(layers[-1].reset, 'seed') or _seed_method(layers) is not None


def reset(env: Any, seed: int) -> Any:
    """Start an episode that follows from the seed, as far as the environment can be seeded.

    Returns:
        The observation.
    """
    layers = _layers(env)
    accepting = [_accepts(layer.reset, 'seed') for layer in layers]
    if all(accepting):
        try:
            return split_reset(env.reset(seed=seed))
        except TypeError as error:  # Passed on to something that cannot be inspected.
            if "argument 'seed'" not in str(error):
                raise
    # A wrapper rejects the argument, or has none: seed what it wraps, and reset without.
    elif method := _seed_method(layers):
        method(seed)
    elif accepting[-1]:
        layers[-1].reset(seed=seed)
    return split_reset(env.reset())


def _layers(env: Any) -> list[Any]:
    """The environment, what it wraps, and so on; `Modern` is left out."""
    found = [env]
    while _is_wrapper(found[-1]):
        inside = found[-1].env
        found.append(inside.env if isinstance(inside, Modern) else inside)
    inner = getattr(found[-1], 'unwrapped', found[-1])
    return found if inner is found[-1] else [*found, inner]


def _is_wrapper(env: Any) -> bool:
    """Whether it is a wrapper of Gym or Gymnasium."""
    parents = type(env).__mro__
    return any(parent.__name__ == 'Wrapper' and _is_of_library(parent) for parent in parents)


def _seed_method(layers: list[Any]) -> Any:
    """The outermost method `seed` that takes a seed, or None."""
    for layer in layers:
        method = getattr(layer, 'seed', None)
        if callable(method):
            with contextlib.suppress(TypeError, ValueError):
                inspect.signature(method).bind(0)
                return method
    return None


def _is_of_library(thing: Any) -> bool:
    """Whether a class or function is Gym's or Gymnasium's own."""
    return thing.__module__.partition('.')[0] in ('gym', 'gymnasium')


def _unpacks(function: Any) -> bool:
    """Whether a wrapper's method is a library's and does more than pass the result on."""
    return _is_of_library(function) and not function.__qualname__.startswith('Wrapper.')


def _accepts(function: Any, name: str) -> bool:
    """Whether a function takes an argument of this name."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # Not written in Python.
        return False
    kinds = [parameter.kind for parameter in parameters.values()]
    return name in parameters or inspect.Parameter.VAR_KEYWORD in kinds
