"""What the doctor says of the measures of a run's evaluations."""

import json

import pytest

from dreamerv2.doctor import metrics
from dreamerv2.doctor.rows import OK, WARNING

GOOD = {
    'model_error/player': 0.1,
    'model_error/player_contrast': 0.15,
    'model_error/rest': 0.05,
    'deaths_foreseen/auc_4': 0.95,
    'deaths_foreseen/deaths_4': 9,
    'critic_against/mean': 30.0,
    'critic_against/followed': 29.0,
    'critic_against/bias': 0.03,
}


def rows_of(path, updates=5000, **changes):
    found = {**GOOD, **{name.replace('__', '/'): value for name, value in changes.items()}}
    found = {name: value for name, value in found.items() if value is not None}
    lines = [{'step': 0, 'model_error/rest': 9.0, 'model_error/player': 3.0}]
    lines += [{'step': 4, 'updates': updates}, {'step': 4, **found}, {'step': 8, 'updates': 9999}]
    (path / 'metrics.jsonl').write_text('{"half\n' + '\n'.join(map(json.dumps, lines)) + '\n')
    return metrics.check_world_model(path)


def test_a_good_model_is_told_in_a_row(tmp_path):
    (row,) = rows_of(tmp_path)
    assert row.status == OK
    assert row.seen == (
        'it sees the player: error 0.10 relative to a blind drawing; ROC area 0.95 for deaths 4 '
        'steps ahead (9 deaths; 0.5 is chance); the critic expects 30.0 on average, 29.0 followed'
    )


@pytest.mark.parametrize(
    'changes, words',
    [
        (
            {'model_error__player': 0.97},
            'it does not see the player: error 0.97 relative to a blind drawing, after 5000 ',
        ),
        ({'deaths_foreseen__auc_4': 0.55}, 'ROC area 0.55 for deaths 4 steps ahead'),
        (
            {'critic_against__mean': 48.0, 'critic_against__bias': 0.66},
            'the critic expects 48.0 on average, 29.0 followed',
        ),
    ],
)
def test_what_is_wrong_is_told_with_a_hint(tmp_path, changes, words):
    wrong, rest = rows_of(tmp_path, **changes)
    assert wrong.status == WARNING and wrong.seen.startswith(words)
    assert f'python -m dreamerv2.world_model {tmp_path}' in wrong.hint
    assert rest.status == OK
    (early,) = rows_of(tmp_path, updates=100, **changes)
    assert early.status == OK


def test_where_there_is_too_little_contrast_it_says_so(tmp_path):
    (row,) = rows_of(tmp_path, model_error__player=None, **{'model_error/player_contrast': 0.0043})
    assert row.status == OK and 'squared contrast 0.0043' in row.seen


def test_few_deaths_are_no_ground_for_a_warning(tmp_path):
    (row,) = rows_of(tmp_path, deaths_foreseen__auc_4=0.2, deaths_foreseen__deaths_4=2)
    assert row.status == OK and 'ROC' not in row.seen


def test_a_run_without_measures_has_no_row(tmp_path):
    assert metrics.check_world_model(tmp_path) == []
    (tmp_path / 'metrics.jsonl').write_text('{"step": 4, "eval_return": 3}\n')
    assert metrics.check_world_model(tmp_path) == []
