import json
import math
import shutil

import pytest

from dreamerv2.analysis import figures, study
from dreamerv2.analysis.figures import transfer_matrix
from dreamerv2.analysis.figures.transfer_matrix import TRAINED, ZERO_SHOT
from tests.analysis import synthetic


@pytest.fixture(scope='module')
def cells(root):
    found = transfer_matrix.cells(study.read_study(root))
    return {(cell.training, cell.level, cell.when, cell.metric): cell for cell in found}


def test_zero_shot_is_the_mean_over_episodes_and_then_seeds(cells):
    cell = cells['two', '1-1', ZERO_SHOT, 'train_return']
    assert cell.values.tolist() == [400.0, 401.0]
    assert (cell.mean, cell.n, cell.seen) == (400.5, 2, False)
    # 259.1 is the random policy's return; the baseline's at T is about 1000.
    assert cell.score == pytest.approx((400.5 - 259.1) / (1000 - 259.1), rel=0.02)
    assert cells['three', '1-2', ZERO_SHOT, 'train_progress'].mean == pytest.approx(0.3)
    assert cells['two', '3-1', ZERO_SHOT, 'train_completed'].mean == 0.5
    assert cells['two', '3-1', ZERO_SHOT, 'train_completed'].seen


def test_the_most_probable_action_does_not_stand_beside_returns_of_training(root, tmp_path):
    shutil.copytree(root, tmp_path / 'study')
    for policy, shown in (('mode', False), ('train', True)):
        for path in (tmp_path / 'study').rglob('evaluations.jsonl'):
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            lines = [json.dumps({**row, 'policy': policy}) + '\n' for row in rows]
            path.write_text(''.join(lines))
        found = transfer_matrix.cells(study.read_study(tmp_path / 'study'))
        zero_shot = [x for x in found if x.when == ZERO_SHOT and x.training != 'nothing']
        assert any(cell.n for cell in zero_shot) == shown
        assert any(cell.n for cell in found if cell.when == TRAINED)


def test_what_was_not_evaluated_or_trained_is_missing(cells):
    for key in (
        ('two', '3-2', ZERO_SHOT, 'train_return'),
        ('two', '4-4', ZERO_SHOT, 'train_return'),
        ('three', '4-4', TRAINED, 'train_return'),
    ):
        assert cells[key].n == 0 and math.isnan(cells[key].mean) and math.isnan(cells[key].shade)


def test_after_training_are_fine_tuned_or_transferred_runs_at_t(cells):
    assert cells['two', '3-1', TRAINED, 'train_return'].mean == pytest.approx(1200, rel=0.02)
    assert cells['two', '1-1', TRAINED, 'train_return'].mean == pytest.approx(1000, rel=0.02)
    baseline = cells['nothing', '1-1', TRAINED, 'train_return']
    assert baseline.score == pytest.approx(1) and baseline.shade == pytest.approx(1)
    random = cells['nothing', '1-1', ZERO_SHOT, 'train_return']
    assert (random.mean, random.score) == (259.1, 0)
    # Of the four prefill episodes of each baseline, in which the return rises to 1000 / 30.
    progress = cells['nothing', '1-1', ZERO_SHOT, 'train_progress']
    assert 0 < progress.mean < 1000 / 30 / 3000 and progress.n == 1
    assert not math.isnan(cells['nothing', '1-1', TRAINED, 'train_progress'].mean)


def test_drawn_with_its_table(root):
    (drawn,) = figures.draw(study.read_study(root), ['transfer_matrix'])
    titles = [ax.get_title('left') for ax in drawn.figure.axes]
    assert titles[:3] == [
        'return, zero-shot',
        'return, after training',
        'progress (share of the level), zero-shot',
    ]
    assert len(titles) == 6
    words = [text.get_text() for text in drawn.figure.axes[0].texts]
    # Random returns of five levels; each set on the two of transfer and its first own one.
    assert words == ['151', '209', '53.9', '259', '91', *['400\nn = 2'] * 6]
    names = [label.get_text() for label in drawn.figure.axes[0].get_yticklabels()]
    assert names == ['nothing', 'two', 'three']
    assert len(drawn.rows) == 3 * 2 * 3 * 5
    row = next(x for x in drawn.rows if x['training'] == 'two' and x['level'] == '1-1')
    assert (row['mean'], row['n']) == (400.5, 2)
    assert (row['low'], row['high']) == pytest.approx((400.5 - 6.353, 400.5 + 6.353), abs=0.01)
    assert drawn.missing == []


def test_without_evaluations_and_with_a_run_missing(tmp_path, logdir):
    logdir(
        tmp_path / 'p',
        task='mario_3-1+3-2',
        study={'stage': 'pretrain', 'set': 'two', 'seed': 0},
        lines=[{'step': 4, 'train_return': 1.0}],
    )
    (drawn,) = figures.draw(study.read_study(tmp_path), ['transfer_matrix'])
    assert len(drawn.figure.axes) == 2
    assert [str(place) for place in drawn.missing] == [
        'baseline 3-1 seed 0',
        'baseline 3-2 seed 0',
    ]
    assert all(row['n'] in (0, '') for row in drawn.rows)


def test_levels_are_named_once(root):
    assert study.read_study(root).plan.all_levels == (
        *synthetic.PLAN['sets']['three'],
        *synthetic.PLAN['transfer'],
    )
