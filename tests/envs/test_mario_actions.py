"""Sets of actions in Mario: by name, or as a list of buttons."""

import numpy as np
import pytest

from dreamerv2.config import load_config
from dreamerv2.envs import make_env
from dreamerv2.envs.mario import button_bytes, button_names
from dreamerv2.errors import UsageError
from dreamerv2.run.build import env_options


def test_named_sets_are_those_of_the_package():
    assert [len(button_names(name)) for name in ('complex', 'simple', 'right_only')] == [12, 7, 5]
    assert button_names('right_only')[-1] == ['right', 'A', 'B']


def test_buttons_of_a_list():
    assert button_names(['NOOP', 'right+A']) == [['NOOP'], ['right', 'A']]
    assert button_bytes(button_names(['NOOP', 'right+A', 'down'])) == (0, 129, 32)
    for wrong in ('complicated', ['right+C', 'NOOP']):
        with pytest.raises(UsageError, match='mario_actions'):
            button_names(wrong)


def frames(actions, indices):
    env = make_env('mario_1-1', sticky=0.0, mario_actions=actions)
    try:
        seen = [env.reset()['image']] + [env.step(index)['image'] for index in indices]
        return np.stack(seen), env.act_space.n, env.describe()['options']['actions']
    finally:
        env.close()


def test_the_same_buttons_play_the_same_game():
    right = [['right'], ['right', 'A']]
    numbers = [[button_names(name).index(x) for x in right] for name in ('complex', 'right_only')]
    games = [
        frames(actions, [first] * 8 + [second] * 8)
        for actions, (first, second) in zip(
            ['complex', 'right_only', ['right', 'right+A']], [*numbers, [0, 1]], strict=True
        )
    ]
    assert [number for _, number, _ in games] == [12, 5, 2]
    assert [name for *_, name in games] == ['complex', 'right_only', ['right', 'right+A']]
    for images, _, _ in games[1:]:
        np.testing.assert_array_equal(images, games[0][0])
    assert len(np.unique(games[0][0].reshape(17, -1), axis=0)) > 10


@pytest.mark.parametrize(
    ('given', 'value'),
    [
        (['simple'], 'simple'),
        (['NOOP', 'A+right', 'right'], ('NOOP', 'right+A', 'right')),
        (['NOOP,right'], ('NOOP', 'right')),
    ],
)
def test_flags(given, value, tmp_path):
    config = load_config(['--mario_actions', *given, '--logdir', str(tmp_path)])
    assert config.mario_actions == value
    config.save(tmp_path / 'config.yaml')
    assert type(config).load(tmp_path / 'config.yaml').mario_actions == value
    assert env_options(config, 'mario_1-1')['mario_actions'] == value


@pytest.mark.parametrize(
    'given', [['rihgt'], ['right'], ['right', 'right'], ['right+right', 'A'], ['A+B', 'B+A']]
)
def test_flags_that_name_no_set(given):
    with pytest.raises(UsageError, match=r'mario_actions.*complex, simple, right_only'):
        load_config(['--mario_actions', *given])
