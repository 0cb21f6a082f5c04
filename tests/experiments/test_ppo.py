"""What PPO's command does without PyTorch."""

import sys

from peers import ppo


def test_episodes_are_logged_as_ours_are():
    info = {'log_progress': 0.5, 'log_completed': 0.0, 'level': '1-1'}
    assert ppo.episode_metrics('1-1', 120.0, 30, info) == {
        'train_return': 120.0,
        'train_length': 30,
        'train_return/1-1': 120.0,
        'train_length/1-1': 30,
        'train_progress/1-1': 0.5,
        'train_completed/1-1': 0.0,
    }


def test_help_and_mistakes(tmp_path, capsys):
    assert ppo.main(['--help']) == 0
    assert 'Stable-Baselines3' in capsys.readouterr().out
    assert ppo.main(['--tsak', 'mario_1-1']) == 2
    assert 'did you mean' in capsys.readouterr().err


def test_without_the_library(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, 'stable_baselines3', None)
    assert ppo.main(['--logdir', str(tmp_path / 'run')]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert 'peers' in line and not (tmp_path / 'run').exists()
