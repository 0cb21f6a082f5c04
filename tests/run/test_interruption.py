"""Signals to a run, and a second run beside it: processes with a NumPy agent."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from run_fakes import fake_parts, small_config

from dreamerv2.cli import FINISHED, STOPPED
from dreamerv2.errors import UsageError
from dreamerv2.run import checkpoint
from dreamerv2.run.training import train
from dreamerv2.signals import STOP_SIGNALS

FAKES = Path(__file__).with_name('run_fakes.py')


def stop(process, logdir, ready, number):
    end = time.monotonic() + 60
    while not ready():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


@pytest.mark.parametrize('number', list(STOP_SIGNALS))
def test_a_signal_saves_and_the_run_goes_on(tmp_path, python_env, number):
    command = [sys.executable, str(FAKES), str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=python_env)
    metrics = tmp_path / 'metrics.jsonl'
    code, errors = stop(
        process, tmp_path, lambda: metrics.exists() and 'fps' in metrics.read_text(), number
    )
    assert code == STOPPED
    assert 'Traceback' not in errors and signal.Signals(number).name in errors
    assert not (tmp_path / 'lock').exists() and not (tmp_path / 'done.json').exists()
    saved = checkpoint.find(tmp_path)
    step = saved.state['progress']['step']
    assert step > 40 and saved.frames == step * 4
    result = subprocess.run(
        [*command, str(step + 20)], capture_output=True, text=True, env=python_env, timeout=60
    )
    assert result.returncode == FINISHED, result.stderr
    assert f'Resuming from {saved.path}' in result.stderr
    assert checkpoint.find(tmp_path).state['progress']['step'] == step + 20


def test_what_nohup_ignores_stays_ignored(tmp_path, python_env):
    command = ['nohup', sys.executable, str(FAKES), str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=python_env)
    metrics = tmp_path / 'metrics.jsonl'

    def logged():
        return metrics.read_text().count('fps') if metrics.exists() else 0

    end = time.monotonic() + 60
    while not logged():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGHUP)
    before = logged()
    code, errors = stop(process, tmp_path, lambda: logged() > before + 1, signal.SIGTERM)
    assert code == STOPPED and 'Stopped by SIGTERM' in errors


def test_a_run_whose_terminal_is_closed_saves(tmp_path, python_env):
    child, terminal = pty.fork()
    if child == 0:
        os.execve(sys.executable, [sys.executable, str(FAKES), str(tmp_path)], python_env)
    metrics, end = tmp_path / 'metrics.jsonl', time.monotonic() + 60
    while not (metrics.exists() and 'fps' in metrics.read_text()):
        assert time.monotonic() < end
        if select.select([terminal], [], [], 0.02)[0]:
            os.read(terminal, 4096)
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == STOPPED
    saved = checkpoint.find(tmp_path)
    assert saved.state['progress']['step'] > 40
    assert not (tmp_path / 'lock').exists()


def in_its_first_update(tmp_path, python_env, seconds):
    """A run in its first update, which takes that long."""
    command = [sys.executable, str(FAKES), str(tmp_path), '100000', str(seconds)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=python_env)
    metrics = tmp_path / 'metrics.jsonl'
    end = time.monotonic() + 60
    while not (metrics.exists() and metrics.read_text().count('train_prefill') == 4):
        assert time.monotonic() < end
        time.sleep(0.02)
    time.sleep(0.3)
    return process


def test_a_second_ctrl_c_ends_at_once(tmp_path, python_env):
    process = in_its_first_update(tmp_path, python_env, 1000)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == -signal.SIGINT


def test_a_repeated_signal_does_not_keep_a_run_from_saving(tmp_path, python_env):
    process = in_its_first_update(tmp_path, python_env, 2)
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGUSR1, signal.SIGTERM):
        process.send_signal(number)
        time.sleep(0.1)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == STOPPED, errors
    assert 'checkpoint saved' in errors
    assert checkpoint.find(tmp_path).state['progress']['updates'] == 1


def test_a_second_run_in_the_same_logdir_is_refused(tmp_path, python_env):
    command = [sys.executable, str(FAKES), str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=python_env)
    try:
        end = time.monotonic() + 60
        while not (tmp_path / 'lock').exists():
            assert time.monotonic() < end
            time.sleep(0.02)
        with pytest.raises(UsageError, match=f'process {process.pid}'):
            train(small_config(tmp_path, steps=200), fake_parts([]))
    finally:
        process.kill()
        process.communicate()
    assert train(small_config(tmp_path, steps=100), fake_parts([])) == FINISHED
