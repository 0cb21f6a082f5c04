"""Weights & Biases and MLflow: read back from their own files, also after a resume or a kill."""

import json
import math
import os
import sys
import time

import numpy as np
import pytest

from dreamerv2.config import load_config
from dreamerv2.errors import UsageError
from dreamerv2.run.metrics import jsonl, trackers
from dreamerv2.run.metrics.logger import Logger
from dreamerv2.run.metrics.tensorboard import EventFile
from dreamerv2.run.metrics.trackers import Tracker, check_installed, place

ROWS = {4: {'train_return': 1.5, 'train_return/1-1': 2.0}, 8: {'model_kl': 3.0}, 12: {'fps': 4.0}}


def log(logdir, rows, *, start=0, videos=None, **keys):
    """A start of a run, or a resume from a checkpoint at `start`, that logs these rows."""
    jsonl.truncate(logdir, start)
    config = load_config().update({'task': 'mario_1-1', 'logdir': str(logdir), **keys})
    outputs = [jsonl.JsonLines(logdir), EventFile(logdir, start)]
    with Logger([*outputs, *trackers.trackers(config, logdir)]) as logger:
        for step, metrics in rows.items():
            logger.write(step, metrics, (videos or {}).get(step, {}))
    if wandb := sys.modules.get('wandb'):
        wandb.teardown()  # Waits for its files, as the end of the program does.


def starts(logdir):
    """Of each start in order its W&B run, and its rows by step."""
    for path in sorted(logdir.glob('wandb/offline-run-*/run-*.wandb')):
        records = list(trackers.records(path))
        rows = {}
        for record in records:
            if record.HasField('history'):
                step = record.history.step.num
                assert step not in rows
                rows[step] = {
                    '/'.join(item.nested_key): json.loads(item.value_json)
                    for item in record.history.item
                    if not item.nested_key[0].startswith('_')
                }
        (run,) = (record.run for record in records if record.HasField('run'))
        yield run, rows


def client_of(logdir):
    from mlflow import MlflowClient

    return MlflowClient((logdir / 'mlruns').as_uri())


def only_mlflow_run(logdir):
    client = client_of(logdir)
    experiments = [each.experiment_id for each in client.search_experiments()]
    (run,) = client.search_runs(experiments)
    return client, run


def steps_of(logdir, metric='frames'):
    client, run = only_mlflow_run(logdir)
    return [each.step for each in client.get_metric_history(run.info.run_id, metric)]


def a_second_later():
    """W&B names folders by the second."""
    time.sleep(1.1)


def test_wandb_has_values_steps_videos_and_the_configuration(tmp_path):
    video = np.random.default_rng(0).integers(0, 256, (5, 16, 12, 1)).astype(np.uint8)
    rows = {**ROWS, 16: {f'model_of_{i}': i / 7 for i in range(2000)}}  # More than a block.
    log(tmp_path, rows, videos={8: {'openloop_image': video}}, wandb='offline', discount=0.9)
    ((run, found),) = starts(tmp_path)
    assert found[4] == {'train/return': 1.5, 'train/return/1-1': 2.0}
    assert found[12] == {'time/fps': 4.0}
    assert found[16] == {f'model/of_{i}': i / 7 for i in range(2000)}
    assert found[8]['model/kl'] == 3.0
    (gif,) = tmp_path.glob('wandb/offline-run-*/files/media/**/*.gif')
    assert gif.read_bytes()[:3] == b'GIF'
    assert any(key.startswith('model/openloop_image') for key in found[8])
    assert run.project == 'dreamerv2' and run.run_group == 'mario_1-1'
    settings = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert settings['discount'] == 0.9 and settings['rssm']['stoch'] == 32


def test_a_resume_is_the_same_run_and_repeats_no_step(tmp_path):
    log(tmp_path, ROWS, wandb='offline', mlflow=True)
    a_second_later()
    again = {8: {'model_kl': 3.0}, 12: {'fps': 5.0}, 16: {'fps': 6.0}}
    log(tmp_path, again, start=4, wandb='offline', mlflow=True)
    (first, before), (second, after) = starts(tmp_path)
    assert first.run_id == second.run_id
    assert [*before] == [4, 8, 12] and [*after] == [16]
    assert after[16] == {'time/fps': 6.0}
    assert steps_of(tmp_path) == [4, 8, 12, 16]
    assert steps_of(tmp_path, 'time/fps') == [12, 16]


def test_what_a_kill_lost_is_sent_at_the_resume(tmp_path):
    log(tmp_path, ROWS, wandb='offline', mlflow=True)
    (path,) = tmp_path.glob('wandb/offline-run-*/run-*.wandb')
    *_, record = (r for r in trackers.records(path) if r.HasField('history'))
    os.truncate(path, path.read_bytes().index(record.SerializeToString()[20:]))
    (metrics,) = tmp_path.glob('mlruns/*/*/metrics')
    (metrics / 'frames').write_text((metrics / 'frames').read_text().splitlines()[0] + '\n')
    a_second_later()
    log(tmp_path, {16: {'fps': 6.0}}, start=12, wandb='offline', mlflow=True)
    (_, before), (_, after) = starts(tmp_path)
    assert [*before] == [4, 8] and [*after] == [12, 16]
    assert after[12] == {'time/fps': 4.0}
    assert steps_of(tmp_path) == [4, 8, 12, 16]


def test_a_tracker_turned_on_later_gets_the_whole_history(tmp_path):
    log(tmp_path, {**ROWS, 14: {'model_kl': math.nan}})
    assert not (tmp_path / 'wandb').exists() and not (tmp_path / 'mlruns').exists()
    log(tmp_path, {16: {'fps': 6.0}}, start=14, wandb='offline', mlflow=True)
    ((_, found),) = starts(tmp_path)
    assert [*found] == [4, 8, 12, 14, 16] and found[8] == {'model/kl': 3.0}
    assert math.isnan(float(found[14]['model/kl']))
    assert steps_of(tmp_path) == [4, 8, 12, 14, 16]


def test_a_start_without_the_trackers_leaves_them_alone(tmp_path):
    log(tmp_path, ROWS, wandb='offline')
    log(tmp_path, {16: {'fps': 6.0}}, start=12)
    assert len(list(starts(tmp_path))) == 1


def test_mlflow_has_values_videos_and_the_configuration(tmp_path):
    video = np.zeros((5, 16, 12, 3), np.uint8)
    rows = {**ROWS, 16: {'odd (name)': 1.0, 'model_kl': math.inf}}
    log(tmp_path, rows, videos={8: {'openloop_image': video}}, mlflow=True, discount=0.9)
    client, run = only_mlflow_run(tmp_path)
    values = run.data.metrics
    assert values['train/return'] == 1.5 and values['train/return.1-1'] == 2.0
    assert values['odd _name_'] == 1.0 and values['model/kl'] == math.inf
    assert run.data.params['discount'] == '0.9' and run.data.params['rssm.stoch'] == '32'
    assert run.info.status == 'FINISHED' and run.data.tags['group'] == 'mario_1-1'
    (gif,) = client.list_artifacts(run.info.run_id, 'model/openloop_image')
    assert gif.path.endswith('/000000000008.gif')


def test_a_tracker_that_fails_ends_no_run(tmp_path, caplog):
    class Failing:
        last_step = -1

        def write(self, step, scalars, videos):
            written.append(step)
            raise RuntimeError('the server\nis on fire')

        def close(self):
            raise RuntimeError('still')

    written = []
    (tmp_path / 'metrics.jsonl').touch()
    for open_run in (Failing, lambda: 1 / 0):
        caplog.clear()
        with Logger([Tracker('Tracks', open_run, tmp_path)]) as logger:
            logger.write(4, {'a': 1.0})
            logger.write(8, {'a': 1.0})
            logger.flush()
        (record,) = caplog.records
        assert 'The run continues without Tracks: ' in record.getMessage()
        assert '\n' not in record.getMessage()
    assert written == [4]


@pytest.mark.parametrize('keys', [{'wandb': 'offline'}, {'mlflow': True}])
def test_a_broken_package_ends_no_run(tmp_path, monkeypatch, caplog, keys):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, [*keys][0], None)
        log(tmp_path, ROWS, **keys)
    assert [step for step, _ in jsonl.rows(tmp_path, 10**6)] == [4, 8, 12]
    assert 'The run continues without' in caplog.text


@pytest.mark.parametrize('keys', [{'wandb': 'offline'}, {'wandb': 'online'}, {'mlflow': True}])
def test_a_missing_package_is_named_before_the_start(tmp_path, monkeypatch, keys):
    ((key, value),) = keys.items()
    trackers.check_loggers(load_config())
    monkeypatch.setitem(sys.modules, key, None)
    with pytest.raises(UsageError, match=rf"--{key} {value} needs .*pip install '.\[{key}\]'"):
        trackers.check_loggers(load_config().update(keys))


def test_online_needs_a_login(monkeypatch):
    import wandb

    monkeypatch.setattr(wandb, 'login', lambda **options: options['prompt'])
    with pytest.raises(UsageError, match='--wandb online: no API key; run `wandb login`'):
        trackers.check_loggers(load_config().update({'wandb': 'online'}))


def test_a_folder_called_wandb_is_no_package(tmp_path, monkeypatch):
    (tmp_path / 'wandb').mkdir()
    monkeypatch.delitem(sys.modules, 'wandb', raising=False)
    monkeypatch.setattr(sys, 'path', [str(tmp_path)])
    with pytest.raises(UsageError, match='--wandb offline needs the package wandb'):
        check_installed('wandb offline', 'wandb', 'wandb')


def test_without_the_keys_a_run_imports_neither_package(tmp_path, repo_env):
    program = (
        'import sys, tests.run.run_fakes as fakes\n'
        'assert fakes.run(sys.argv[1])[0] == 0\n'
        'print({"wandb", "mlflow"} & set(sys.modules))\n'
    )
    found = repo_env(['-c', program, tmp_path / 'run'])
    assert found.stdout.splitlines()[-1] == 'set()', found.stderr


def test_offline_contacts_nothing(tmp_path, repo_env):
    program = (
        'import socket, sys, pathlib\n'
        'from tests.run.metrics.test_trackers import ROWS, log\n'
        'def audit(event, arguments):\n'
        '    if event == "socket.getaddrinfo" or event == "socket.connect" and (\n'
        '            arguments[0].family != socket.AF_UNIX):\n'
        '        print("contacted", arguments)\n'
        'sys.addaudithook(audit)\n'
        'log(pathlib.Path(sys.argv[1]), ROWS, wandb="offline", mlflow=True)\n'
    )
    found = repo_env(['-c', program, tmp_path])
    assert (found.returncode, found.stdout) == (0, ''), found.stderr
    assert len(list(starts(tmp_path))) == 1 and steps_of(tmp_path) == [4, 8, 12]


def test_names_of_runs(tmp_path):
    run = tmp_path / 'mini' / 'finetune' / 'two' / '1-1' / '0'
    assert place(run, 'mario_1-1') == ('dreamerv2', 'mario_1-1', '1-1/0')
    (tmp_path / 'mini').mkdir()
    (tmp_path / 'mini' / 'plan.json').touch()
    assert place(run, 'mario_1-1') == ('mini', 'finetune/two/1-1', 'finetune/two/1-1/0')
