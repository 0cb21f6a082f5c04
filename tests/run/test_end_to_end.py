"""The real agent on a real level: train, stop, go on, evaluate, by the commands."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
from gymnasium import Env, spaces

import dreamerv2.api
from dreamerv2.run import checkpoint


def test_train_stop_resume_evaluate(tmp_path, root, python_env):
    logdir = tmp_path / 'run'
    command = [sys.executable, str(root / 'dreamerv2' / 'train.py'), '--configs', 'mario', 'debug']
    command += ['--task', 'mario_1-1+1-2', '--logdir', str(logdir), '--precision', 'float32']
    command += ['--time_limit', '50']
    started = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=python_env
    )
    metrics = logdir / 'metrics.jsonl'
    while not (metrics.exists() and 'fps' in metrics.read_text()):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() - started < 150
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 75, err
    words = err.splitlines()
    own = (
        'Computing on',
        'Evaluation at ',
        'evaluation ',
        'Stopped by SIGTERM',
        'prefill ',
        'training ',
    )
    assert all(line.startswith(own) or ' frames  ' in line for line in words), err
    assert out == ''
    saved = checkpoint.find(logdir)
    assert 200 * 4 < saved.frames < 500 * 4

    result = subprocess.run(command, capture_output=True, text=True, env=python_env, timeout=150)
    assert result.returncode == 0, result.stderr
    assert f'Resuming from {saved.path} ({saved.frames} frames)' in result.stderr
    assert json.loads((logdir / 'done.json').read_text())['step'] == 2000
    rows = [json.loads(line) for line in metrics.read_text().splitlines()]
    steps = [row['step'] for row in rows]
    assert steps == sorted(steps) and steps[-1] <= 2000
    losses = [row for row in rows if 'image_loss' in row]
    names = 'reward_loss discount_loss kl_loss model_loss model_kl prior_ent post_ent actor_loss '
    names += 'actor_ent critic_loss critic model_grad_norm actor_grad_norm critic_grad_norm fps '
    assert set(names.split()) <= set(losses[-1])
    assert all(np.isfinite(row[name]) for row in losses for name in names.split())
    assert {'eval_return/1-1', 'eval_return/1-2'} <= {key for row in rows for key in row}
    looks = [row for row in rows if 'model_error/rest' in row]
    assert len(looks) >= 2
    assert all(row['model_error/player_contrast'] > 0 for row in looks)
    final = checkpoint.find(logdir)
    assert final.state['progress']['step'] == 500
    # One update before collecting, then one every 10 steps from the first one on.
    steps_after_prefill = 500 - 200
    assert abs(final.state['progress']['updates'] - 1 - steps_after_prefill / 10) <= 1

    results = tmp_path / 'results.json'
    command = [sys.executable, '-m', 'dreamerv2.evaluate', str(logdir), '--tasks', 'mario_1-1']
    command += ['--episodes', '2', '--json', str(results), '--video', str(tmp_path / 'play.gif')]
    command += ['--record']
    result = subprocess.run(command, capture_output=True, text=True, env=python_env, timeout=150)
    assert result.returncode == 0, result.stderr
    words = [x for x in result.stderr.splitlines() if not x.startswith('evaluation ')]
    assert len(words) == 1 and words[0].startswith('Computing on')
    assert f'at {final.frames} frames' in result.stdout
    assert 'over episodes of this one checkpoint' in result.stdout
    level = json.loads(results.read_text())['levels']['1-1']
    assert level['episodes'] == len(level['returns']) == 2
    score = [level[name]['mean'] for name in ('completed', 'progress', 'return')]
    assert checkpoint.load(final.path).score == tuple(score)
    assert 0 < level['progress']['mean'] < 1
    assert '1-1' in result.stdout and str(tmp_path / 'play.gif') in result.stdout
    assert (tmp_path / 'play.gif').stat().st_size > 1000
    assert time.monotonic() - started < 180

    command = [sys.executable, '-m', 'dreamerv2.world_model', str(logdir)]
    command += ['--updates', '0', '--episodes', '1']
    result = subprocess.run(command, capture_output=True, text=True, env=python_env, timeout=150)
    assert result.returncode == 0, result.stderr
    first, *lines = result.stdout.splitlines()
    assert first.startswith(f'{final.path}: 2 episodes (')
    names = {line.split()[0] for line in lines}
    assert {'model_error/rest_15', 'reward_predicted/correlation'} <= names


def test_api_with_vectors_and_continuous_actions(tmp_path):
    class Point(Env):
        """A point on a line, rewarded for staying near zero."""

        observation_space = spaces.Box(-10, 10, (2,), np.float32)
        action_space = spaces.Box(-2, 2, (1,), np.float32)

        def reset(self, *, seed=None, options=None):
            self.x, self.steps = 1.0, 0
            return np.array([self.x, 0], np.float32), {}

        def step(self, action):
            self.x += 0.1 * float(action[0])
            self.steps += 1
            return np.array([self.x, 0], np.float32), -abs(self.x), False, self.steps == 20, {}

    small = {'.*_head.layers': 1, '.*_head.units': 16, '(actor|critic).layers': 1}
    config = dreamerv2.api.defaults.update(
        {
            **small,
            '(actor|critic).units': 16,
            'logdir': str(tmp_path),
            'steps': 120,
            'train_every': 20,
            'prefill': 60,
            'precision': 'float32',
            'device': 'cpu',
            'jit': False,
            'dataset': {'batch': 2, 'length': 8},
            'replay': {'minlen': 8, 'maxlen': 8},
            'rssm': {'deter': 16, 'hidden': 16, 'stoch': 4, 'discrete': 0},
            'encoder': {'mlp_layers': [16], 'cnn_keys': '$^'},
            'decoder': {'mlp_layers': [16], 'cnn_keys': '$^'},
            'imag_horizon': 4,
        }
    )
    assert dreamerv2.api.train(Point(), config) == 0
    rows = [json.loads(line) for line in (tmp_path / 'metrics.jsonl').read_text().splitlines()]
    assert sum('train_return' in row for row in rows) == 6
    assert checkpoint.find(tmp_path).frames == 120
