"""What PPO's command does without PyTorch."""

import sys

from peers import ppo

from dreamerv2.config import load_config


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


def test_a_logdir_with_another_run_stays_as_it_was(tmp_path, capsys):
    metrics, saved = tmp_path / 'metrics.jsonl', tmp_path / 'ppo.zip'
    metrics.write_text('{"step": 4}\n')
    assert ppo.main(['--logdir', str(tmp_path)]) == 2
    assert 'not of PPO' in capsys.readouterr().err
    load_config(['--configs', 'mario_small', '--sticky', '0.1']).save(tmp_path / 'config.yaml')
    saved.touch()
    assert ppo.main(['--logdir', str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert '--sticky is 0.2' in line and 'has 0.1' in line
    assert metrics.read_text() == '{"step": 4}\n' and saved.stat().st_size == 0


def test_without_the_library(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, 'stable_baselines3', None)
    assert ppo.main(['--logdir', str(tmp_path / 'run')]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert 'peers' in line and not (tmp_path / 'run').exists()
