import numpy as np
import pytest

from dreamerv2.analysis import figures, study
from dreamerv2.analysis.figures import figure8
from tests.analysis import synthetic


def test_squared_error_of_known_frames():
    frames = np.zeros((2, 4, 4, 1), np.uint8)
    others = frames.copy()
    others[0] = 255
    others[1, 0] = 51
    np.testing.assert_allclose(figure8.squared_errors(frames, others), [1.0, 0.04 / 4])


def test_a_row_a_checkpoint_below_the_true_frames(root):
    (drawn,) = figures.draw(study.read_study(root), ['figure8'])
    axes = np.array(drawn.figure.axes).reshape(5, 4)
    assert [ax.get_ylabel() for ax in axes[:, 0]] == [
        '1-1\ntrue frames',
        'two seed 0\n4k frames',
        'two seed 1\n4k frames',
        'three seed 0\n4k frames',
        'three seed 1\n4k frames',
    ]
    np.testing.assert_array_equal(
        axes[0, 2].images[0].get_array(), synthetic.level_frames(4, 3)[2, ..., 0]
    )
    assert axes[0, 0].get_xlabel() == ''
    assert axes[1, 0].get_xlabel() == f'{(10 / 255) ** 2:.4f}'
    assert axes[4, 3].get_xlabel() == f'{(20 / 255) ** 2:.4f}'
    assert len(drawn.rows) == 4 * 4
    assert drawn.rows[0]['error'] == pytest.approx((10 / 255) ** 2)


def test_errors_of_sprites_stand_beside_and_in_the_table(tmp_path, logdir):
    study_of = {'stage': 'pretrain', 'set': 'two', 'seed': 0}
    path = logdir(
        tmp_path / '0',
        task='mario_3-1+3-2',
        study=study_of,
        lines=[{'step': 4, 'train_return': 1.0}],
    )
    frames = synthetic.level_frames(2, 0)
    arrays = {'frames': frames, 'reconstructions': frames, 'level': np.array('4-1'), 'step': 8}
    np.savez(path / 'reconstructions.npz', **arrays, player_error=np.array(0.432))
    (drawn,) = figures.draw(study.read_study(tmp_path), ['figure8'])
    labels = [ax.get_ylabel() for ax in drawn.figure.axes if ax.get_ylabel()]
    assert labels == ['4-1\ntrue frames', 'two seed 0\n8 frames\nplayer 0.43']
    assert [(row['player_error'], row['enemies_error']) for row in drawn.rows] == [(0.432, '')] * 2
    assert 'beside: error where the sprites are' in drawn.figure._supxlabel.get_text()


def test_other_frames_get_a_true_row_of_their_own_and_long_ones_are_thinned(tmp_path, logdir):
    for seed, count in enumerate((30, 30, 5)):
        path = logdir(
            tmp_path / str(seed),
            task='mario_3-1+3-2',
            study={'stage': 'pretrain', 'set': 'two', 'seed': seed},
            lines=[{'step': 4, 'train_return': 1.0}],
        )
        frames = synthetic.level_frames(count, seed // 2)
        np.savez(
            path / 'reconstructions.npz',
            frames=frames,
            reconstructions=frames,
            level=np.array('1-1'),
            step=8,
        )
    (drawn,) = figures.draw(study.read_study(tmp_path), ['figure8'])
    shown = [ax for ax in drawn.figure.axes if ax.get_visible()]
    assert len(shown) == 3 * 8 + 2 * 5
    labels = [ax.get_ylabel().split('\n')[0] for ax in shown if ax.get_ylabel()]
    assert labels == ['1-1', 'two seed 0', 'two seed 1', '1-1', 'two seed 2']
    assert len(drawn.rows) == 30 + 30 + 5


@pytest.mark.parametrize(
    'changes',
    [
        {'frames': None},
        {'level': None},
        {'step': np.array('x')},
        {'level': np.array([], str)},
        {'level': np.array([{}], object)},
        {'frames': np.zeros((2, 4, 4, 1))},
        {'reconstructions': np.zeros((3, 4, 4, 1), np.uint8)},
        {'frames': np.zeros((0, 4, 4, 1), np.uint8)},
    ],
)
def test_a_damaged_file_is_named(tmp_path, logdir, changes):
    path = logdir(
        tmp_path / 'p',
        task='mario_3-1+3-2',
        study={'stage': 'pretrain', 'set': 'two', 'seed': 0},
        lines=[{'step': 4, 'train_return': 1.0}],
    )
    frames = np.zeros((2, 4, 4, 1), np.uint8)
    content = {
        'frames': frames,
        'reconstructions': frames,
        'level': np.array('1-1'),
        'step': 8,
        **changes,
    }
    kept = {key: value for key, value in content.items() if value is not None}
    np.savez(path / 'reconstructions.npz', **kept)
    assert list(figures.draw(study.read_study(tmp_path), ['figure8'])) == [
        'figure8: p: reconstructions.npz cannot be read',
        'figure8: not drawn, no run has reconstructions.npz',
    ]
    (path / 'reconstructions.npz').write_bytes(b'torn')
    assert 'figure8: p: reconstructions.npz cannot be read' in list(
        figures.draw(study.read_study(tmp_path), ['figure8'])
    )
