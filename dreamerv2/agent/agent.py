"""The agent: world model and actor-critic behind three compiled calls (act, learn, report)."""

from __future__ import annotations

import functools
import types
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dreamerv2.agent import latents
from dreamerv2.agent.acting import Acting, ActingFunctions
from dreamerv2.agent.actor_critic import ActorCritic
from dreamerv2.agent.calls import Seeds, check_fit, compiled
from dreamerv2.agent.cpu.acting_session import ActingSession
from dreamerv2.agent.cpu.overlap import Overlap
from dreamerv2.agent.exploration import behavior_called
from dreamerv2.agent.learner import Learner
from dreamerv2.agent.world_model import WorldModel
from dreamerv2.nets.layers import PLAIN, Kernels
from dreamerv2.nets.rssm import State

HIDDEN = ('reward', 'is_first', 'is_last', 'is_terminal', 'level')  # Not shown to the agent.
Batch = Mapping[str, np.ndarray]
Tensors = dict[str, tf.Tensor]
Updated = tuple[State, Tensors]

REPORT_SEQUENCES = 6  # Sequences side by side in an open-loop video.
FORESEEN_STEPS, FORESEEN_IMAGES = 15, (5, 15)  # Of `foresee`.


class Agent:
    """DreamerV2 (arXiv:2010.02193).

    Every random number comes from `seed` and a counter of the calls made so far, so that an agent
    with the same state computes the same whatever happened around it.

    Args:
        obs_space: name to Gym space of every observation; `HIDDEN` and `log_*` ones are not seen.
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
        made: dict[str, Any] = {'rng': rng, 'dtype': dtype, 'kernels': kernels}
        discrete = hasattr(act_space, 'n')
        self._action_size = int(act_space.n if discrete else act_space.shape[0])
        self.shapes = {
            key: tuple(space.shape)
            for key, space in obs_space.items()
            if key not in HIDDEN and not key.startswith('log_')
        }
        self._several_levels = len(levels) > 1
        self.world_model = model = WorldModel(self.shapes, self._action_size, config, **made)
        sizes = model.rssm.feature_size, self._action_size
        self.actor_critic = ActorCritic(*sizes, discrete, config, levels=len(levels), **made)
        explorer = behavior_called(config['expl_behavior'])
        self.exploration = explorer(model, self.actor_critic, config, **made)
        self.learner = Learner(
            model,
            self.actor_critic,
            self.exploration,
            config,
            scaled=dtype == tf.float16,
            sharded=not ahead,  # Beside a world model's shards they gain nothing.
            levels=levels,
        )
        self._acting_copy, self._ahead = acting_copy, ahead
        self._stale = False  # Whether the next action is to follow from newer weights.
        self._seeds = Seeds(seed)
        self.traces = {'act': 0, 'learn': 0, 'report': 0}
        caller_acts = kernels.caller_acts and jit
        self._acting = Acting(
            model,
            self.actor_critic.actor,
            self.exploration.actor,
            discrete,
            config,
            own_copy=(acting_copy or dtype != tf.float32) and not caller_acts,
        )
        traced = functools.partial(self._traced, 'act')
        self._calls: ActingSession | ActingFunctions
        if caller_acts:
            self._calls = ActingSession(self._acting, traced)
        else:
            self._calls = ActingFunctions(self._acting, traced, jit)

        def learning(function):
            return compiled(self._traced('learn', function), jit, xla)

        self._learn = learning(self.learner.update)
        self._overlap = Overlap(self.learner, learning)
        self._begin = compiled(self.learner.begin, jit, xla)
        self._reconstruct = compiled(functools.partial(latents.reconstructions, model), jit)
        videos = functools.partial(latents.open_loop_videos, model)
        self._report = compiled(self._traced('report', videos), jit)
        shown = config['discount'], FORESEEN_STEPS, FORESEEN_IMAGES
        foresee = functools.partial(latents.foresee, model, self.actor_critic, *shown)
        self._foresee = compiled(foresee, jit)

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
        if state is None:
            return {}
        latent, action = state
        return {key: np.array(value) for key, value in {'action': action, **latent}.items()}

    def policy_state(self, arrays: Mapping[str, np.ndarray]) -> Any:
        """The state for `policy` of which `policy_arrays` made these arrays."""
        if not arrays:
            return None
        tensors = {key: tf.convert_to_tensor(value) for key, value in arrays.items()}
        action = tensors.pop('action')
        return tensors, action

    def sync_policy(self):
        """Acts with the newest weights from now on; needed only with `acting_copy`."""
        self._calls.sync()
        self._stale = False

    # Learning

    def train(self, batch: Batch, state: State | None = None, step: int = 0) -> Updated:
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
        self, batch: Batch, state: State | None = None, step: int = 0
    ) -> tuple[State, Tensors | None]:
        """As `train`, with actor and critic updated only by the next call, or by `finish`.

        The metrics are those of the update before this one, None for the first. World model and
        actor-critic compute side by side (`dreamerv2/agent/cpu/overlap.py`), to the same result.
        """
        return self._overlap.update(*self._learning(batch, state, step))

    def train_model(self, batch: Batch, state: State | None = None, step: int = 0) -> Updated:
        """As `train`, of the world model alone."""
        self._check_completed()
        state, _, metrics = self._begin(*self._learning(batch, state, step))
        return state, metrics

    def finish(self) -> Tensors | None:
        """Completes the pending update of `train_ahead`; its metrics, or None without one."""
        self._stale = not self._acting_copy
        return self._overlap.finish()

    def _learning(self, batch: Batch, state: State | None, step: int) -> tuple:
        data = self.to_device(batch)
        if state is None:
            state = self.world_model.rssm.initial(data['action'].shape[0])
        self._stale = not self._acting_copy
        seed = tf.constant(self._seeds.take('learn'))
        return data, state, seed, tf.constant(step, tf.int64)

    def to_device(self, batch: Batch) -> Tensors:
        """What `train` needs of a batch, as tensors; `train` takes either."""
        keys = (*self.shapes, 'action', 'is_first', 'is_terminal', *self.world_model.needs)
        keys += ('level',) if self._several_levels else ()
        data = {k: tf.convert_to_tensor(batch[k]) for k in keys}
        mask = batch.get('mask')
        mask = tf.ones(data['reward'].shape) if mask is None else tf.cast(mask, tf.float32)
        return {**data, 'mask': mask}

    def warm_up(self, batch: Batch, envs: int = 1, mode: str = 'train'):
        """Traces and optimises the compiled calls without changing the agent.

        `batch` is any of the shapes to come, zeros will do; `envs` environments will act together
        in the policy's `mode`.
        """
        before = self.get_state()
        seen = (*self.shapes, 'is_first')
        obs = {k: np.repeat(np.asarray(batch[k])[:1, 0], envs, 0) for k in seen}
        _, state = self.policy(obs, mode=mode)
        self.policy(obs, state, mode=mode)
        if self._ahead:
            self.train_ahead(batch)
            self.finish()
        else:
            self.train(batch)
        self.set_state(before)

    # Looking inside

    def report(self, batch: Batch) -> dict[str, np.ndarray]:
        """Open-loop video of every image, `openloop_KEY` (`latents.open_loop_videos`), as uint8.

        Up to six sequences side by side; those of fewer than seven rows give no video.
        """
        if batch['action'].shape[1] < 7:
            return {}
        data = {k: v[:REPORT_SEQUENCES] for k, v in self.to_device(batch).items()}
        return _as_uint8(self._report(data, tf.constant(self._seeds.take('report'))))

    def reconstruct(self, batch: Batch) -> dict[str, np.ndarray]:
        """What the model makes of every image (`latents.reconstructions`), by key, uint8."""
        return _as_uint8(self._reconstruct(self.to_device(batch)))

    def foresee(self, batch: Batch, seed: int = 0) -> dict[str, np.ndarray]:
        """What the model predicts at every row of a batch, up to 15 steps ahead, see `latents`.

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
        """Copies of all variables and random-number counters; RuntimeError as in `train`."""
        self._check_completed()
        arrays = {name: np.array(value.numpy()) for name, value in self.variables().items()}
        return {**arrays, **self._seeds.get_state()}

    def set_state(self, arrays: Mapping[str, np.ndarray]):
        """Takes what `get_state` gave.

        Raises:
            ValueError: naming entries that are missing, extra or of another shape; nothing is
                assigned then.
            RuntimeError: as in `train`.
        """
        self._check_completed()
        variables = self.variables()
        check_fit({**variables, **self._seeds.get_state()}, arrays)
        for name, variable in variables.items():
            variable.assign(arrays[name])
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


def _as_uint8(images: Mapping[str, tf.Tensor]) -> dict[str, np.ndarray]:
    """Images in [0, 1] as bytes, by key."""
    return {key: (value.numpy() * 255 + 0.5).astype(np.uint8) for key, value in images.items()}
