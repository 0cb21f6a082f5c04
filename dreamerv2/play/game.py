"""An agent and its game, step by step, with everything that there is to see."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from dreamerv2.envs import parse_task
from dreamerv2.envs.contract import Environment
from dreamerv2.envs.episodic import as_rgb
from dreamerv2.errors import UsageError, shown
from dreamerv2.run import build
from dreamerv2.run.metrics.video import captioned, enlarge, observation_picture
from dreamerv2.trained import Policy, State, TrainedAgent

SIDE = 240  # Height of the pictures of a video, in pixels.


@dataclasses.dataclass(frozen=True)
class View:
    """What is seen at one step; pictures are RGB, uint8 `[height, width, 3]`.

    Attributes:
        level: its name.
        steps: agent steps of the episode.
        total: return so far.
        progress, completed: as far as the game reports them.
        over: whether the episode has ended.
        dreamt: number of imagined steps; 0 in the game itself.
        screen: the game's own picture, None where there is none.
        seen: what the agent sees, None in a dream and without pictures.
        drawn: what its world model draws.
        value, reward, end: what it expects, `TrainedAgent.predict`.
        policy: probability of each action, or the mean of continuous ones.
        chosen: the action that it chose, None in a dream.
    """

    level: str
    steps: int
    total: float
    progress: float | None
    completed: bool
    over: bool
    dreamt: int
    screen: np.ndarray | None
    seen: np.ndarray | None
    drawn: np.ndarray | None
    value: float
    reward: float
    end: float | None
    policy: list[float]
    chosen: int | None

    @property
    def summary(self) -> str:
        """The episode in a few words."""
        said = f'{self.level}: return {self.total:.0f} after {self.steps} steps'
        if self.progress is not None:
            said += f', progress {self.progress:.2f}'
        return f'{said}, completed' if self.completed else said


class Game:
    """Plays a level with an agent.

    Args:
        agent: acts.
        task: what to play; None for the agent's own. Of several levels the first.
        policy: `mode`, `sample` or `train`.

    Attributes:
        levels: names of the levels that may be played.
        actions: names of the actions.
        now: the latest view.

    Raises:
        UsageError: there is no such task, or the agent cannot play it.
    """

    now: View
    _awake: View
    _env: Environment
    _state: State | None
    _dream: State | None

    def __init__(self, agent: TrainedAgent, task: str | None, policy: Policy = 'sample') -> None:
        self._agent, self.policy = agent, policy
        task = task or agent.config.task
        sets = build.task_sets(agent.config)
        self._tasks = build.single_level_tasks(task, sets)
        if parse_task(task, sets).family == 'mario':
            every = [f'{world}-{stage}' for world in range(1, 9) for stage in range(1, 5)]
            self._tasks |= {name: f'mario_{name}' for name in every if name not in self._tasks}
        self.levels = list(self._tasks)
        self._level = ''
        self.begin(self.levels[0])
        self.actions = _action_names(self._env)

    def begin(self, level: str | None = None) -> View:
        """Starts an episode, of another level if one is named.

        Raises:
            UsageError: there is no such level, or the agent cannot play it.
        """
        level = level or self._level
        if not isinstance(level, str) or level not in self._tasks:
            raise UsageError(f'level {shown(level)}: expected one of {", ".join(self.levels)}')
        if level != self._level:
            env = self._agent.make_env(self._tasks[level])
            if self._level:
                self._env.close()
            self._env, self._level = env, level
        self._steps, self._total, self._state = 0, 0.0, None
        return self._look(self._env.reset())

    def step(self, action: int | None = None) -> View:
        """One agent step: the agent's own action, or another; a new episode after the last one.

        Raises:
            UsageError: there is no such action.
        """
        if self.wake().over:
            return self.begin()
        assert self._state is not None
        taken = self._action
        if action is not None:
            taken = self._checked(action)
            vector = np.eye(len(self.now.policy), dtype=np.float32)[taken]
            self._state = dataclasses.replace(self._state, action=vector)
        obs = self._env.step(taken)
        self._steps += 1
        self._total += float(obs['reward'])
        return self._look(obs)

    def dream(self, action: int | None = None) -> View:
        """One imagined step, from here or from the last imagined one.

        Raises:
            UsageError: there is no such action.
        """
        start = self._dream or self._state
        assert start is not None
        given = None if action is None else [self._checked(action)]
        sample = self.policy != 'mode'
        self._dream = self._agent.imagine(start, 1, actions=given, sample=sample)[1]
        self._dreamt += 1
        self.now = dataclasses.replace(
            self.now, seen=None, chosen=None, dreamt=self._dreamt, **self._inside(self._dream)
        )
        return self.now

    def wake(self) -> View:
        """Back from a dream to where the game is."""
        self._dream, self._dreamt = None, 0
        self.now = self._awake
        return self.now

    def close(self) -> None:
        """Closes the environment."""
        self._env.close()

    def _look(self, obs: Mapping[str, Any]) -> View:
        self._action, self._state = self._agent.act(obs, self._state, policy=self.policy)
        self._awake = View(
            level=self._env.levels[int(obs.get('level', 0))],
            steps=self._steps,
            total=self._total,
            progress=float(obs['log_progress']) if 'log_progress' in obs else None,
            completed=bool(obs.get('log_completed', False)),
            over=bool(obs['is_last']),
            dreamt=0,
            screen=self._env.render(),
            seen=observation_picture(dict(obs)),
            chosen=int(self._action) if self._agent.discrete else None,
            **self._inside(self._state),
        )
        return self.wake()

    def _inside(self, state: State) -> dict[str, Any]:
        expected, drawn = self._agent.predict(state), self._agent.decode(state)
        images = [as_rgb(value) for value in drawn.values() if value.dtype == np.uint8]
        return {
            'drawn': images[0] if images else None,
            'value': float(expected['value']),
            'reward': float(expected['reward']),
            'end': float(expected['end']) if 'end' in expected else None,
            'policy': [float(share) for share in expected['policy']],
        }

    def _checked(self, action: Any) -> int:
        if not self._agent.discrete:
            raise UsageError('the actions of this game are numbers: only the agent can play it')
        if not isinstance(action, int) or not 0 <= action < len(self.now.policy):
            raise UsageError(f'action {shown(action)}: expected 0 to {len(self.now.policy) - 1}')
        return action


def picture(view: View) -> np.ndarray:
    """A view as a picture: the game, what the agent sees and what it draws, side by side."""
    shown_ones = [image for image in (view.screen, view.seen, view.drawn) if image is not None]
    resized = []
    for image in shown_ones or [np.zeros((SIDE, SIDE, 3), np.uint8)]:
        tall = enlarge(image, SIDE)
        width = round(tall.shape[1] * SIDE / tall.shape[0])
        resized.append(cv2.resize(tall, (width, SIDE), interpolation=cv2.INTER_AREA))
    return captioned(
        np.concatenate(resized, 1),
        f'{view.level}  step {view.steps}  return {view.total:.0f}  value {view.value:.1f}',
    )


def _action_names(env: Environment) -> list[str]:
    actions = env.describe().get('options', {}).get('actions')
    if actions is not None:
        from dreamerv2.envs.mario import button_names

        return ['+'.join(buttons) for buttons in button_names(actions)]
    space = env.act_space
    return [str(index) for index in range(space.n if hasattr(space, 'n') else space.shape[0])]
