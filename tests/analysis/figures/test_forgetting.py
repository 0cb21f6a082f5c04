import json
import math

import numpy as np
import pytest

from dreamerv2.analysis import figures, plotting, study
from dreamerv2.analysis.figures import forgetting
from tests.analysis import synthetic

T = synthetic.T
PLAN = {
    'sets': {'two': ['3-1', '3-2']},
    'finetune': ['3-1', '3-2'],
    'transfer': ['1-1'],
    'seeds': [0, 1],
    'frames': T,
}
# Returns of both episodes of the levels, by stage, level trained on and seed.
EVALUATED = {
    ('pretrain', '', 0): {'3-1': (100, 300), '3-2': (400, 400), '1-1': (0, 0)},
    ('pretrain', '', 1): {'3-1': (400, 400), '3-2': (600, 800)},
    ('finetune', '3-1', 0): {'3-1': (900, 900), '3-2': (50, 150)},
    ('finetune', '3-1', 1): {'3-1': (1000, 1000)},
    ('finetune', '3-2', 0): {'3-1': (0, 0), '3-2': (700, 900)},
}


@pytest.fixture
def write(tmp_path, logdir):
    """Writes the study with these evaluations; returns it, read."""

    def write(evaluated, policy='train'):
        (tmp_path / 'plan.json').write_text(json.dumps(PLAN))
        for (stage, level, seed), played in evaluated.items():
            path = tmp_path / stage / level / str(seed)
            place = {'stage': stage, 'set': 'two' * (stage != 'baseline'), 'level': level}
            own = level or '3-1+3-2'
            lines = [
                {'step': 400 * i, 'train_return': 1151.0, f'train_return/{own}': 1151.0}
                for i in range(1, 11)
            ]
            logdir(path, task=f'mario_{own}', study={**place, 'seed': seed}, lines=lines)
            rows = [
                {'step': T, 'level': x, 'returns': y, 'progress': [v / 1000 for v in y]}
                for x, y in played.items()
            ]
            text = ''.join(json.dumps({**row, 'policy': policy}) + '\n' for row in rows)
            (path / 'evaluations.jsonl').write_text(text)
        return study.read_study(tmp_path)

    return write


def test_what_a_fine_tuned_agent_has_lost_by_its_own_parent(write):
    data = write(EVALUATED)
    found = {
        (x.trained, x.level): (x.mean, x.n)
        for x in forgetting.cells(data, 'finetune', 'two')
        if x.measure == 'return'
    }
    assert found['3-1', '3-1'] == ((700 + 600) / 2, 2)
    assert found['3-1', '3-2'] == (100 - 400, 1)  # seed 1 was not evaluated on it afterwards
    assert found['3-2', '3-1'] == (-200, 1)  # and seed 1 not trained
    assert found['3-2', '3-2'] == (400, 1)


def test_a_panel_a_measure_with_the_diagonal_framed_and_its_table(write):
    (drawn,) = figures.draw(write(EVALUATED), ['forgetting'])
    assert drawn.name == 'forgetting_two_finetune'
    axes = drawn.figure.axes
    assert [ax.get_title('left') for ax in axes if ax.get_visible()] == [
        'return, after − before',
        'progress, after − before',
    ]
    ax = axes[0]
    words = {x.get_position(): x.get_text() for x in ax.texts}
    assert words == {
        (0, 0): '+650\nn = 2',
        (1, 0): '-300\nn = 1',
        (0, 1): '-200\nn = 1',
        (1, 1): '+400\nn = 1',
    }
    frames = [x for x in ax.patches if not x.get_fill()]
    centers = [(x.get_x() + x.get_width() / 2, x.get_y() + x.get_height() / 2) for x in frames]
    np.testing.assert_allclose(centers, [(0, 0), (1, 1)])
    assert (ax.get_ylabel(), ax.get_xlabel()) == ('fine-tuned on', 'evaluated on')
    row = drawn.rows[0]
    assert (row['before'], row['after'], row['change'], row['n']) == (300, 950, 650, 2)
    # 650 and the t interval of 700 and 600.
    assert (row['low'], row['high']) == pytest.approx((650 - 635.31, 650 + 635.31), abs=0.01)
    lost = next(x for x in drawn.rows if (x['trained_on'], x['level']) == ('3-1', '3-2'))
    assert (lost['before'], lost['after'], math.isnan(lost['low'])) == (400, 100, True)
    assert 'finetune two 3-2 seed 1' in [str(place) for place in drawn.missing]


def test_colors_are_of_the_way_from_random_to_the_baseline(write):
    baselines = {('baseline', '3-1', seed): {} for seed in (0, 1)}
    data = write({**EVALUATED, **baselines})
    of_return = [x for x in forgetting.cells(data, 'finetune', 'two') if x.measure == 'return']
    found = {(x.trained, x.level): x for x in of_return}
    (random,) = study.random_returns(data, ['3-1'])
    assert found['3-1', '3-1'].scale == pytest.approx(1151 - random)
    red, _, blue, _ = found['3-2', '3-1'].color
    assert red > blue  # lost
    unknown = found['3-1', '3-2']
    assert math.isnan(unknown.scale) and len(set(unknown.color[:3])) == 1  # gray


def test_transfer_has_no_diagonal(write):
    transferred = {('transfer', '1-1', 0): {'3-1': (150, 150), '3-2': (400, 400)}}
    _, drawn = figures.draw(write({**EVALUATED, **transferred}), ['forgetting'])
    assert drawn.name == 'forgetting_two_transfer'
    changes = [row['change'] for row in drawn.rows if row['measure'] == 'return']
    assert changes == [-50, 0]
    assert all(x.get_fill() for x in drawn.figure.axes[0].patches)
    assert [x.get_text() for x in drawn.figure.axes[0].texts] == ['-50\nn = 1', '0\nn = 1']
    assert plotting.csv_text(drawn.rows).count('\n') == 1 + 3 * 2


def test_what_was_not_evaluated_is_said(write):
    before = {key: x for key, x in EVALUATED.items() if key[0] == 'pretrain'}
    tuned = {key: {} for key in EVALUATED if key[0] == 'finetune'}
    assert list(figures.draw(write({**before, **tuned}), ['forgetting'])) == [
        'forgetting: fine-tuning two not drawn, not evaluated on the set before and after'
    ]


def test_the_most_probable_action_is_no_evaluation(write):
    (words,) = figures.draw(write(EVALUATED, policy='mode'), ['forgetting'])
    assert words.startswith('forgetting: fine-tuning two not drawn')


def test_without_later_runs(write):
    before = {key: x for key, x in EVALUATED.items() if key[0] == 'pretrain'}
    assert list(figures.draw(write(before), ['forgetting'])) == [
        'forgetting: not drawn, no fine-tuning run or transfer run'
    ]
