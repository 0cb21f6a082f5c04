"""Synthetic logdirs, written as a training run writes them."""

import json

import numpy as np
import pytest


def write_logdir(
    path,
    *,
    task='mario_1-1',
    seed=0,
    lines=(),
    steps=1000,
    repeat=4,
    config=None,
    study=None,
    done=True,
    tail=b'',
):
    """A logdir at `path` with these metric lines; `tail` are raw bytes behind the last of them."""
    path.mkdir(parents=True)
    settings = {'task': task, 'seed': seed, 'steps': steps, 'action_repeat': repeat}
    settings.update(config or {})
    # JSON is YAML too.
    (path / 'config.yaml').write_text(json.dumps(settings))
    text = ''.join(json.dumps(line) + '\n' for line in lines)
    (path / 'metrics.jsonl').write_bytes(text.encode() + tail)
    if study is not None:
        (path / 'study.json').write_text(json.dumps(study))
    if done:
        (path / 'done.json').write_text('{}')
    return path


def episode_lines(
    level_returns,
    *,
    end,
    count=200,
    seed=0,
    start=0,
    prefill=0,
    noise=20.0,
    length=100,
):
    """Lines of `count` episodes over (start, end], the levels in turn; the first `prefill` tagged.

    `level_returns` maps a level to its expected return as a function of the frame.
    """
    rng = np.random.default_rng(seed)
    levels = sorted(level_returns)
    lines = []
    for i, frame in enumerate(np.linspace(start, end, count + 1)[1:].round().astype(int)):
        level = levels[i % len(levels)]
        value = float(level_returns[level](frame) + noise * rng.normal())
        line = {
            'step': int(frame),
            'train_return': value,
            'train_length': length,
            f'train_return/{level}': value,
            f'train_progress/{level}': float(np.clip(value / 3000, 0, 1)),
            f'train_completed/{level}': float(value > 2500),
        }
        if i < prefill:
            line['train_prefill'] = 1.0
        lines.append(line)
    return lines


@pytest.fixture(scope='session')
def logdir():
    return write_logdir


@pytest.fixture(scope='session')
def episodes():
    return episode_lines
