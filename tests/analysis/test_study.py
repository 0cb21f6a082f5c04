import json
import math

import numpy as np
import pytest

from dreamerv2.analysis import curves, study, table
from dreamerv2.analysis.study import Place
from dreamerv2.errors import UsageError


def line(step, value, **more):
    return {'step': step, 'train_return': value, **more}


def test_places_as_the_runs_say(tmp_path, logdir):
    written = {
        'b': {'stage': 'baseline', 'set': 'ignored', 'level': '3-1', 'seed': 1},
        'p': {'stage': 'pretrain', 'set': 'e4', 'level': 'ignored', 'seed': 2},
        'f': {'stage': 'finetune', 'set': 'e4', 'level': '3-1', 'seed': 0},
        't': {'stage': 'transfer', 'set': 'e4', 'level': '1-1', 'seed': 0},
    }
    for name, place in written.items():
        logdir(tmp_path / name, task='mario_e4' if name == 'p' else 'mario_3-1', study=place)
    data = study.read_study(tmp_path)
    assert {run.name: str(place) for place, run in data.runs.items()} == {
        'b': 'baseline 3-1 seed 1',
        'p': 'pretrain e4 seed 2',
        'f': 'finetune e4 3-1 seed 0',
        't': 'transfer e4 1-1 seed 0',
    }


@pytest.mark.parametrize(
    'place',
    [
        {'stage': 'finetune', 'level': '3-1', 'seed': 0},
        {'stage': 'transfer', 'set': 'e4', 'seed': 0},
        {'stage': 'pretrain', 'seed': 0},
        {'stage': 'baseline', 'seed': 0},
        {'stage': 'something', 'set': 'e4', 'level': '3-1'},
    ],
)
def test_an_unclear_place_is_noted(tmp_path, logdir, place):
    logdir(tmp_path / 'a', study=place)
    logdir(tmp_path / 'b', study={'stage': 'baseline', 'level': '3-1', 'seed': 0})
    data = study.read_study(tmp_path)
    assert [run.name for run in data.runs.values()] == ['b']
    assert data.notes[0] == 'a: left out, its part in a study is not clear'


def test_places_from_task_and_parent(tmp_path, logdir):
    logdir(tmp_path / 'base', task='mario_3-1', seed=4)
    parent = logdir(tmp_path / 'pre', task='mario_e4', seed=5)
    source = {'init': {'from': f'{parent}@0000100'}}
    logdir(tmp_path / 'fine', task='mario_3-2', seed=6, config=source)
    logdir(tmp_path / 'trans', task='mario_1-1', seed=7, config=source)
    logdir(tmp_path / 'orphan', task='mario_1-1', config={'init': {'from': '/nowhere'}})
    data = study.read_study(tmp_path)
    assert {run.name: place for place, run in data.runs.items()} == {
        'base': Place('baseline', '', '3-1', 4),
        'pre': Place('pretrain', 'e4', '', 5),
        'fine': Place('finetune', 'e4', '3-2', 6),
        'trans': Place('transfer', 'e4', '1-1', 7),
    }
    assert 'orphan: left out, its part in a study is not clear' in data.notes


def test_of_two_runs_at_one_place_the_further_counts(tmp_path, logdir):
    place = {'stage': 'baseline', 'level': '3-1', 'seed': 0}
    logdir(tmp_path / 'a', study=place, lines=[line(8, 1.0)], done=False)
    logdir(tmp_path / 'b', study=place, lines=[line(4, 1.0)], done=False)
    data = study.read_study(tmp_path)
    assert [run.name for run in data.runs.values()] == ['a']
    assert data.notes[0] == 'b: left out, a is also baseline 3-1 seed 0 and got further'


def test_no_run_with_a_place(tmp_path, logdir):
    logdir(tmp_path / 'a', study={'stage': 'none'})
    with pytest.raises(UsageError, match='1 runs but none whose part in a study is clear'):
        study.read_study(tmp_path)


def test_plan_is_implied_by_the_runs(tmp_path, logdir):
    for seed in (1, 2):
        logdir(
            tmp_path / f'p{seed}',
            task='mario_3-1+3-2',
            seed=seed,
            steps=500,
            study={'stage': 'pretrain', 'set': 'mine', 'seed': seed},
        )
    logdir(
        tmp_path / 'f',
        task='mario_3-2',
        steps=500,
        study={'stage': 'finetune', 'set': 'mine', 'level': '3-2', 'seed': 1},
    )
    logdir(
        tmp_path / 't',
        task='mario_1-1',
        steps=7,
        study={'stage': 'transfer', 'set': 'e4', 'level': '1-1', 'seed': 3},
    )
    plan = study.read_study(tmp_path).plan
    assert plan.sets == {'mine': ('3-1', '3-2'), 'e4': ('3-1', '3-2', '3-3', '3-4')}
    assert (plan.finetune, plan.transfer, plan.seeds) == (('3-2',), ('1-1',), (1, 2, 3))
    assert plan.frames == 2000


def test_plan_file_names_what_is_missing_altogether(tmp_path, logdir):
    logdir(
        tmp_path / 'b',
        task='mario_3-1',
        steps=500,
        study={'stage': 'baseline', 'level': '3-1', 'seed': 0},
    )
    plan = {
        'sets': {'e': ['3-1', '3-2']},
        'finetune': ['3-1'],
        'transfer': [],
        'seeds': [0, 1],
        'frames': 4e3,
    }
    (tmp_path / 'plan.json').write_text(json.dumps(plan))
    data = study.read_study(tmp_path)
    assert data.plan.frames == 4000
    wanted = data.plan.places('baseline', '', ['3-1', '3-2'])
    assert [str(place) for place in data.missing(wanted)] == [
        'baseline 3-1 seed 1',
        'baseline 3-2 seed 0',
        'baseline 3-2 seed 1',
    ]
    assert data.unfinished(wanted) == [(Place('baseline', '', '3-1', 0), 0.5)]


@pytest.mark.parametrize(
    ('key', 'value'),
    [('sets', ['e4']), ('finetune', '3-1'), ('seeds', ['x']), ('frames', 0), ('frames', None)],
)
def test_a_plan_that_cannot_be_used_names_the_key(tmp_path, key, value):
    plan = {'sets': {}, 'finetune': [], 'transfer': [], 'seeds': [0], 'frames': 1, key: value}
    path = tmp_path / 'plan.json'
    path.write_text(json.dumps(plan))
    with pytest.raises(UsageError, match=f'{key} cannot be used'):
        study.read_plan(path)
    path.write_text('{')
    with pytest.raises(UsageError, match='it cannot be used'):
        study.read_plan(path)


@pytest.fixture
def two_levels(tmp_path, logdir):
    """Pre-training with seeds 0 and 1; a fine-tuning run on one level of seed 1 alone."""
    for seed in (0, 1):
        logdir(
            tmp_path / f'p{seed}',
            task='mario_3-1+3-2',
            steps=10,
            study={'stage': 'pretrain', 'set': 'two', 'seed': seed},
            lines=[
                line(10, 1.0 + seed, **{'train_return/3-1': 1.0 + seed}),
                line(20, 5.0, **{'train_return/3-2': 5.0}),
                line(40, 2.0 + seed, **{'train_return/3-1': 2.0 + seed}),
            ],
        )
    logdir(
        tmp_path / 'f',
        task='mario_3-2',
        steps=10,
        lines=[line(20, 7.0)],
        done=False,
        study={'stage': 'finetune', 'set': 'two', 'level': '3-2', 'seed': 1},
    )
    return study.read_study(tmp_path)


def test_level_curves_have_a_row_a_seed_and_nan_for_what_is_missing(two_levels):
    grid = curves.frame_grid(40, 4)
    levels = ('3-1', '3-2')
    got = study.level_curves(two_levels, ('pretrain', 'two', levels), grid, window=1)
    nan = math.nan
    np.testing.assert_array_equal(
        got,
        [[[1, 1, 1, 2], [nan, 5, 5, 5]], [[2, 2, 2, 3], [nan, 5, 5, 5]]],
    )
    got = study.level_curves(two_levels, ('finetune', 'two', levels), grid, window=1)
    np.testing.assert_array_equal(got, [[[nan] * 4, [nan, 7, nan, nan]]])
    assert study.level_curves(two_levels, ('baseline', '', levels), grid).shape == (0, 2, 4)


def test_level_values_are_those_of_the_frame(two_levels):
    levels = ('3-1', '3-2')
    # Of fewer than five episodes it is their mean.
    got = study.level_values(two_levels, ('pretrain', 'two', levels), 40)
    np.testing.assert_array_equal(got, [[1.5, 5], [2.5, 5]])
    got = study.level_values(two_levels, ('pretrain', 'two', levels), 20)
    np.testing.assert_array_equal(got, [[1, 5], [2, 5]])
    assert np.isnan(study.level_values(two_levels, ('pretrain', 'two', levels), 41)).all()


def test_children_of_one_parent_are_one_row(tmp_path, logdir):
    """Seeds 0 and 1 began from one pre-training run, seed 2 from another, seed 3 from its own."""
    for seed, parent in enumerate(['p/0@40', 'p/0', 'p/1', 'p/3']):
        for level, value in (('3-1', seed), ('3-2', 10 * seed)):
            logdir(
                tmp_path / f'f{seed}/{level}',
                task=f'mario_{level}',
                seed=seed,
                steps=10,
                lines=[line(40, float(value))],
                study={'stage': 'finetune', 'set': 'two', 'level': level, 'seed': seed},
                config={'init': {'from': str(tmp_path / parent)}},
            )
    data = study.read_study(tmp_path)
    assert study.independent_seeds(data, 'finetune', 'two') == [[0, 1], [2], [3]]
    got = study.level_values(data, ('finetune', 'two', ('3-1', '3-2')), 40)
    np.testing.assert_array_equal(got, [[0.5, 5], [2, 20], [3, 30]])
    assert study.independent_seeds(data, 'baseline', '') == []


def test_random_returns_of_another_game_are_those_of_its_prefill(tmp_path, logdir):
    lines = [line(4, 10.0, train_prefill=1), line(8, 30.0, train_prefill=1), line(12, 99.0)]
    for level in ('pong', '3-1'):
        logdir(
            tmp_path / level,
            task=f'atari_{level}',
            lines=lines,
            study={'stage': 'baseline', 'level': level, 'seed': 0},
        )
    data = study.read_study(tmp_path)
    np.testing.assert_array_equal(
        study.random_returns(data, ['pong', '3-1', '3-2', 'other']),
        [20.0, 20.0, math.nan, math.nan],
    )


def test_series_of_a_level(tmp_path, logdir):
    single = table.read_run(logdir(tmp_path / 'a', task='mario_3-1', lines=[line(4, 1.0)]))
    several = table.read_run(logdir(tmp_path / 'b', task='mario_e4', lines=[line(4, 1.0)]))
    assert single.on_level('train_return', '3-1').values.tolist() == [1.0]
    assert several.on_level('train_return', '3-1') is None
