"""The Mario environment is the package's, frame by frame."""

import pathlib

import numpy as np
import pytest

from dreamerv2.envs import make_env

TRACES = np.load(pathlib.Path(__file__).parents[1] / 'reference' / 'mario_traces.npz')


@pytest.mark.parametrize('level', ['3-1', '3-2', '3-3', '3-4'])
def test_reproduces_reference_trace(level):
    env = make_env(f'mario_{level}', sticky=0.0)
    images = TRACES[f'{level}/image']
    observation = env.reset()
    assert observation['image'].shape == (64, 64, 1)
    np.testing.assert_array_equal(observation['image'][:, :, 0], images[0])
    for step, action in enumerate(TRACES[f'{level}/action']):
        observation = env.step(int(action))
        np.testing.assert_array_equal(observation['image'][:, :, 0], images[step + 1])
        assert observation['reward'] == TRACES[f'{level}/reward'][step]
        assert observation['is_last'] == TRACES[f'{level}/done'][step]
        assert observation['is_terminal'] == observation['is_last']
        assert observation['log_x'] == TRACES[f'{level}/x_pos'][step]
    env.close()
