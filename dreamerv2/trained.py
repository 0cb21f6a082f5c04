"""A trained agent: acts, and shows what its world model sees, expects and imagines."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from dreamerv2.config import Config
from dreamerv2.envs import wrap_env
from dreamerv2.envs.contract import Environment
from dreamerv2.errors import UsageError, printable, shown
from dreamerv2.run import build, checkpoint, devices, random_streams
from dreamerv2.run.checkpoint import start_from, zoo
from dreamerv2.run.driver import action_size, environment_action
from dreamerv2.run.evaluation import POLICY_MODES

Policy = Literal['mode', 'sample', 'train']


@dataclasses.dataclass(frozen=True)
class State:
    """Latent states of an agent, one or many: all arrays have the same leading axes.

    Attributes:
        latent: by name, `deter [..., deter]`, `stoch` and the statistics it was drawn from
            (`dreamerv2.nets.rssm`).
        action: the vector of the action chosen in each, `[..., actions]`; zeros where none was.
    """

    latent: Mapping[str, np.ndarray]
    action: np.ndarray

    def __getitem__(self, index: Any) -> State:
        """The states at an index of the leading axes."""
        return State({key: value[index] for key, value in self.latent.items()}, self.action[index])


class TrainedAgent:
    """The agent of a checkpoint, made by `load`.

    Attributes:
        config: the configuration it was trained with.
        path: the checkpoint's folder.
        frames: for how long it was trained, in frames.
        discrete: whether its actions are a choice.
    """

    def __init__(
        self,
        agent: Any,
        saved: checkpoint.Checkpoint,
        config: Config,
        env: Environment,
        seed: int,
    ) -> None:
        self._agent, self._act_space, self._seed = agent, env.act_space, seed
        self._sees = {key: tuple(env.obs_space[key].shape) for key in agent.shapes}
        self.config, self.path, self.frames = config, saved.path, saved.frames
        self.discrete = hasattr(env.act_space, 'n')
        self._imagined = 0  # Number of calls.

    def make_env(self, task: str | None = None, *, seed: int | None = None) -> Environment:
        """An environment with the settings it was trained with.

        Args:
            task: such as `mario_1-2`; None for its own.
            seed: of everything random in it; None for the agent's.

        Raises:
            UsageError: there is no such task, or the agent cannot play it.
        """
        task = task or self.config.task
        seed = random_streams.derive(self._seed, 'evaluation', 1) if seed is None else seed
        env = build.build_env(self.config, task, seed)
        shapes = {
            key: tuple(env.obs_space[key].shape) for key in self._sees if key in env.obs_space
        }
        if shapes != self._sees or action_size(env.act_space) != action_size(self._act_space):
            env.close()
            raise UsageError(
                f'{printable(task)}: the agent of {self.path} cannot play it: it sees '
                f'{_listed(self._sees)}, not {_listed(shapes)}, or has other actions'
            )
        return env

    # Acting

    def act(
        self,
        obs: Mapping[str, Any] | np.ndarray,
        state: State | None = None,
        *,
        policy: Policy = 'mode',
    ) -> tuple[Any, State]:
        """Chooses the next action.

        Args:
            obs: of one environment, as `make_env` gives it; or the image alone.
            state: what the last call returned; None at the start of an episode.
            policy: `mode` is the most probable action, `sample` draws from the actor's
                distribution, `train` adds exploration noise as in training.

        Returns:
            The action, as `env.step` takes it, and the latent state that it follows from.
        """
        if policy not in POLICY_MODES:
            raise UsageError(f'policy {shown(policy)}: expected {" or ".join(POLICY_MODES)}')
        seen: dict[str, Any] = dict(obs) if isinstance(obs, Mapping) else {'image': obs}
        seen.setdefault('is_first', state is None)
        stacked = {key: np.asarray(value)[None] for key, value in seen.items()}
        inner = None
        if state is not None:
            arrays = {'action': state.action, **state.latent}
            inner = self._agent.policy_state({key: value[None] for key, value in arrays.items()})
        vectors, inner = self._agent.policy(stacked, inner, mode=POLICY_MODES[policy])
        latent = {key: value[0] for key, value in self._agent.policy_arrays(inner).items()}
        action = latent.pop('action')
        return environment_action(self._act_space, np.asarray(vectors)[0]), State(latent, action)

    # Looking inside

    def observe(self, episode: Mapping[str, np.ndarray]) -> State:
        """The states of an episode's rows, `[rows, ...]`; the latents are the posteriors' modes.

        Args:
            episode: arrays `[rows, ...]` as in the files of `train_episodes`: what the agent sees,
                and `action` (that led to the row), `reward`, `is_first`, `is_terminal`.
        """
        import tensorflow as tf

        from dreamerv2.agent import latents

        model = self._agent.world_model
        data = self._agent.to_device({key: np.asarray(v)[None] for key, v in episode.items()})
        states = latents.observe(model, data)
        taken = tf.cast(data['action'], tf.float32)
        following = tf.concat([taken[:, 1:], tf.zeros_like(taken[:, :1])], 1)
        return State({key: value[0].numpy() for key, value in states.items()}, following[0].numpy())

    def imagine(
        self, state: State, steps: int, *, actions: Any = None, sample: bool = True
    ) -> State:
        """What follows from states, without seeing anything.

        Args:
            state: from which to go on, `[...]`.
            steps: how many agent steps.
            actions: to be taken, `[steps]` whole numbers or `[steps, actions]` vectors; None for
                those of the policy.
            sample: draw states and actions; else the most probable ones.

        Returns:
            States `[steps + 1, ...]`, that given first, each with the action chosen in it.
        """
        import tensorflow as tf

        agent, model = self._agent, self._agent.world_model
        behavior = agent.actor_critic
        lead = state.action.shape[:-1]
        start = _flat({**state.latent, 'action': state.action}, len(lead))
        count, size = start.pop('action').shape
        self._imagined += 1
        seeds = np.random.SeedSequence([self._seed, 2, self._imagined]).generate_state(4)
        draws = None
        if sample:
            shape = [steps, count, *behavior.noise_shape]
            draws = (
                model.rssm.noise([steps, count], tf.constant(seeds[:2].view(np.int32))),
                tf.random.stateless_uniform(shape, tf.constant(seeds[2:].view(np.int32))),
            )
        if actions is None:
            rows = {key: value[:, None] for key, value in start.items()}
            ended = tf.zeros([count, 1])
            found = model.imagine(
                behavior.actor, rows, ended, steps, draws, differentiable=False, with_states=True
            )
            states, taken = {key: found[key] for key in start}, found['action'][1:]
        else:
            taken = _vectors(actions, steps, size)[:, None].repeat(count, 1)
            later = model.open_loop(start, taken, draws and draws[0])
            states = {key: tf.concat([start[key][None], later[key]], 0) for key in start}
        last = np.zeros((1, count, size), np.float32)
        chosen = np.concatenate([np.asarray(taken, np.float32), last])
        return State(
            {key: np.reshape(v, (steps + 1, *lead, *v.shape[2:])) for key, v in states.items()},
            chosen.reshape(steps + 1, *lead, size),
        )

    def decode(self, state: State) -> dict[str, np.ndarray]:
        """The observations that the world model draws from states `[...]`.

        Images are uint8 `[..., height, width, channels]`, vectors float32, by their keys.
        """
        from dreamerv2.agent import latents

        lead = state.action.shape[:-1]
        model = self._agent.world_model
        found = latents.observations(model, _flat(state.latent, len(lead)))
        arrays = {key: np.asarray(value, np.float32) for key, value in found.items()}
        for key in model.decoder.cnn_keys:
            arrays[key] = (arrays[key] * 255 + 0.5).astype(np.uint8)
        return {key: value.reshape((*lead, *value.shape[1:])) for key, value in arrays.items()}

    def predict(self, state: State) -> dict[str, np.ndarray]:
        """What it expects in states `[...]`, by name, float32.

        `reward [...]`, as it is learned (`clip_rewards`); `end [...]`, the probability that the
        episode ends here (unless `pred_discount` is off); `value [...]`, the critic's estimate of
        the discounted return; `policy [..., actions]`, the probability of each action, or the mean
        of continuous ones.
        """
        from dreamerv2.agent import latents

        lead = state.action.shape[:-1]
        agent = self._agent
        found = latents.predictions(
            agent.world_model,
            agent.actor_critic,
            _flat(state.latent, len(lead)),
            self.config.discount,
        )
        arrays = {key: np.asarray(value, np.float32) for key, value in found.items()}
        return {key: value.reshape((*lead, *value.shape[1:])) for key, value in arrays.items()}


def load(
    source: str | Path,
    *,
    step: int | Literal['best'] | None = None,
    env: Any = None,
    seed: int | None = None,
    device: str | None = None,
    precision: str | None = None,
) -> TrainedAgent:
    """The agent of a run.

    Args:
        source: its logdir, or `zoo:NAME`.
        step: the checkpoint's frames, or 'best'; None: the newest.
        env: for an agent that was trained on an environment of your own, such an environment; only
            its spaces count.
        seed, device, precision: None for those of the run.

    Raises:
        UsageError: there is no such checkpoint, or it does not fit the environment.
    """
    saved = checkpoint.find(zoo.located(source), step, print)
    config = Config.load(saved.config_path)
    seed = config.seed if seed is None else seed
    if env is None:
        levels = build.single_level_tasks(config.task, build.task_sets(config))
        check_names(levels, None, saved.config_path, 'give the environment, load(logdir, env=env)')
        own = build.build_env(config, config.task, 0)
    else:
        own = wrapped(env, config)
    with devices.hidden_native_stderr():
        computer = devices.configure(
            precision or config.precision,
            device=device or config.device,
            gpu_memory=config.gpu_memory,
            say=lambda line: None,
        )
        agent = load_agent(saved, config, own, computer, random_streams.derive(seed, 'evaluation'))
    if env is None:
        own.close()
    return TrainedAgent(agent, saved, config, own, seed)


def load_agent(
    saved: checkpoint.Checkpoint,
    config: Config,
    env: Any,
    device: devices.Device,
    seed: int,
) -> Any:
    """A `dreamerv2.agent.Agent` with the parameters of a checkpoint, for an `Environment`.

    Raises:
        UsageError: its parameters do not fit the environment.
    """
    agent = build.build_agent(config, env.obs_space, env.act_space, device, seed=seed)
    try:
        agent.set_state(start_from.parameters_only(saved.arrays(), agent.get_state()))
    except ValueError as error:
        raise UsageError(
            f'{saved.path} does not fit {env.levels[0]}, whose observations or actions '
            f'differ from those it was trained on: {error}'
        ) from error
    return agent


def check_names(
    levels: Iterable[str], given: Sequence[str] | None, path: Path, remedy: str = ''
) -> None:
    """Raises UsageError where an untrusted configuration would have a module imported.

    Args:
        levels: what is to be played, sets expanded.
        given: the tasks that the user named.
        path: the checkpoint's configuration.
        remedy: what to do if the module is trusted.
    """
    for level in levels:
        if ':' in level and not any(level in task for task in given or []):
            remedy = remedy or f'add --tasks gym_{printable(level, 100)}'
            raise UsageError(
                f'{printable(str(path), 200)} names {shown(level)}, for which the module before '
                f'":" is imported: if you trust it, {remedy}'
            )


def wrapped(env: Any, config: Config, seed: int = 0) -> Environment:
    """An environment of the user's with this project's interface and a configuration's options."""
    return wrap_env(
        env,
        size=config.render_size,
        grayscale=config.grayscale,
        action_repeat=config.action_repeat,
        sticky=config.sticky,
        time_limit=config.time_limit,
        seed=seed,
    )


def _listed(shapes: Mapping[str, Sequence[int]]) -> str:
    return ', '.join(f'{key} {list(shape)}' for key, shape in shapes.items()) or 'nothing of it'


def _flat(arrays: Mapping[str, np.ndarray], axes: int) -> dict[str, Any]:
    """The arrays as tensors, with so many leading axes made one."""
    import tensorflow as tf

    return {k: tf.constant(np.reshape(v, (-1, *v.shape[axes:]))) for k, v in arrays.items()}


def _vectors(actions: Any, steps: int, size: int) -> np.ndarray:
    """Actions as vectors `[steps, size]`, or UsageError."""
    given = np.asarray(actions)
    if given.shape == (steps,) and np.issubdtype(given.dtype, np.integer):
        if steps and not 0 <= given.min() <= given.max() < size:
            raise UsageError(
                f'actions {shown(given.tolist())}: expected numbers from 0 to {size - 1}'
            )
        return np.eye(size, dtype=np.float32)[given]
    if given.shape != (steps, size):
        raise UsageError(
            f'actions of shape {list(given.shape)}: expected [{steps}] whole numbers or '
            f'[{steps}, {size}] vectors'
        )
    return given.astype(np.float32)
