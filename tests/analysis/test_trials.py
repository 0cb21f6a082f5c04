"""Complete studies whose truth is known, read from logdirs and answered as a user would."""

import csv
import importlib.util
import pathlib

import numpy as np
import pytest

from dreamerv2.analysis import answers, study
from dreamerv2.analysis.report import answers as report_answers
from tests.analysis import synthetic

REPOSITORY = pathlib.Path(__file__).parents[2]
SMALL = {
    'sets': {'two': ['3-1', '3-2']},
    'finetune': ['3-1', '3-2'],
    'transfer': ['1-1'],
    'seeds': [0, 1, 2, 3, 4],
}
E10 = ['2-1', '2-4', '3-1', '3-2', '3-3', '3-4', '4-1', '4-2', '4-3', '4-4']


def read(root):
    data = study.read_study(root)
    return data, answers.by_question(data)


def claims(found):
    """Headlines that say better or worse, by the words of the report."""
    sentences = report_answers.plain_sentences(found)
    return [x for x in sentences if ' better than ' in x or ' worse than ' in x]


def plan(levels, *, seeds=5, finetune=(), transfer=()):
    return {
        'sets': {'all': list(levels)},
        'finetune': list(finetune),
        'transfer': list(transfer),
        'seeds': list(range(seeds)),
    }


# 20 studies of 35 runs each, written and read as logdirs: this takes some seconds.
def test_of_twenty_studies_without_an_effect_at_most_two_claim_one(tmp_path):
    wrong = 0
    for seed in range(20):
        root = synthetic.write_trial(tmp_path / str(seed), SMALL, skewed=seed % 2 == 1, seed=seed)
        _, found = read(root)
        assert sum(len(answer.headlines) for answer in found.values()) == 9
        wrong += bool(claims(found))
    assert wrong <= 2


def test_a_large_effect_is_seen(tmp_path):
    _, found = read(synthetic.write_trial(tmp_path, SMALL, effect=4.0))
    assert len(claims(found)) >= 6
    assert all(' better than ' in sentence for sentence in claims(found))
    for stage in ('pretrain', 'finetune', 'transfer'):
        assert found[stage, 'two'].headline().together.verdict == 'better'


def test_two_levels_and_two_seeds_claim_nothing(tmp_path):
    data, found = read(synthetic.write_trial(tmp_path, {**SMALL, 'seeds': [0, 1]}, effect=9.0))
    sentences = report_answers.plain_sentences(found)
    assert len(sentences) == 9 and all('too few seeds' in x for x in sentences)
    rows = answers.score_rows(list(found.values()), data)
    assert {row['verdict'] for row in rows} == {'too few seeds', ''}
    assert not any(x.decided for answer in found.values() for x in answer.levels)


def test_indication_only_stands_wherever_a_verdict_does(tmp_path):
    seeds = {**SMALL, 'seeds': [0, 1, 2, 3]}
    root = synthetic.write_trial(tmp_path / 'study', seeds, effect=9.0)
    spec = importlib.util.spec_from_file_location('f', REPOSITORY / 'experiments' / 'figures.py')
    command = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(command)
    out = tmp_path / 'out'
    assert command.main([str(root), '--out', str(out), '--figures', '7', '--bins', '8']) == 0
    with (out / 'scores.csv').open() as file:
        verdicts = [row['verdict'] for row in csv.DictReader(file)]
    assert 'better; indication only' in verdicts
    assert {'better; indication only', 'not distinguishable at this n; indication only', ''} >= set(
        verdicts
    )
    _, found = read(root)
    for answer in found.values():
        for one in [*answer.levels, *(x.together for x in answer.headlines)]:
            assert 'indication only' in one.verdict
            assert 'indication only' in one.sentence
    assert all('Indication only' in x for x in report_answers.plain_sentences(found))


def test_a_level_that_is_farmed_decides_nothing(tmp_path):
    """The thesis's agent on ten levels: nine near random, 4-4 farmed."""
    rng = np.random.default_rng(0)

    def returns(stage, name, level, seed):
        farmed, other = (9700, 260) if name else (1500, 900)
        value = (farmed if level == '4-4' else other) * (1 + 0.1 * rng.normal())
        return lambda frame: value

    def progress(stage, name, level, seed):
        value = (0.39 if level == '4-4' else 0.1) if name else 0.35
        return value * (1 + 0.1 * np.random.default_rng([seed, ord(level[0])]).normal())

    synthetic.write_runs(tmp_path, plan(E10), returns, progress=progress)
    _, found = read(tmp_path)
    answer = found['pretrain', 'all']
    headline = answer.headline()
    assert headline.together.verdict == 'worse' and '4-4' not in headline.levels
    assert headline.together.name == '9 of 10 levels, normalised'
    assert 'farmed' in headline.left_out['4-4']
    assert headline.single_levels[1] == 'the verdict holds whichever level is left out'
    assert answer.headline('progress').together.verdict == 'worse'
    assert len(answer.headline('progress').levels) == 10
    # By itself it is far better; that is why it must not be averaged with the others.
    assert answer.level('4-4').decided == 'better'
    assert answer.level('4-4').value > 10 * abs(answer.level('3-1').value)


@pytest.mark.parametrize(
    'rise',
    [lambda share: share, lambda share: (1 - np.exp(-3 * share)) / 0.95],
    ids=['straight', 'saturating'],
)
def test_exact_equality_at_equal_cost_is_no_effect(tmp_path, rise):
    """Question 1 with four levels and question 2 with two: the same return for the same cost.

    Runs hardly differ, so that any difference in the cost behind a value would be found.
    """
    levels, total = ['3-1', '3-2', '3-3', '3-4'], 400_000
    rng = np.random.default_rng(1)

    def returns(stage, name, level, seed):
        height = 2000 + 20 * rng.normal()

        def at(frame):
            # Of T; two fine-tuned agents share one pre-training run, four baselines nothing.
            cost = {'baseline': 4.0, 'pretrain': 1.0, 'finetune': 4.0}[stage] * frame / total
            return 300 + height * rise(cost + 2.0 * (stage == 'finetune'))

        return at

    synthetic.write_runs(
        tmp_path, plan(levels, finetune=levels[:2]), returns, count=200, frames=total
    )
    _, found = read(tmp_path)
    for key in (('pretrain', 'all'), ('finetune', 'all')):
        together = found[key].headline().together
        assert not together.decided, together.sentence
        assert abs(together.value) < 0.01


def test_a_level_whose_baseline_barely_beats_random_decides_nothing(tmp_path):
    """Three levels are clear; on the fourth the lead is 4.3 with a seed deviation of 30."""
    deviations = np.array([-38.0, -16, 0, 16, 38])

    def returns(stage, name, level, seed):
        if level == '3-3':
            value = (
                synthetic.FLOOR + 4.3 + deviations[seed if not name else 4 - seed] * 3 ** bool(name)
            )
        else:
            value = (1400 if name else 1000) + deviations[seed]
        return lambda frame: value

    synthetic.write_runs(tmp_path, plan(['3-1', '3-2', '3-3', '3-4']), returns, noise=1.0)
    _, found = read(tmp_path)
    headline = found['pretrain', 'all'].headline()
    assert headline.together.verdict == 'better'
    assert list(headline.left_out) == ['3-3']
    assert 'does not clearly beat random' in headline.left_out['3-3']
    assert found['pretrain', 'all'].headline('progress').levels == ('3-1', '3-2', '3-3', '3-4')


def test_without_an_answer_the_reason_is_the_right_one(tmp_path):
    def returns(stage, name, level, seed):
        return lambda frame: 20.0

    synthetic.write_runs(tmp_path, SMALL, returns)
    _, found = read(tmp_path)
    sentences = report_answers.plain_sentences(found)
    for sentence in sentences[::3]:
        assert (
            'no answer yet' in sentence and 'its baseline does not clearly beat random' in sentence
        )
        assert 'few runs' not in sentence and 'nan' not in sentence
    assert all('not distinguishable' in x for x in (*sentences[1::3], *sentences[2::3]))


def test_a_level_with_a_single_baseline_leaves_the_others_in(tmp_path):
    levels = ['3-1', '3-2', '3-3', '3-4']

    def returns(stage, name, level, seed):
        if stage == 'baseline' and level == '3-4' and seed:
            return None
        value = (1300 if name else 1000) + 40 * np.random.default_rng(
            [seed, ord(level[2])]
        ).normal()
        return lambda frame: value

    synthetic.write_runs(tmp_path, plan(levels), returns)
    _, found = read(tmp_path)
    headline = found['pretrain', 'all'].headline()
    assert headline.levels == tuple(levels) and headline.left_out == {}
    one = headline.together
    assert one.runs == 'n = 5 and 4' and one.low < one.value < one.high
    assert one.verdict == 'better; indication only'
    assert found['pretrain', 'all'].level('3-4').verdict == 'too few seeds'


def test_what_has_no_progress_is_asked_for_return_alone(tmp_path, logdir):
    for stage, name in (('baseline', ''), ('pretrain', 'two')):
        for seed in range(3):
            lines = [
                {'step': 40 * (i + 1), f'train_return/{x}': 5.0 + seed, 'train_return': 5.0 + seed}
                for i in range(100)
                for x in ('pong', 'boxing')
            ]
            for level in ('',) if name else ('pong', 'boxing'):
                logdir(
                    tmp_path / stage / level / str(seed),
                    task=f'atari_{level or "pong+boxing"}',
                    lines=lines,
                    study={'stage': stage, 'set': name, 'level': level, 'seed': seed},
                )
    _, found = read(tmp_path)
    (answer,) = found.values()
    assert [x.together.measure for x in answer.headlines] == ['return']
