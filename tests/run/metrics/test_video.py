"""Videos of an agent playing."""

import imageio.v3 as imageio
import numpy as np
import pytest
from run_fakes import CountingEnv

from dreamerv2.errors import UsageError
from dreamerv2.run import evaluation
from dreamerv2.run.metrics import video


def policy(obs, state):
    return np.eye(3, dtype=np.float32)[[1]], state


@pytest.mark.parametrize('name', ['play.mp4', 'play.gif'])
def test_video_shows_the_first_episode(tmp_path, name):
    frames = []
    env = video.RecordingEnv(CountingEnv(6, ['a']), frames.append)
    evaluation.Evaluator({'a': lambda: env}).evaluate(policy, 2)
    assert len(frames) == 7
    assert frames[0].shape == (192 + 24, 192, 3) and frames[0].dtype == np.uint8
    assert (frames[0][:24] > 128).any(), 'the caption'
    path = tmp_path / name
    video.check_video_path(path)
    video.write_video(path, [*frames, np.zeros((100, 50, 3), np.uint8)], 15)
    decoded = imageio.imread(path, index=None)
    assert decoded.shape[1:] == (216, 192, 3)
    assert 7 <= len(decoded) <= 8


def test_a_picture_for_people_is_preferred():
    class Rendered(CountingEnv):
        def render(self):
            return np.full((240, 256, 3), 77, np.uint8)

    frames = []
    video.RecordingEnv(Rendered(), frames.append).reset()
    assert frames[0].shape == (264, 256, 3) and (frames[0][24:] == 77).all()


def test_videos_that_cannot_be_written(tmp_path):
    for path, words in [
        (tmp_path / 'play.avi', '.mp4 or .gif'),
        (tmp_path / 'nowhere' / 'play.mp4', 'does not exist'),
        (tmp_path, 'ends in'),
    ]:
        with pytest.raises(UsageError, match=words):
            video.check_video_path(path)
    with pytest.raises(UsageError, match='is a folder'):
        video.check_output_path(tmp_path, '--json')
