"""This project's environments behind Gymnasium's interface, for agents of other libraries."""

from collections.abc import Callable
from typing import Any

import gymnasium

from dreamerv2.envs.contract import Environment
from dreamerv2.envs.factory import make_env
from dreamerv2.errors import UsageError, shown


class GymnasiumView(gymnasium.Env):
    """The same frames, actions, rewards and endings behind Gymnasium's interface.

    Observations are the image alone where there is one, else a dict of the vectors. Entries that
    are recorded but not learned from (`log_*`) and the level's name are in `info`.

    Args:
        make: makes the environment from a seed, such as
            `lambda seed: make_env('mario_1-1', seed=seed)`; called again by `reset(seed=...)`.
        seed: of the first environment.
    """

    metadata = {'render_modes': ['rgb_array']}
    render_mode = 'rgb_array'

    def __init__(self, make: Callable[[int], Environment], seed: int = 0):
        self._make = make
        self._env = make(seed)
        seen = {
            key: as_gymnasium(space)
            for key, space in self._env.obs_space.items()
            if not key.startswith(('log_', 'is_')) and key not in ('reward', 'level')
        }
        self._image = 'image' in seen
        self._keys = list(seen)
        self.observation_space = seen['image'] if self._image else gymnasium.spaces.Dict(seen)
        self.action_space = as_gymnasium(self._env.act_space)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        if seed is not None:
            self._env.close()
            self._env = self._make(seed)
        return self._split(self._env.reset())

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        obs = self._env.step(action)
        seen, info = self._split(obs)
        terminal = bool(obs['is_terminal'])
        return seen, float(obs['reward']), terminal, bool(obs['is_last']) and not terminal, info

    def render(self) -> Any:
        return self._env.render()

    def close(self) -> None:
        self._env.close()

    def _split(self, obs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        info = {key: value for key, value in obs.items() if key.startswith('log_')}
        info['level'] = self._env.levels[int(obs['level'])]
        seen = {key: obs[key] for key in self._keys}
        return (seen['image'] if self._image else seen), info


def make_view(task: str, render_mode: str = 'rgb_array', **options: Any) -> GymnasiumView:
    """The view of a task.

    Args:
        task: such as `mario_1-1`.
        render_mode: only `rgb_array`.
        **options: see `make_env`.

    Raises:
        UsageError: there is no such task, or an option has an impossible value.
    """
    if render_mode != 'rgb_array':
        raise UsageError(f'render_mode {shown(render_mode)}: expected rgb_array')
    return GymnasiumView(lambda seed: make_env(task, **{'seed': seed, **options}))


def as_gymnasium(space: Any) -> gymnasium.Space:
    """Gymnasium's space for one of Gym's."""
    if hasattr(space, 'n'):
        return gymnasium.spaces.Discrete(int(space.n))
    return gymnasium.spaces.Box(space.low, space.high, space.shape, space.dtype)
