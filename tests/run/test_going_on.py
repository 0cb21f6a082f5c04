"""Runs that stop and go on: as if they had not been interrupted, and what is said where not."""

import itertools
import json
import os
import signal

import numpy as np
import pytest
from run_fakes import (
    CountingEnv,
    fake_parts,
    in_process,
    lines,
    run,
    small_config,
    with_key,
    without_time,
)

from dreamerv2.cli import FINISHED, STOPPED
from dreamerv2.envs.factory import make_workers
from dreamerv2.run import checkpoint
from dreamerv2.run.build import Parts
from dreamerv2.run.training import train


def assert_same_end(one, other):
    """Two logdirs end alike: weights, counters, random states, next batch, unfinished episodes."""
    first, second = checkpoint.find(one), checkpoint.find(other)
    assert first.frames == second.frames
    for name, value in first.arrays().items():
        assert (second.arrays()[name] == value).all(), name
    assert first.state == second.state
    assert first.files == second.files
    for name in first.files & {checkpoint.BATCH, checkpoint.UNFINISHED}:
        with np.load(first.path / name) as mine, np.load(second.path / name) as others:
            assert mine.files == others.files
            for key in mine.files:
                np.testing.assert_array_equal(mine[key], others[key])
    assert without_time(lines(one)) == without_time(lines(other))


@pytest.mark.parametrize('stops', [[120], [125], [40, 41, 77, 199]])
@pytest.mark.parametrize('envs, turns', [(1, 1), (2, 1), (4, 2)])
def test_going_on_is_exactly_the_same(tmp_path, stops, envs, turns):
    parallel = {1: 'none', 2: 'thread'}[turns]
    options = {'envs': envs, 'config': {'envs': envs, 'envs_parallel': parallel}}
    assert run(tmp_path / 'straight', steps=203, **options)[0] == FINISHED
    for steps in [*stops, 203]:
        assert run(tmp_path / 'parts', steps=steps, **options)[0] == FINISHED
    assert_same_end(tmp_path / 'straight', tmp_path / 'parts')
    resumes = json.loads((tmp_path / 'parts/provenance.json').read_text())['resumes']
    assert len(resumes) == len(stops)


def test_the_policy_goes_on_where_no_batch_was_drawn(tmp_path):
    config = {'train_every': 0, 'pretrain': 0}
    run(tmp_path / 'straight', steps=75, config=config)
    for steps in (65, 75):  # In the middle of episodes.
        run(tmp_path / 'parts', steps=steps, config=config)
    assert_same_end(tmp_path / 'straight', tmp_path / 'parts')


def test_an_episode_that_cannot_be_played_again_is_said_to_end(tmp_path, capfd):
    run(tmp_path, steps=125)
    capfd.readouterr()
    code, _ = run(tmp_path, steps=127, length=9)  # Other pictures of progress come out.
    assert code == FINISHED
    said = ''.join(capfd.readouterr())
    assert 'Environment 0 could not be restored' in said and '5 steps' in said
    saved = checkpoint.find(tmp_path)
    assert saved.state['progress']['episodes'] == 13
    assert saved.state['replay']['totals'] == {
        'episodes': 13, 'steps': 125, 'dropped_episodes': 0, 'dropped_steps': 0,
    }  # fmt: skip
    newest = sorted((tmp_path / 'train_episodes').glob('*.npz'))[-1]
    with np.load(newest) as episode:
        assert episode['is_last'].tolist() == [False] * 5 + [True]
        assert not episode['is_terminal'].any()


def test_a_step_under_way_counts_where_its_environment_is_gone(tmp_path, capfd):
    def options(envs):
        return {'envs': envs, 'config': {'envs': envs, 'envs_parallel': 'thread'}}

    run(tmp_path, steps=126, **options(4))
    frames = checkpoint.find(tmp_path).frames
    with (tmp_path / 'metrics.jsonl').open('a') as file:  # As if it had gone on and been killed.
        file.write(json.dumps({'step': frames + 4, 'train_return': 7}) + '\n')
    capfd.readouterr()
    run(tmp_path, steps=150, **options(2))
    assert ''.join(capfd.readouterr()).count('could not be restored') == 2
    saved = checkpoint.find(tmp_path)
    with np.load(saved.path / checkpoint.UNFINISHED) as content:
        rows = [content[f'rows/{index}/is_first'] for index in range(2)]
    totals = saved.state['replay']['totals']
    steps = totals['steps'] + totals['dropped_steps'] + sum(len(row) - 1 for row in rows)
    assert saved.state['progress']['step'] == steps
    assert 7 not in [row['train_return'] for row in with_key(lines(tmp_path), 'train_return')]


class Asking(CountingEnv):
    """Asks the run to stop after so many of its steps."""

    def __init__(self, at):
        super().__init__()
        self.at = at

    def step(self, action):
        if len(self.actions) == self.at:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().step(action)


@pytest.mark.parametrize('policy', ['random', 'init'])
def test_a_stop_in_the_prefill_goes_on_with_the_prefill(tmp_path, policy):
    config, path = {'prefill_policy': policy}, tmp_path / 'stopped'
    if policy == 'init':
        run(tmp_path / 'parent', steps=60)
        config['init'] = {'from': str(tmp_path / 'parent')}
    made = fake_parts([])
    for at in (25, 10):
        parts = Parts(lambda at=at: in_process([Asking(at)]), made.evaluation, made.agent)
        assert train(small_config(path, **config), parts) == STOPPED
        saved = checkpoint.find(path)
        progress = saved.state['progress']
        assert progress['prefilled'] is False
        with np.load(saved.path / checkpoint.UNFINISHED) as content:
            acted = content.get('policy/action')  # The agent's state counts its steps.
        assert acted == (progress['step'] if policy == 'init' else None)
    assert run(path, config=config)[0] == FINISHED
    run(tmp_path / 'straight', config=config)
    assert_same_end(path, tmp_path / 'straight')


@pytest.mark.parametrize('parallel', ['thread', 'process'])
def test_a_stop_in_the_prefill_waits_for_the_steps_under_way(tmp_path, parallel):
    def start(name, stop_at=0):
        def envs():
            workers = make_workers('pixel', 2, parallel=parallel)
            begin, calls = workers.begin, itertools.count(1)

            def begin_and_stop(actions):
                begin(actions)
                if next(calls) == stop_at:
                    os.kill(os.getpid(), signal.SIGTERM)

            workers.begin = begin_and_stop
            return workers

        parts = Parts(envs, {}, fake_parts([]).agent)
        config = small_config(tmp_path / name, steps=100, envs=2, envs_parallel=parallel)
        return train(config, parts)

    # The first environment, which describes itself for the record, is at its step then.
    assert start('stopped', stop_at=13) == STOPPED
    assert checkpoint.find(tmp_path / 'stopped').state['progress']['prefilled'] is False
    assert start('stopped') == start('straight') == FINISHED
    assert_same_end(tmp_path / 'stopped', tmp_path / 'straight')
