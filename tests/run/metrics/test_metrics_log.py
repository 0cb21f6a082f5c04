"""Where metrics go: JSON lines, TensorBoard, terminal, and the thread that writes them."""

import io
import json
import math

import imageio.v3 as imageio
import numpy as np
import pytest

from dreamerv2.run.metrics import jsonl, terminal
from dreamerv2.run.metrics.logger import Logger, MetricMeans, Throughput
from dreamerv2.run.metrics.tags import encode_gif, tag
from dreamerv2.run.metrics.tensorboard import EventFile


def read(path):
    def refuse(name):
        raise AssertionError(f'{name} is no JSON')

    return [json.loads(line, parse_constant=refuse) for line in path.read_text().splitlines()]


def test_every_line_is_valid_json(tmp_path):
    with Logger([jsonl.JsonLines(tmp_path)]) as logger:
        logger.write(4, {'a': np.float32(1.5), 'nan': math.nan, 'inf': -math.inf, 'n': np.int64(3)})
        logger.write(8, {'tensor': np.array(2.0)}, {'video': np.zeros((2, 4, 4, 1), np.uint8)})
        logger.write(8, {})
    assert read(tmp_path / 'metrics.jsonl') == [
        {'step': 4, 'a': 1.5, 'nan': None, 'inf': None, 'n': 3},
        {'step': 8, 'tensor': 2},
    ]


def test_lines_are_written_when_the_run_crashes(tmp_path):
    with pytest.raises(ZeroDivisionError), Logger([jsonl.JsonLines(tmp_path)]) as logger:
        for step in range(100):
            logger.write(step, {'a': step})
        raise ZeroDivisionError
    assert [line['step'] for line in read(tmp_path / 'metrics.jsonl')] == list(range(100))


def test_lines_are_there_after_flush_and_appended_to(tmp_path):
    for step in (1, 2):
        logger = Logger([jsonl.JsonLines(tmp_path)])
        logger.write(step, {'a': step})
        logger.flush()
        assert read(tmp_path / 'metrics.jsonl')[-1] == {'step': step, 'a': step}
        logger.close()
        logger.close()
    assert len(read(tmp_path / 'metrics.jsonl')) == 2


def test_an_unfinished_line_is_ended_first(tmp_path):
    (tmp_path / 'metrics.jsonl').write_text('{"step": 1, "a": 1}\n{"step": 2, "a"')
    with Logger([jsonl.JsonLines(tmp_path)]) as logger:
        logger.write(3, {'a': 3})
    assert (tmp_path / 'metrics.jsonl').read_text().splitlines()[2] == '{"step": 3, "a": 3}'


def test_truncate_moves_what_is_lived_through_again(tmp_path):
    lines = ['{"step": 4, "a": 1}', '{"step": 8, "a": 2}', '{"step": 12, "a": 3}', '{"step": 16']
    (tmp_path / 'metrics.jsonl').write_text('\n'.join(lines))
    assert jsonl.truncate(tmp_path, 8) == 2
    assert (tmp_path / 'metrics.jsonl').read_text().splitlines() == lines[:2]
    assert (tmp_path / 'metrics.superseded.jsonl').read_text().splitlines() == lines[2:]
    assert jsonl.truncate(tmp_path, 8) == 0
    assert jsonl.truncate(tmp_path, 4) == 1
    assert (tmp_path / 'metrics.superseded.jsonl').read_text().splitlines() == [
        *lines[2:],
        lines[1],
    ]
    assert jsonl.truncate(tmp_path / 'nowhere', 4) == 0


def test_an_output_that_fails_is_reported():
    class Broken:
        def write(self, step, scalars, videos):
            raise OSError('no space left')

        def close(self):
            pass

    logger = Logger([Broken()])
    logger.write(1, {'a': 1})
    with pytest.raises(OSError, match='no space'):
        logger.flush()
    logger.close()


def test_sums_with_counts_are_weighted_and_what_never_came_is_left_out():
    means = MetricMeans()
    for total, count in ((6.0, 2.0), (0.0, 0.0), (4.0, 8.0)):
        means.add({'loss/a': np.array([total, count]), 'loss/b': np.zeros(2)})
    other = MetricMeans()
    other.set_state(json.loads(json.dumps(means.get_state())))
    assert means.take() == other.take() == {'loss/a': 1.0}
    assert means.take() == {}


def test_means_of_what_came_since_the_last_time():
    means = MetricMeans()
    means.add({'a': np.float32(1), 'b': 4})
    means.add({'a': np.array(3.0)})
    assert means.take() == {'a': 2.0, 'b': 4.0}
    assert means.take() == {}


def test_gathered_metrics_go_on_from_their_state():
    means, other = MetricMeans(), MetricMeans()
    for value in (1.0, 2.0):
        means.add({'a': value, 'b': math.inf})
    other.set_state(json.loads(json.dumps(means.get_state(), allow_nan=False)))
    other.add({'a': 6.0, 'b': 1.0})
    assert other.take() == {'a': 3.0, 'b': pytest.approx(math.nan, nan_ok=True)}


def read_events(folder):
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New

    events = []
    for path in sorted(folder.glob('events.out.tfevents.*')):
        reader = PyRecordReader_New(str(path))
        while True:
            try:
                reader.GetNext()
            except Exception as error:
                assert 'OutOfRange' in type(error).__name__, error
                break
            events.append(Event.FromString(reader.record()))
    return events


def test_tensorboard_reads_scalars_and_videos(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (6, 12, 8, 1), np.uint8)
    with Logger([EventFile(tmp_path, 40)]) as logger:
        logger.write(44, {'a': 1.5, 'bad': math.nan}, {'openloop': frames})
    version, start, event = read_events(tmp_path)
    assert version.file_version == 'brain.Event:2'
    assert start.session_log.status == start.session_log.START and start.step == 41
    assert event.step == 44
    values = {value.tag: value for value in event.summary.value}
    assert values['a'].simple_value == 1.5
    assert math.isnan(values['bad'].simple_value)
    image = values['openloop'].image
    assert (image.height, image.width) == (12, 8)
    decoded = imageio.imread(image.encoded_image_string, index=None, extension='.gif')
    assert decoded.shape == (6, 12, 8, 3)
    assert np.abs(decoded.astype(int) - frames).max() < 8


@pytest.mark.parametrize(
    ('name', 'wanted'),
    [
        ('train_return', 'train/return'),
        ('train_completed/1-1', 'train/completed/1-1'),
        ('train_policy_image', 'train/policy_image'),
        ('train_ratio', 'time/train_ratio'),
        ('eval_progress/1-1', 'eval/progress/1-1'),
        ('image_loss', 'model/image_loss'),
        ('image_loss/1-2', 'model/image_loss/1-2'),
        ('reward_loss', 'model/reward_loss'),
        ('model_kl', 'model/kl'),
        ('prior_ent', 'model/prior_ent'),
        ('model_error/player_5', 'model/error/player_5'),
        ('deaths_foreseen/auc_4', 'model/deaths_foreseen/auc_4'),
        ('openloop_image', 'model/openloop_image'),
        ('actor_loss', 'actor_critic/actor_loss'),
        ('actor_ent', 'actor_critic/actor_ent'),
        ('critic', 'actor_critic/critic'),
        ('critic_against/bias', 'actor_critic/critic_against/bias'),
        ('return_range/1-1', 'actor_critic/return_range/1-1'),
        ('reward_normed_mean', 'actor_critic/reward_normed_mean'),
        ('replay_total_steps', 'replay/total_steps'),
        ('absorbing_fraction', 'replay/absorbing_fraction'),
        ('fps', 'time/fps'),
        ('skipped_updates', 'time/skipped_updates'),
        ('of_my_own', 'of_my_own'),
    ],
)
def test_tensorboard_shows_together_what_belongs_together(name, wanted):
    assert tag(name) == wanted


def test_gif_in_colour():
    frames = np.zeros((3, 10, 10, 3), np.uint8)
    frames[..., 1] = 200
    decoded = imageio.imread(encode_gif(frames), index=None, extension='.gif')
    assert (decoded[..., 1] > 190).all() and (decoded[..., 0] < 10).all()


@pytest.mark.parametrize('channels', [1, 2, 3, 4, 5, 8, 12])
def test_videos_of_any_number_of_channels(tmp_path, channels):
    frames = np.random.default_rng(0).integers(0, 256, (3, 16, 12, channels)).astype(np.uint8)
    with Logger([EventFile(tmp_path)]) as logger:
        logger.write(4, {}, {'policy': frames})
    (value,) = read_events(tmp_path)[-1].summary.value
    decoded = imageio.imread(value.image.encoded_image_string, index=None, extension='.gif')
    assert decoded.shape == (3, 16, 12, 3)
    if channels != 3:  # the newest picture of a stack, in gray
        assert np.abs(decoded.astype(int) - frames[..., -1:]).max() < 8


def test_a_video_that_cannot_be_written_ends_no_run(tmp_path, caplog, monkeypatch):
    def fail(frames):
        raise ValueError('no codec')

    monkeypatch.setattr('dreamerv2.run.metrics.tags.encode_gif', fail)
    with Logger([EventFile(tmp_path)]) as logger:
        logger.write(4, {'a': 1.0}, {'policy': np.zeros((3, 16, 12, 1), np.uint8)})
    assert [value.tag for value in read_events(tmp_path)[-1].summary.value] == ['a']
    assert 'No video policy at step 4: no codec' in caplog.text


def test_plain_lines_where_there_is_no_terminal():
    stream = io.StringIO()
    display = terminal.ProgressDisplay(4000, 0, stream=stream, interval=0)
    display.phase('training')
    display.episode(10.0)
    display.episode(20.0)
    display.update(1000, 7)
    display.line('a message')
    display.close()
    first, second = stream.getvalue().splitlines()
    assert 'training' in first and '1000/4000 frames' in first and '7 updates' in first
    assert 'return 15.0 (last 2)' in first and first.endswith('left')
    assert second == 'a message'


def test_the_rate_is_that_of_the_phase(monkeypatch):
    stream, now = io.StringIO(), [100.0]
    monkeypatch.setattr(terminal.time, 'monotonic', lambda: now[0])
    display = terminal.ProgressDisplay(4000, 1000, stream=stream, interval=30)
    now[0] = 150  # Such a start takes its time.
    display.phase('training')
    display.update(1004, 1)
    assert stream.getvalue() == ''
    now[0] = 155
    display.update(1500, 8)
    assert '100 frames/s' in stream.getvalue() and '00:25 left' in stream.getvalue()


def test_a_bar_where_there_is_one():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    display = terminal.ProgressDisplay(4000, 400, stream=stream)
    display.phase('training')
    display.episode(10.0)
    display._bar.mininterval = 0
    display.update(1000, 7)
    display.update(2000, 8)
    display.line('a message')
    display.close()
    text = stream.getvalue()
    assert 'training' in text and '2.00k/4.00k' in text and 'frame/s' in text
    assert 'updates 8' in text and 'return 10.0' in text and 'a message\n' in text


def test_an_evaluation_shows_how_far_it_is(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(terminal.time, 'monotonic', lambda: now[0])
    plain = io.StringIO()
    training = terminal.ProgressDisplay(4000, 0, stream=plain, interval=30)
    alone = terminal.EvaluationDisplay(6, stream=plain, interval=30)
    for now[0] in (29.0, 30.0, 31.0, 60.0):
        training.evaluating('1-1', 2, 100, total=6)
        alone.update('1-2', 4, int(now[0]))
    alone.close()
    assert plain.getvalue().splitlines() == [
        'evaluation  2/6 episodes  1-1, step 100 of this one',
        'evaluation  4/6 episodes  1-2, step 30 of this one',
        'evaluation  2/6 episodes  1-1, step 100 of this one',
        'evaluation  4/6 episodes  1-2, step 60 of this one',
    ]


def test_an_evaluation_on_a_terminal():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    display = terminal.EvaluationDisplay(6, stream=stream)
    display._bar.mininterval = 0
    display.update('1-1', 0, 7)
    display.update('1-2', 4, 8)
    display.close()
    text = stream.getvalue()
    assert 'step 7' in text and '1-2' in text and '4/6' in text
    stream = Terminal()
    display = terminal.ProgressDisplay(4000, 400, stream=stream)
    display._bar.mininterval = 0
    display.phase('evaluation')
    display.evaluating('1-1', 2, 100, total=6)
    display.close()
    assert 'evaluation 2/6' in stream.getvalue()


def test_clock():
    assert terminal.clock(59) == '00:59'
    assert terminal.clock(3 * 3600 + 25 * 60 + 8) == '3:25:08'


def test_pauses_do_not_count():
    now = [0.0]
    throughput = Throughput(4, lambda: now[0])
    throughput.start(100, 10)
    now[0] = 2.0
    with throughput.paused():
        now[0] = 50.0
    now[0] = 52.0
    assert throughput.take(180, 20) == {'fps': 80.0, 'train_ratio': 0.125}
    now[0] = 53.0
    assert throughput.take(190, 20) == {'fps': 40.0, 'train_ratio': 0.0}
