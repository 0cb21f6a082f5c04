"""The command that trains and scores a world model alone."""

import re

import numpy as np
import pytest

from dreamerv2 import world_model
from dreamerv2.envs import make_env
from dreamerv2.replay import Replay

SMALL = ['--configs', 'mario_small', 'debug', '--task', 'mario_1-1', '--grayscale', 'False']


@pytest.fixture(scope='module')
def episodes(tmp_path_factory):
    folder = tmp_path_factory.mktemp('recorded')
    replay = Replay(folder, levels=['1-1'])
    env = make_env('mario_1-1', grayscale=False, time_limit=30)
    rng = np.random.default_rng(0)
    for _ in range(3):
        row = {**env.reset(), 'action': np.zeros(12, np.float32)}
        replay.add_step(row)
        while not row['is_last']:
            action = int(rng.integers(12))
            row = {**env.step(action), 'action': np.eye(12, dtype=np.float32)[action]}
            replay.add_step(row)
    replay.close()
    env.close()
    return folder


def test_it_trains_and_scores_on_episodes_held_out(episodes, capsys):
    before = sorted((path.name, path.read_bytes()) for path in episodes.iterdir())
    arguments = [str(episodes), *SMALL, '--updates', '2', '--every', '1']
    assert world_model.main(arguments) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == '2 episodes to learn from, 1 held out (31 rows)'
    assert [line.split()[1] for line in lines] == ['1', '2']
    for line in lines:
        assert re.search(r'player \d[\d.]*/\d[\d.]*/\d', line), line
    assert sorted((path.name, path.read_bytes()) for path in episodes.iterdir()) == before


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['missing', *SMALL], 'missing is not a folder'),
        (['.', *SMALL], 'holds 0 episodes'),
        (['.', '--updates', '1.5'], "'1.5' is not a whole number"),
        (['.', '--configs', 'mario_small', '--model_opt.lrr', '1'], 'model_opt.lrr'),
    ],
)
def test_mistakes_are_told_in_a_line(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert world_model.main(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count('\n') == 1


@pytest.mark.parametrize(
    'options, message',
    [
        (['--grayscale', 'True'], 'image is [64, 64, 3], the configuration has [64, 64, 1]'),
        (
            ['--grayscale', 'False', '--mario_actions', 'right_only'],
            'action is [12], the configuration has [5]',
        ),
        (['--updates', '0'], 'leave out --configs'),
    ],
)
def test_settings_that_do_not_fit_the_episodes_are_refused(episodes, capsys, options, message):
    flags = [flag for flag in SMALL if flag not in ('--grayscale', 'False')]
    assert world_model.main([str(episodes), *flags, *options]) == 2
    assert message in capsys.readouterr().err


def test_episodes_without_boxes_are_refused(tmp_path, capsys):
    replay = Replay(tmp_path, levels=['1-1'])
    for _ in range(2):
        for row in range(2):
            replay.add_step(
                {
                    'image': np.zeros((64, 64, 3), np.uint8),
                    'action': np.zeros(12, np.float32),
                    'reward': np.float32(0),
                    'is_first': row == 0,
                    'is_last': row == 1,
                    'is_terminal': row == 1,
                }
            )
    replay.close()
    assert world_model.main([str(tmp_path), *SMALL]) == 2
    assert 'does not say where the player is' in capsys.readouterr().err
