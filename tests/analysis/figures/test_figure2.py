import numpy as np
import pytest

from dreamerv2.analysis import figures, study
from dreamerv2.analysis.figures import figure2
from tests.analysis import synthetic


@pytest.fixture
def pretrained(tmp_path, logdir):
    path = logdir(
        tmp_path / 'p',
        task='mario_3-1+3-2',
        study={'stage': 'pretrain', 'set': 'two', 'seed': 0},
        lines=[{'step': 4, 'train_return': 1.0}],
    )
    return path, lambda: study.read_study(tmp_path)


def test_the_row_of_the_right_level(pretrained):
    path, read = pretrained
    synthetic.add_episode(path, ['3-2', '3-1'], 0)
    synthetic.add_episode(path, ['3-2', '3-1'], 1)
    for index, level in enumerate(['3-2', '3-1']):
        found = figure2.find_frame(read(), level)
        np.testing.assert_array_equal(found.image, synthetic.level_frames(12, index)[8])
        assert found.run == 'p' and found.episode.endswith(f'{index:09d}-12.npz')
    assert figure2.find_frame(read(), '1-1') is None


def test_episodes_that_cannot_be_used_are_passed_over(pretrained):
    path, read = pretrained
    levels = ['3-1', '3-2']
    synthetic.add_episode(path, levels, 0, rows=8)
    folder = path / 'train_episodes'
    (folder / '20230101T000000-000000000-12.npz').write_bytes(b'PK\x03\x04 torn')
    (folder / '20230101T000001-000000001-12.npz').write_bytes(b'')
    with (folder / '20230101T000002-000000002-12.npz').open('wb') as file:
        np.save(file, np.zeros(3))
    np.savez(folder / '20230101T000003-000000003-12.npz', image=np.zeros((12, 64, 64, 1)))
    np.savez(folder / '20230101T000004-000000004-12.npz', level=np.zeros(12, np.int32))
    np.savez(folder / '20230101T000005-000000005-12.npz', image=np.array([{}], object))
    np.savez(folder / '20230101T000006-000000006-12.npz', level=np.full(12, 9))
    assert figure2.find_frame(read(), '3-1') is None
    synthetic.add_episode(path, levels, 0, rows=9)
    assert figure2.find_frame(read(), '3-1').episode.endswith('-9.npz')


@pytest.mark.parametrize('text', ['{', '{}', '[]', 'null'])
def test_without_names_the_runs_own_count(pretrained, text):
    path, read = pretrained
    synthetic.add_episode(path, ['x', 'y'], 1)
    (path / 'train_episodes' / 'levels.json').write_text(text)
    assert figure2.find_frame(read(), '3-2').image.shape == (64, 64, 1)


def test_the_grid_names_what_has_no_episode(root):
    (drawn,) = figures.draw(study.read_study(root), ['figure2'])
    axes = {ax.get_title(): ax for ax in drawn.figure.axes}
    assert list(axes) == ['3-1', '3-2', '4-4', '1-1', '1-2']
    for index, level in enumerate(['3-1', '3-2', '4-4']):
        image = axes[level].images[0].get_array()
        np.testing.assert_array_equal(image, synthetic.level_frames(12, index)[8, ..., 0])
    for level in ('1-1', '1-2'):
        assert not axes[level].images and axes[level].texts[0].get_text().startswith('no episode')
    assert [row['level'] for row in drawn.rows] == ['3-1', '3-2', '4-4']
    assert drawn.rows[0]['run'].startswith('p/')


def test_colour_frames_are_shown_in_colour(pretrained):
    path, read = pretrained
    folder = path / 'train_episodes'
    folder.mkdir()
    image = np.random.default_rng(0).integers(0, 255, (9, 64, 64, 3), np.uint8)
    np.savez(folder / 'a.npz', image=image)
    (drawn,) = figures.draw(read(), ['figure2'])
    np.testing.assert_array_equal(drawn.figure.axes[0].images[0].get_array(), image[8])
