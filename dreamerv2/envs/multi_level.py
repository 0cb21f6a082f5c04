"""Several environments as one; each episode plays one drawn at random."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from dreamerv2.envs.contract import Action, Environment, Observation, bookkeeping_spaces
from dreamerv2.errors import UsageError


def normalize_weights(weights: Sequence[float] | None, count: int) -> np.ndarray:
    """Probabilities of the levels, float64 `[count]`.

    Args:
        weights: one number from 0 for each level, not all 0; None or empty: uniform.
        count: number of levels.

    Raises:
        UsageError: another number of weights, or impossible ones.
    """
    if weights is None or len(weights) == 0:
        return np.full(count, 1 / count)
    array = np.asarray(weights, np.float64)
    if array.shape != (count,):
        raise UsageError(f'level_weights has {len(weights)} numbers for {count} level(s)')
    if not np.isfinite(array).all() or (array < 0).any() or array.sum() <= 0:
        raise UsageError(f'level_weights {list(weights)}: expected numbers from 0, not all 0')
    return array / array.sum()


def difference(first: Environment, second: Environment) -> str | None:
    """How the spaces of two environments differ, in words; None if they are equal."""
    if first.act_space != second.act_space:
        return f'the actions are {first.act_space} in one and {second.act_space} in the other'
    for key in sorted(first.obs_space.keys() | second.obs_space.keys()):
        one, other = first.obs_space.get(key), second.obs_space.get(key)
        if key != 'level' and one != other:
            return f'{key!r} is {one or "missing"} in one and {other or "missing"} in the other'
    if first.action_repeat != second.action_repeat:
        return f'the actions are repeated {first.action_repeat} and {second.action_repeat} times'
    return None


class MultiLevelEnv(Environment):
    """Plays one of several environments in each episode, without telling the agent which.

    Environments are made when first drawn, except the first of the list, whose spaces are needed.

    Args:
        makers: name -> function that makes the environment, in the order of `level`.
        weights: how often each is drawn; None: uniform.
        seed: seed of the draws.
        details: entries of `describe` in place of the first environment's, JSON-able.

    Raises:
        UsageError: impossible weights; from `reset`: an environment whose spaces differ.
    """

    def __init__(
        self,
        makers: Mapping[str, Callable[[], Environment]],
        *,
        weights: Sequence[float] | None = None,
        seed: int = 0,
        details: Mapping[str, Any] | None = None,
    ):
        self.levels = list(makers)
        self.seed = seed
        self._details = details or {}
        self._makers = dict(makers)
        self._probabilities = normalize_weights(weights, len(self.levels))
        self._rng = np.random.default_rng(seed)
        self._made: dict[str, Environment] = {}
        self._states: dict[str, Any] = {}  # of environments that are not made yet
        self._fresh: dict[str, Any] = {}  # of those made, when they were made
        self._level = 0
        self._playing = False
        first = self._get(0)
        self.act_space = first.act_space
        self.obs_space = {**first.obs_space, 'level': bookkeeping_spaces(len(makers))['level']}
        self.action_repeat = first.action_repeat

    def reset(self) -> Observation:
        self._level = int(self._rng.choice(len(self.levels), p=self._probabilities))
        env = self._get(self._level)
        self._playing = True
        return {**env.reset(), 'level': np.int32(self._level)}

    def step(self, action: Action) -> Observation:
        if not self._playing:
            raise RuntimeError('no episode was started: call reset() first')
        return {**self._get(self._level).step(action), 'level': np.int32(self._level)}

    def render(self) -> np.ndarray | None:
        return self._get(self._level).render()

    def get_state(self) -> dict[str, Any]:
        # Without what has not changed since it was made, so that equal states are described
        # equally.
        made = {name: env.get_state() for name, env in self._made.items()}
        used = {name: state for name, state in made.items() if state != self._fresh[name]}
        return {'rng': self._rng.bit_generator.state, 'levels': {**self._states, **used}}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._rng.bit_generator.state = state['rng']
        self._states = dict(state['levels'])
        self._playing = False
        for name, env in self._made.items():
            env.set_state(self._states.pop(name, self._fresh[name]))

    def describe(self) -> dict[str, Any]:
        first = self._get(0).describe()
        return {
            **first,
            **self._details,
            'name': first['name'].removesuffix(self.levels[0]) + '+'.join(self.levels),
            'levels': self.levels,
            'level_weights': [float(probability) for probability in self._probabilities],
            'options': {**first['options'], 'seed': self.seed},
        }

    def close(self) -> None:
        self._playing = False
        for env in self._made.values():
            env.close()

    def _get(self, index: int) -> Environment:
        name = self.levels[index]
        if name not in self._made:
            env = self._makers[name]()
            if self._made:
                first = self._made[self.levels[0]]
                reason = difference(first, env)
                if reason:
                    env.close()
                    raise UsageError(
                        f'{self.levels[0]} and {name} cannot be played by one agent: {reason}'
                    )
            self._fresh[name] = env.get_state()
            if name in self._states:
                env.set_state(self._states.pop(name))
            self._made[name] = env
        return self._made[name]
