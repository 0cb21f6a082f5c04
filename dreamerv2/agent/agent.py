"""The agent: world model and actor-critic behind three compiled calls (act, learn, report)."""

from __future__ import annotations

import functools
import types
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dreamerv2.agent.acting import Acting, ActingFunctions, from_arrays, to_arrays
from dreamerv2.agent.actor_critic import ActorCritic
from dreamerv2.agent.calls import Seeds, agent_shapes, assign_arrays, compiled, read_arrays
from dreamerv2.agent.cpu.acting_session import ActingSession
from dreamerv2.agent.cpu.overlap import Overlap
from dreamerv2.agent.exploration import behavior_called
from dreamerv2.agent.foresight import foresee
from dreamerv2.agent.learner import Learner
from dreamerv2.agent.pictures import as_uint8, open_loop_videos, reconstructions
from dreamerv2.agent.world_model import WorldModel
from dreamerv2.nets.kernels import PLAIN, Kernels
from dreamerv2.nets.rssm import State

REPORT_SEQUENCES = 6  # Sequences side by side in an open-loop video.
FORESEEN_STEPS, FORESEEN_IMAGES = 15, (5, 15)  # Of `foresee`.


class Agent:
    """DreamerV2 (arXiv:2010.02193).

    Every random number comes from `seed` and a counter of the calls made so far, so that an agent
    with the same state computes the same whatever happened around it.

    Args:
        obs_space: name to Gym space of every observation; `log_*` and the bookkeeping entries
            are not shown to the agent.
        act_space: one Gym space, discrete or a box in [-1, 1].
        config: the configuration (`dreamerv2.config.Config`, or nested dicts like it).
        seed: seeds the weights and every draw.
        precision: `float32`, `bfloat16` or `float16`, the type of the computation.
        xla: compile the learner with XLA (for GPUs; slow on a CPU).
        acting_copy: act with the weights of the last `sync_policy`, so that an update may be
            computed in another thread meanwhile; without it, always with the newest.
        ahead: be ready for `train_ahead` instead of `train`.
        kernels: how the networks are computed, and whether the policy is in the thread that asks
            for it (`ActingSession`); the latter only with `config.jit`.
        levels: names of the levels that the batches' `level` counts; with several of them there
            are metrics by level. The networks never see it.

    Attributes:
        shapes: of what it sees, by name.

    Raises:
        ValueError: where observations and network sizes do not fit.
    """

    def __init__(
        self,
        obs_space: Mapping[str, Any],
        act_space: Any,
        config: Mapping[str, Any],
        *,
        seed: int,
        precision: str,
        xla: bool = False,
        acting_copy: bool = False,
        ahead: bool = False,
        kernels: Kernels = PLAIN,
        levels: Sequence[str] = (),
    ):
        config = types.MappingProxyType(config)  # TensorFlow would change dicts in place.
        dtype, jit = tf.as_dtype(precision), config['jit']
        rng = np.random.default_rng(np.random.SeedSequence([seed, 0]))
        kwargs: dict[str, Any] = {'rng': rng, 'dtype': dtype, 'kernels': kernels}
        self._discrete = hasattr(act_space, 'n')
        self._action_size = int(act_space.n if self._discrete else act_space.shape[0])
        self.shapes = agent_shapes(obs_space)
        self._several_levels = len(levels) > 1
        model = self.world_model = WorldModel(self.shapes, self._action_size, config, **kwargs)
        self.actor_critic = ActorCritic(
            model.rssm.feature_size,
            self._action_size,
            self._discrete,
            config,
            levels=len(levels),
            **kwargs,
        )
        explorer = behavior_called(config['expl_behavior'])
        self.exploration = explorer(model, self.actor_critic, config, **kwargs)
        self.learner = Learner(
            model,
            self.actor_critic,
            self.exploration,
            config,
            scaled=dtype == tf.float16,
            sharded=not ahead,  # Beside a world model's shards they gain nothing.
            levels=levels,
        )
        caller_acts = kernels.caller_acts and jit
        self._acting = Acting(
            model,
            self.actor_critic.actor,
            self.exploration.actor,
            self._discrete,
            config,
            own_copy=(acting_copy or dtype != tf.float32) and not caller_acts,
        )
        self._acting_copy = acting_copy
        self._stale = False  # Whether the next action is to follow from newer weights.
        self._seeds = Seeds(seed)
        self.traces = {'act': 0, 'learn': 0, 'report': 0}
        traced = functools.partial(self._traced, 'act')
        self._calls: ActingSession | ActingFunctions
        if caller_acts:
            self._calls = ActingSession(self._acting, traced)
        else:
            self._calls = ActingFunctions(self._acting, traced, jit)
        self._learn = compiled(self._traced('learn', self.learner.update), jit, xla)
        self._ahead = ahead
        self._overlap = Overlap(
            self.learner, lambda function: compiled(self._traced('learn', function), jit, xla)
        )
        self._reconstruct = compiled(functools.partial(reconstructions, model), jit)
        videos = functools.partial(open_loop_videos, model)
        self._report = compiled(self._traced('report', videos), jit)
        self._begin = compiled(self.learner.begin, jit, xla)
        self._foresee = compiled(
            functools.partial(
                foresee,
                model,
                self.actor_critic,
                config['discount'],
                FORESEEN_STEPS,
                FORESEEN_IMAGES,
            ),
            jit,
        )

    # Acting

    def policy(
        self, obs: Mapping[str, np.ndarray], state: Any = None, mode: str = 'train'
    ) -> tuple[np.ndarray, Any]:
        """Chooses one action for each environment.

        Args:
            obs: stacked observations `[envs, ...]` with `is_first`; other entries are ignored.
            state: what the last call returned, or None at the start.
            mode: `train` (draw, `expl_noise`), `explore` (the same of `expl_behavior`), `eval`
                (mode, `eval_noise`) or `eval_sample` (draw, `eval_noise`).

        Returns:
            Actions `[envs, actions]` float32, one-hot or in [-1, 1], and the next state.
        """
        seen = {k: obs[k] for k in (*self.shapes, 'is_first')}
        if state is None:
            state = self._acting.initial(len(obs['is_first']), self._action_size)
        if self._stale:
            self.sync_policy()
        seed = self._seeds.take('act' if mode in ('train', 'explore') else 'evaluate')
        return self._calls.act(mode, seen, state, seed)

    def policy_arrays(self, state: Any) -> dict[str, np.ndarray]:
        """The state that `policy` returned, as arrays `[envs, ...]` by name; none for None."""
        return to_arrays(state)

    def policy_state(self, arrays: Mapping[str, np.ndarray]) -> Any:
        """The state for `policy` of which `policy_arrays` made these arrays."""
        return from_arrays(arrays)

    def sync_policy(self):
        """Acts with the newest weights from now on; needed only with `acting_copy`."""
        self._calls.sync()
        self._stale = False

    # Learning

    def train(
        self, batch: Mapping[str, np.ndarray], state: State | None = None, step: int = 0
    ) -> tuple[State, dict[str, tf.Tensor]]:
        """One update of world model, actor and critic.

        Args:
            batch: `[batch, length, ...]` as the replay gives it.
            state: latent state behind the last batch; None starts from zeros.
            step: agent steps so far, for the schedules.

        Returns:
            The latent state behind this batch, and metrics by name: scalar tensors, and with
            several levels `LOSS/LEVEL` too, pairs `[sum, rows]` over the rows of the level.

        Raises:
            RuntimeError: an update is not completed; call `finish` first.
        """
        self._check_completed()
        return self._learn(*self._learning(batch, state, step))

    def train_ahead(
        self, batch: Mapping[str, np.ndarray], state: State | None = None, step: int = 0
    ) -> tuple[State, dict[str, tf.Tensor] | None]:
        """As `train`, with actor and critic updated only by the next call, or by `finish`.

        The metrics are those of the update before this one, None for the first. World model and
        actor-critic compute side by side (`dreamerv2/agent/cpu/overlap.py`), to the same result.
        """
        return self._overlap.update(*self._learning(batch, state, step))

    def train_model(
        self, batch: Mapping[str, np.ndarray], state: State | None = None, step: int = 0
    ) -> tuple[State, dict[str, tf.Tensor]]:
        """As `train`, of the world model alone."""
        self._check_completed()
        state, _, metrics = self._begin(*self._learning(batch, state, step))
        return state, metrics

    def finish(self) -> dict[str, tf.Tensor] | None:
        """Completes the pending update of `train_ahead`; its metrics, or None without one."""
        self._stale = not self._acting_copy
        return self._overlap.finish()

    def _learning(self, batch: Mapping[str, np.ndarray], state: State | None, step: int) -> tuple:
        data = self.to_device(batch)
        if state is None:
            state = self.world_model.rssm.initial(data['action'].shape[0])
        self._stale = not self._acting_copy
        seed = tf.constant(self._seeds.take('learn'))
        return data, state, seed, tf.constant(step, tf.int64)

    def to_device(self, batch: Mapping[str, np.ndarray]) -> dict[str, tf.Tensor]:
        """What `train` needs of a batch, as tensors; `train` takes either."""
        keys = (*self.shapes, 'action', 'is_first', 'is_terminal', *self.world_model.needs)
        keys += ('level',) if self._several_levels else ()
        data = {k: tf.convert_to_tensor(batch[k]) for k in keys}
        mask = batch.get('mask')
        mask = tf.ones(data['reward'].shape) if mask is None else tf.cast(mask, tf.float32)
        return {**data, 'mask': mask}

    def warm_up(self, batch: Mapping[str, np.ndarray], envs: int = 1, mode: str = 'train'):
        """Traces and optimises the compiled calls without changing the agent.

        Args:
            batch: any batch of the shapes to come; zeros will do.
            envs: number of environments that will act together.
            mode: the policy's mode that will act.
        """
        before = self.get_state()
        first = {k: np.asarray(batch[k])[:1, 0] for k in (*self.shapes, 'is_first')}
        obs = {k: np.repeat(v, envs, 0) for k, v in first.items()}
        _, state = self.policy(obs, mode=mode)
        self.policy(obs, state, mode=mode)
        if self._ahead:
            self.train_ahead(batch)
            self.finish()
        else:
            self.train(batch)
        self.set_state(before)

    # Looking inside

    def report(self, batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Open-loop video of every image.

        `openloop_KEY`: uint8 `[time, 3 height, batch width, channels]`.
        From top to bottom: truth, model, error; up to six sequences side by side. The model sees
        the first five frames. Sequences of fewer than seven rows give no video.
        """
        if batch['action'].shape[1] < 7:
            return {}
        data = {k: v[:REPORT_SEQUENCES] for k, v in self.to_device(batch).items()}
        return as_uint8(self._report(data, tf.constant(self._seeds.take('report'))))

    def reconstruct(self, batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What the model makes of every image that it sees, by key: uint8, as the batch has them.

        The latents are the modes of the posteriors.
        """
        return as_uint8(self._reconstruct(self.to_device(batch)))

    def foresee(self, batch: Mapping[str, np.ndarray], seed: int = 0) -> dict[str, np.ndarray]:
        """What the model predicts at every row of a batch, up to 15 steps ahead (`foresight`).

        Draws come from `seed` alone, so that looking changes nothing of what training draws.
        """
        found = self._foresee(self.to_device(batch), tf.constant([seed, 0], tf.int32))
        return {name: value.numpy() for name, value in found.items()}

    # State

    def parameters(self) -> dict[str, tf.Variable]:
        """Every weight by its name, such as `rssm/gru/kernel`.

        After assigning to them, call `sync_policy`: a copy may act.
        """
        parts = self.world_model, self.actor_critic, self.exploration
        return {name: value for part in parts for name, value in part.parameters().items()}

    def variables(self) -> dict[str, tf.Variable]:
        """Everything that learning changes, by name: weights, optimizers, counters."""
        found = {f'parameters/{k}': v for k, v in self.parameters().items()}
        found.update(self.learner.variables())
        return found

    def get_state(self) -> dict[str, np.ndarray]:
        """Copies of all variables and of the random-number counters, by name.

        Raises:
            RuntimeError: an update is not completed; call `finish` first.
        """
        self._check_completed()
        return {**read_arrays(self.variables()), **self._seeds.get_state()}

    def set_state(self, arrays: Mapping[str, np.ndarray]):
        """Takes what `get_state` gave.

        Raises:
            ValueError: naming entries that are missing, extra or of another shape; nothing is
                assigned then.
            RuntimeError: an update is not completed; call `finish` first.
        """
        self._check_completed()
        assign_arrays(self.variables(), arrays, others=self._seeds.get_state())
        self._seeds.set_state(arrays)
        self.sync_policy()

    @property
    def updates(self) -> int:
        """Number of learning steps taken."""
        return self._seeds.calls['learn']

    def _check_completed(self):
        if self._overlap.pending:
            raise RuntimeError('an update is not completed: call finish() first')

    def _traced(self, name: str, function):
        def traced(*args):
            self.traces[name] += 1
            return function(*args)

        return traced
