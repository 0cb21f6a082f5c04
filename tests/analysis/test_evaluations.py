import json
import math

import pytest

from dreamerv2.analysis import evaluations


def row(**changes):
    fields = {'step': 8, 'level': '1-1', 'returns': [1.0, 3.0], 'policy': 'sample', **changes}
    return json.dumps({key: value for key, value in fields.items() if value is not None})


def write(path, *rows):
    (path / 'evaluations.jsonl').write_text('\n'.join(rows) + '\n')
    return evaluations.read_evaluations(path)


def test_one_row(tmp_path):
    found, bad = write(tmp_path, row(progress=[0.5, 1.0], completed=[False, True]))
    one = found['1-1']
    assert (one.step, one.policy, one.episodes, bad) == (8, 'sample', 2, 0)
    assert one.mean('train_return') == 2
    assert one.mean('train_progress') == 0.75
    assert one.mean('train_completed') == 0.5


def test_what_is_not_recorded_is_not_there(tmp_path):
    found, bad = write(tmp_path, row(progress=None, completed=[]))
    assert bad == 0
    assert math.isnan(found['1-1'].mean('train_progress'))
    assert math.isnan(found['1-1'].mean('train_completed'))


def test_the_last_checkpoint_counts_and_then_sampled_actions(tmp_path):
    found, _ = write(
        tmp_path,
        row(step=9, policy='mode', returns=[4.0]),
        row(step=9, returns=[5.0]),
        row(step=9, policy='mode', returns=[6.0]),
        row(step=8, returns=[7.0]),
        row(level='1-2', returns=[1.0]),
        row(level='1-2', returns=[2.0]),
    )
    assert {level: one.mean('train_return') for level, one in found.items()} == {
        '1-1': 5.0,
        '1-2': 2.0,
    }
    found, _ = write(
        tmp_path,
        row(policy='train', returns=[8.0]),
        row(policy='sample', returns=[9.0]),
        row(policy='mode', returns=[9.0]),
    )
    assert (found['1-1'].policy, found['1-1'].mean('train_return')) == ('train', 8.0)


@pytest.mark.parametrize(
    'line',
    [
        '{"step": 8, "level": "1-1", "retu',
        '[]',
        'null',
        '"text"',
        row(step=None),
        row(step=-1),
        row(step='x'),
        row(level=None),
        row(level=3),
        row(returns=None),
        row(returns=[]),
        row(returns=['x']),
        row(returns=[[1.0]]),
        row(returns=[1.0, [2.0]]),
        row(returns=[math.nan]),
        row(returns=7),
    ],
)
def test_bad_rows_are_skipped_and_counted(tmp_path, line):
    found, bad = write(tmp_path, line, row())
    assert bad == 1 and list(found) == ['1-1']


def test_no_file(tmp_path):
    assert evaluations.read_evaluations(tmp_path) == ({}, 0)
