"""Stages and what they cost, the runs of a study, and its plan."""

import dataclasses
import json

import numpy as np
import pytest

from dreamerv2.errors import UsageError
from dreamerv2.studies import definition
from dreamerv2.studies.definition import (
    STAGES,
    Definition,
    Place,
    by_stage,
    make_jobs,
    plan_of,
    planned_settings,
    read_plan,
    select,
)
from dreamerv2.studies.study_file import read_definition

SMALL = """
configs: [mario, debug]
config: {prefill: 100, rssm.deter: 16}
frames: 2000
seeds: [3, 5]
pretrain: [pair]
finetune: [1-1]
transfer: [1-3]
sets: {pair: [1-1, 1-2]}
"""


def write(tmp_path, text):
    path = tmp_path / 'study.yaml'
    path.write_text(text)
    return path


def test_the_thesis_study_has_the_thesis_runs(repository):
    study = read_definition(repository / 'experiments' / 'thesis.yaml')
    jobs = make_jobs(study, repository / 'nowhere')
    counts = {stage: len(select(jobs, stages=[stage])) for stage in
              ('baseline', 'pretrain', 'finetune', 'transfer')}  # fmt: skip
    assert counts == {'baseline': 70, 'pretrain': 10, 'finetune': 40, 'transfer': 40}
    assert sum(job.frames for job in jobs) == 1.6e9
    assert study.transfer == ('1-1', '1-2', '1-3', '1-4')
    assert {job.parent.place.set for job in jobs if job.parent} == {'e4', 'e10'}


def test_a_set_selects_its_runs_and_the_baselines_on_their_levels(repository):
    study = read_definition(repository / 'experiments' / 'laptop.yaml')
    jobs = make_jobs(study, repository / 'nowhere')
    assert len(jobs) == 160
    assert all(job.frames == 200_000 for job in jobs)
    chosen = select(jobs, sets=['e4'])
    assert len(chosen) == 85
    assert {job.place.set for job in chosen} == {'', 'e4'}
    baselines = select(jobs, stages=['baseline'], sets=['e4'], seeds=[2])
    assert [job.place.level for job in baselines] == [
        *('3-1', '3-2', '3-3', '3-4'),
        *('1-1', '1-2', '1-3', '1-4'),
    ]
    assert len(select(jobs, sets=['e4'], levels=['3-2'], seeds=[0])) == 2
    assert select(jobs, sets=['e10', 'e4']) == jobs
    with pytest.raises(UsageError, match='--sets e5: not in this study; there are e4, e10'):
        select(jobs, stages=['baseline'], sets=['e5'])


def test_a_budget_below_the_prefill_is_refused(tmp_path):
    study = read_definition(write(tmp_path, SMALL.replace('2000', '400')))
    with pytest.raises(UsageError, match='prefill of 100'):
        make_jobs(study, tmp_path)


def test_selecting_what_is_not_there_is_named(tmp_path):
    jobs = make_jobs(read_definition(write(tmp_path, SMALL)), tmp_path)
    with pytest.raises(UsageError, match='--levels 4-4: not in this study; there are 1-1'):
        select(jobs, levels=['4-4'])


def test_a_parent_stands_before_its_children():
    names = list(STAGES)
    for name, stage in STAGES.items():
        assert name == stage.name
        assert not stage.parent or names.index(stage.parent) < names.index(name)
    assert [stage.name for stage in STAGES.values() if stage.question] == names[1:]


def test_places_name_their_parents_and_folders():
    place = Place('finetune', 'e4', '3-1', 2)
    assert place.parent == Place('pretrain', 'e4', '', 2)
    assert (place.folder, str(place)) == ('finetune/e4/3-1/2', 'finetune e4 3-1 seed 2')
    assert Place('baseline', '', '3-1', 0).parent is None
    assert sorted([place, Place('baseline', '', '4-1', 0)], key=lambda x: x.order)[1] is place


def test_costs_are_those_of_all_agents_together():
    grid, total = np.array([0.0, 100.0]), 1000.0
    np.testing.assert_array_equal(STAGES['baseline'].cost(grid, total, 4), [0, 400])
    np.testing.assert_array_equal(STAGES['pretrain'].cost(grid, total, 4), [0, 100])
    np.testing.assert_array_equal(STAGES['finetune'].cost(grid, total, 4), [1000, 1400])
    np.testing.assert_array_equal(STAGES['transfer'].cost(grid, total, 4), [0, 400])


@pytest.mark.parametrize(
    ('stage', 'levels', 'agents', 'baselines'),
    [
        ('pretrain', 4, 1000, 250),
        ('pretrain', 1, 1000, 1000),
        ('finetune', 4, 750, 1000),
        ('finetune', 1, 0, 1000),
        ('finetune', 0, 0, 1000),
        ('transfer', 4, 1000, 1000),
    ],
)
def test_sides_are_compared_where_they_have_cost_the_same(stage, levels, agents, baselines):
    assert STAGES[stage].equal_cost(1000, levels) == (agents, baselines)


def test_a_stage_bears_the_cost_of_all_that_it_starts_from():
    longer = definition.Stage('longer', 'longer run', parent='finetune', bears_parent=True)
    assert longer.cost(0.0, 1000.0, 2) == 1000 + 2 * 1000
    with pytest.raises(ValueError, match='starts? from costs 3000 frames, baselines at most 2000'):
        longer.equal_cost(1000, 2)


def small_definition():
    sets = {'pair': ('1-1', '1-2'), 'other': ('2-1', '2-2')}
    given = {'finetune': ('1-1', '2-1'), 'transfer': ('1-3',)}
    return Definition(sets, by_stage(sets, given), seeds=(3, 5), frames=2000)


def test_without_a_word_agents_from_nothing_are_trained_on_every_level():
    study = small_definition()
    assert study.all_levels == study.trained_on['baseline'] == ('1-1', '1-2', '2-1', '2-2', '1-3')
    assert study.trained_on['pretrain'] == ('pair', 'other')
    assert by_stage(study.sets, {'baseline': ['1-1']})['baseline'] == ('1-1',)
    assert by_stage(study.sets, {})['transfer'] == ()


def test_every_place_comes_after_its_parent():
    study = small_definition()
    places = study.all_places()
    assert len(places) == len(set(places)) == 10 + 4 + 8 + 4
    for place in places:
        assert place.parent is None or places.index(place.parent) < places.index(place)


def test_fine_tuning_is_compared_on_levels_of_its_own_set():
    study = small_definition()
    assert study.levels_of('pretrain', 'pair') == ('1-1', '1-2')
    assert study.levels_of('finetune', 'pair') == ('1-1',)
    assert study.levels_of('transfer', 'pair') == ('1-3',)
    compared = {(x.set, x.level) for x in study.all_places()
                if x.stage == 'finetune' and study.is_compared(x)}  # fmt: skip
    assert compared == {('pair', '1-1'), ('other', '2-1')}


def test_a_plan_says_all_that_belongs_to_the_study(tmp_path):
    study = small_definition()
    path = tmp_path / 'plan.json'
    path.write_text(json.dumps(plan_of(study)))
    assert read_plan(path) == dataclasses.replace(study, path=path)


def test_a_plan_from_before_it_named_every_stage(tmp_path):
    path = tmp_path / 'plan.json'
    plan = plan_of(small_definition())
    del plan['baseline'], plan['pretrain']
    path.write_text(json.dumps(plan))
    assert read_plan(path).trained_on == small_definition().trained_on


def test_a_new_stage_is_declared_in_one_place(monkeypatch, tmp_path):
    """Its runs are planned from the file's key, and start from those of its parent."""
    longer = definition.Stage('longer', 'longer run', parent='finetune', within_set=True)
    monkeypatch.setitem(STAGES, 'longer', longer)
    study = small_definition()
    assert study.trained_on['longer'] == ()
    more = dataclasses.replace(study, trained_on={**study.trained_on, 'longer': ('1-1',)})
    assert len(more.all_places()) == len(study.all_places()) + 4
    place = Place('longer', 'pair', '1-1', 3)
    assert place.parent == Place('finetune', 'pair', '1-1', 3)
    assert more.all_places()[-4:] == [
        Place('longer', name, '1-1', seed) for name in ('pair', 'other') for seed in (3, 5)
    ]
    jobs = make_jobs(dataclasses.replace(more, configs=('mario', 'debug')), tmp_path)
    (child,) = select(jobs, stages=['longer'], sets=['pair'], seeds=[3])
    assert child.parent.name == 'finetune/pair/1-1/3'
    wrong = dataclasses.replace(more, trained_on={**more.trained_on, 'longer': ('1-3',)})
    with pytest.raises(UsageError, match='longer/pair/1-3/3 starts from .*add 1-3 to finetune'):
        make_jobs(dataclasses.replace(wrong, configs=('mario', 'debug')), tmp_path)


def test_a_plan_names_the_settings_of_a_grid(study, tmp_path):
    path = tmp_path / 'plan.json'
    assert planned_settings(path) == ()
    for grid, names in (
        ({}, ()),
        ({'kl.balance': [0.5, 0.8]}, ('kl.balance=0.5', 'kl.balance=0.8')),
    ):
        planned = dataclasses.replace(study, grid=grid)
        path.write_text(json.dumps(plan_of(planned)))
        assert planned_settings(path) == names
        assert read_plan(path).seeds == study.seeds
    for text in (
        '[]',
        '{"settings": 3}',
        '{"settings": ["../x", 3]}',
        '{"settings": ["../x"]}',
        '{',
    ):
        path.write_text(text)
        assert planned_settings(path) == ()
