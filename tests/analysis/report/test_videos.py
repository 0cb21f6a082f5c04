import math

import pytest

from dreamerv2.analysis import study
from dreamerv2.analysis.report import videos
from tests.analysis import synthetic

MP4 = b'\x00\x00\x00\x18ftypmp42' + b'\x00' * 16 + b'moov' + b'\x00' * 8


@pytest.fixture
def baselines(tmp_path, logdir):
    """Baselines of two seeds at T, of which seed 1 is the better."""
    for seed in (0, 1):
        logdir(
            tmp_path / str(seed),
            steps=10,
            study={'stage': 'baseline', 'level': '1-1', 'seed': seed},
            lines=[{'step': 40, 'train_return': 500.0 + 1000 * seed}],
        )
    return tmp_path


def names(root):
    found = videos.best_videos(study.read_study(root))
    return [f'{video.run.name}/{video.path.name}' for video in found]


def test_the_best_run_of_a_stage_that_has_any(baselines):
    synthetic.add_video(baselines / '0')
    assert names(baselines) == ['0/play.gif']
    synthetic.add_video(baselines / '1', 'a.gif')
    (baselines / '1' / 'videos' / 'b.MP4').write_bytes(MP4)
    (baselines / '1' / 'videos' / 'c.txt').write_bytes(b'x')
    assert names(baselines) == ['1/a.gif', '1/b.MP4']
    found = videos.best_videos(study.read_study(baselines))
    assert [video.media_type for video in found] == ['image/gif', 'video/mp4']
    # The scale ends at the mean of both baselines.
    assert found[0].score == pytest.approx((1500 - 259.1) / (1000 - 259.1))


def test_torn_false_and_large_files_are_passed_over(baselines, monkeypatch):
    synthetic.add_video(baselines / '0')
    folder = baselines / '1' / 'videos'
    folder.mkdir()
    whole = (baselines / '0' / 'videos' / 'play.gif').read_bytes()
    (folder / 'a.gif').write_bytes(whole[:-1])
    (folder / 'b.mp4').write_bytes(MP4[:20])
    (folder / 'c.gif').write_bytes(b'<svg></svg>;')
    (folder / 'd.gif').mkdir()
    assert names(baselines) == ['0/play.gif']
    (folder / 'e.gif').write_bytes(whole)
    assert names(baselines) == ['1/e.gif']
    monkeypatch.setattr(videos, 'LARGEST', len(whole) - 1)
    assert names(baselines) == []


def test_one_of_each_stage_comes_first(root, baselines, monkeypatch):
    assert names(root)[0].startswith('b/3-1') and names(root)[1].startswith('p/')
    assert len(names(root)) == 2
    for i in range(9):
        synthetic.add_video(baselines / '1', f'{i}.gif')
    assert names(baselines) == [f'1/{i}.gif' for i in range(6)]
    monkeypatch.setattr(videos, 'MOST', 1)
    assert len(names(root)) == 1


def test_a_level_without_a_scale_goes_by_its_return(tmp_path, logdir):
    for seed, value in enumerate((5.0, 9.0, None)):
        path = logdir(
            tmp_path / str(seed),
            task='gym_Pole',
            study={'stage': 'transfer', 'set': 's', 'level': 'Pole', 'seed': seed},
            lines=[{'step': 4, 'train_return': value}] if value else [{'step': 4, 'fps': 1.0}],
        )
        synthetic.add_video(path)
    (found,) = videos.best_videos(study.read_study(tmp_path))
    assert found.run.name == '1' and math.isnan(found.score)


def test_a_video_is_named_by_stage_levels_seed_and_frames(tmp_path, logdir):
    for name, task, place in (
        ('b', 'mario_3-1', {'stage': 'baseline', 'level': '3-1', 'seed': 0}),
        ('p', 'mario_1-1+1-2', {'stage': 'pretrain', 'set': 'e2', 'seed': 3}),
        ('f', 'mario_1-2', {'stage': 'finetune', 'set': 'e2', 'level': '1-2', 'seed': 3}),
        ('t', 'gym_Pole', {'stage': 'transfer', 'set': 'e2', 'level': 'Pole', 'seed': 1}),
    ):
        path = logdir(tmp_path / name, task=task, study=place)
        synthetic.add_video(path, f'{10**7}.gif' if name == 'p' else 'play.gif')
    assert [video.name for video in videos.best_videos(study.read_study(tmp_path))] == [
        'baseline 3-1, seed 0, play.gif',
        'pretrain e2 (1-1, 1-2), seed 3, after 10M frames',
        'finetune e2 1-2, seed 3, play.gif',
        'transfer e2 Pole, seed 1, play.gif',
    ]


def test_of_many_levels_the_first_are_named(tmp_path, logdir):
    task = 'mario_' + '+'.join(f'{world}-1' for world in range(1, 9))
    path = logdir(tmp_path / 'p', task=task, study={'stage': 'pretrain', 'set': 's', 'seed': 0})
    synthetic.add_video(path, '600.gif')
    (found,) = videos.best_videos(study.read_study(tmp_path))
    levels = '(1-1, 2-1, 3-1, 4-1, 5-1, 6-1 and 2 more)'
    assert found.name == f'pretrain s {levels}, seed 0, after 600 frames'
