"""The random policy's table, and when a run's own prefill is taken instead."""

import json
import math

import pytest

from dreamerv2.analysis import random_policy, study, table
from dreamerv2.config import load_config
from dreamerv2.envs.level_lengths import LEVELS

PREFILL = [
    {'step': 4, 'train_return': 10.0, 'train_progress': 0.1, 'train_prefill': 1},
    {'step': 8, 'train_return': 30.0, 'train_progress': 0.3, 'train_prefill': 1},
    {'step': 12, 'train_return': 99.0},
]


@pytest.fixture
def run(tmp_path, logdir):
    def make(name='run', lines=PREFILL, **changes):
        task = changes.pop('task', 'mario_1-1')
        repeat = changes.pop('action_repeat', 4)
        path = logdir(tmp_path / name, task=task, repeat=repeat, lines=lines, config=changes)
        return table.read_run(path)

    return make


def test_the_table_is_that_of_the_presets():
    table = json.loads(random_policy.TABLE.read_bytes())
    assert set(table['levels']) == set(LEVELS)
    for preset in ('mario', 'mario_small'):
        config = load_config(['--configs', preset])
        assert {key: config[key] for key in table['settings']} == table['settings']
    for entry in table['levels'].values():
        assert entry['episodes'] >= 200
        assert 0 <= entry['completed']['mean'] <= entry['progress']['mean'] <= 1
        assert entry['return']['std'] > 0 and entry['length']['mean'] > 1


def test_a_run_with_the_settings_of_the_table_is_compared_with_it(run):
    found = random_policy.of_runs([run()], '1-1')
    assert (found.mean, found.episodes, found.source) == (259.1, 20, 'measured')
    assert found.error == pytest.approx(found.std / 20**0.5)


@pytest.mark.parametrize(
    'changes',
    [
        {'action_repeat': 3},
        {'sticky': 0.0},
        {'time_limit': 500},
        {'mario_actions': 'right_only'},
        {'sticky': None},
        {'task': 'gym_1-1'},
    ],
)
def test_any_other_is_compared_with_its_own_prefill(run, changes):
    found = random_policy.of_runs([run(**changes)], '1-1')
    assert (found.mean, found.episodes, found.source) == (20.0, 2, 'prefill')
    assert found.std == pytest.approx(math.sqrt(200))
    assert random_policy.of_runs([run('same'), run('other', **changes)], '1-1').episodes == 4


def test_a_quantity_or_level_that_was_not_measured_comes_from_the_prefill(run):
    assert random_policy.of_runs([run()], '1-1', 'train_progress').mean == pytest.approx(0.2)
    assert random_policy.of_runs([run('far', task='mario_8-1')], '8-1').source == 'prefill'


def test_prefill_of_a_loaded_agent_is_not_random(run):
    assert random_policy.of_runs([run(sticky=0.0, prefill_policy='init')], '1-1') is None
    assert random_policy.of_runs([run('new', lines=[], sticky=0.0)], '1-1') is None
    assert random_policy.of_runs([], '1-1') is None


def test_several_levels_weigh_the_same_where_they_are_drawn_so(run):
    lines = [
        {'step': 4, 'train_return': 7.0, 'train_return/1-1': 7.0, 'train_prefill': 1},
        {'step': 8, 'train_return': 1.0, 'train_return/1-2': 1.0, 'train_prefill': 1},
    ]
    both = random_policy.of_task([run(task='mario_1-1+1-2', lines=lines)])
    assert both.mean == pytest.approx((259.1 + 91.0) / 2) and both.episodes == 40
    # All episodes together: the spread within the levels and between them.
    assert both.std == pytest.approx(
        ((149.5309**2 + 166.0298**2) / 2 + (259.1 - 91.0) ** 2 / 4) ** 0.5, rel=1e-4
    )
    often = run('often', task='mario_1-1+1-2', lines=lines, level_weights=[3, 1])
    assert (random_policy.of_task([often]).mean, random_policy.of_task([often]).episodes) == (4, 2)
    far = run('far', task='mario_1-1+8-1', lines=lines)
    assert random_policy.of_task([far]).source == 'prefill'
    assert random_policy.of_runs([often], '1-2', 'eval_return').source == 'measured'


def test_sources_in_words(run):
    found = {
        '1-1': random_policy.of_runs([run()], '1-1'),
        '1-2': random_policy.of_runs([run('b', task='mario_1-2')], '1-2'),
        '8-1': random_policy.of_runs([run('c', task='mario_8-1')], '8-1'),
        '8-2': None,
    }
    assert random_policy.sources(found) == (
        '1-1 1-2: 20 episodes a level with the settings of these runs; '
        '8-1: 2 prefill episodes of these runs a level; 8-2: not known'
    )


def test_a_study_takes_the_settings_of_its_runs_from_nothing(tmp_path, run):
    for name, sticky in (('a', 0.2), ('b', 0.0)):
        made = run(name, sticky=sticky)
        place = {'stage': 'baseline', 'level': '1-1', 'seed': len(name)}
        (made.path / 'study.json').write_text(json.dumps(place))
        data = study.read_study(made.path)
        expected = 259.1 if sticky else 20.0
        assert study.random_returns(data, ['1-1']).tolist() == [expected]
