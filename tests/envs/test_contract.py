"""One contract for all environments."""

import numpy as np
import pytest
from env_examples import NewGymnasiumEnv, OldGymEnv, Recorder

from dreamerv2.envs import make_env, wrap_env
from dreamerv2.envs.contract import ContractError, check_env
from dreamerv2.envs.multi_level import MultiLevelEnv

ENVIRONMENTS = {
    'mario': lambda: make_env('mario_3-3', seed=1),
    'mario_in_colour_with_time_limit': lambda: make_env(
        'mario_1-1', seed=1, time_limit=8, grayscale=False, size=(48, 32), action_repeat=2
    ),
    'mario_levels': lambda: make_env('mario_3-3+1-4', seed=2, time_limit=8),
    'atari': lambda: make_env('atari_pong', seed=1),
    'atari_in_colour_with_time_limit': lambda: make_env(
        'atari_qbert', seed=1, time_limit=8, grayscale=False, size=(48, 32), action_repeat=1
    ),
    'atari_games': lambda: make_env('atari_pong+breakout', seed=2, time_limit=8),
    'pixel': lambda: make_env('pixel', seed=1),
    'pixel_with_options': lambda: make_env(
        'pixel_reach', sticky=0.3, action_repeat=3, time_limit=4, grayscale=False, size=(32, 32)
    ),
    'gym_id': lambda: make_env('gym_CartPole-v1', seed=1),
    'gym_id_with_box_actions': lambda: make_env('gym_Pendulum-v1', time_limit=30),
    'gym_id_with_discrete_observation': lambda: make_env('gym_FrozenLake-v1', sticky=0.5),
    'gym_id_of_gym_alone': lambda: make_env('gym_CliffWalking-v0', time_limit=20),
    'gym_levels': lambda: make_env('gym_CartPole-v0+CartPole-v1', level_weights=[1, 3]),
    'old_gym_object': lambda: wrap_env(OldGymEnv(), seed=3),
    'old_gym_object_truncated': lambda: wrap_env(OldGymEnv(truncated=True), action_repeat=4),
    'new_gymnasium_object': lambda: wrap_env(NewGymnasiumEnv(), size=(16, 24)),
    'new_gymnasium_object_truncated': lambda: wrap_env(NewGymnasiumEnv(ends='truncated')),
    'own_environment': lambda: wrap_env(Recorder(frames=7)),
    'own_levels': lambda: MultiLevelEnv({'a': Recorder, 'b': lambda: Recorder(frames=3)}),
}


@pytest.mark.parametrize('name', ENVIRONMENTS)
def test_contract(name):
    env = ENVIRONMENTS[name]()
    check_env(env, max_steps=60)
    env.close()
    env.close()
    with pytest.raises(RuntimeError):
        env.step(0)


def broken_by(change):
    """A Recorder whose observations go through a function first."""

    class Broken(Recorder):
        def _assemble(self, *args, **kwargs):
            return change(self, super()._assemble(*args, **kwargs))

    return Broken(frames=4)


def test_check_finds_what_is_wrong():
    shared = np.zeros(1, np.float32)

    def live_view(env, observation):
        shared[0] = len(env.executed) / 1000
        return {**observation, 'vector': shared}

    faults = {
        'keys': lambda env, o: {**o, 'extra': np.float32(0)},
        'is float64': lambda env, o: {**o, 'reward': np.float64(o['reward'])},
        'shape': lambda env, o: {**o, 'vector': np.ones(2, np.float32)},
        'not finite': lambda env, o: {**o, 'reward': np.float32(np.nan)},
        'outside': lambda env, o: {**o, 'level': np.int32(1)},
        'is a float': lambda env, o: {**o, 'reward': 0.0},
        'is_first': lambda env, o: {**o, 'is_first': np.bool_(True)},
        'without is_last': lambda env, o: {**o, 'is_terminal': np.bool_(True)},
        'first reward': lambda env, o: {**o, 'reward': np.float32(1)},
        'differs': lambda env, o: {
            **o,
            'vector': np.full(1, np.random.default_rng().random(), np.float32),
        },
        'changed after': live_view,
    }
    for message, change in faults.items():
        with pytest.raises(ContractError, match=message):
            check_env(broken_by(change))
