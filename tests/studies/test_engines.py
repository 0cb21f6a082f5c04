"""Clusters: runs on Ray while a machine is lost, and on submitit while one is pre-empted."""

import argparse
import json
import os
import pathlib
import re
import signal
import sys
import time

import pytest

from dreamerv2.errors import UsageError
from dreamerv2.run import checkpoint
from dreamerv2.run.logdir.lock import holder_of
from dreamerv2.studies.definition import make_jobs, select
from dreamerv2.studies.engines import (
    SlurmEngine,
    _slurm_options,
    add_arguments,
    check_arguments,
    make_engine,
)
from dreamerv2.studies.process import end_run, run_process
from dreamerv2.studies.runner import run_jobs
from dreamerv2.studies.study_file import read_definition

STUDY = """
configs: [mario, debug]
config:
  {prefill: 60, eval_every: 0, log_every: 20, save_every: 40, precision: float32, time_limit: 25}
frames: 480
seeds: [0]
pretrain: [pair]
finetune: [1-1]
transfer: [1-3]
baseline: [1-1]
sets: {pair: [1-1, 1-2]}
"""


@pytest.fixture
def jobs(tmp_path):
    (tmp_path / 'study.yaml').write_text(STUDY)
    return make_jobs(read_definition(tmp_path / 'study.yaml'), tmp_path / 'root')


def parse(flags, *more):
    """The flags that choose an engine, checked."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    args = parser.parse_args([*flags.split(), *more])
    check_arguments(args)
    return args


def metrics(job):
    lines = (job.logdir / 'metrics.jsonl').read_text().splitlines()
    return [json.loads(line) for line in lines]


def starts(job):
    """How often the run has started to compute."""
    output = job.logdir / 'output.log'
    return output.read_text().count('Computing on') if output.exists() else 0


def waiting_process(job_id):
    """The process of a job of submitit in which the study's task is."""
    for entry in pathlib.Path('/proc').glob('[0-9]*'):
        try:
            parent = int((entry / 'stat').read_text().rpartition(')')[2].split()[1])
            command = (entry / 'cmdline').read_text()
        except OSError:
            continue
        if parent == job_id and 'submitit' in command:
            return int(entry.name)
    raise AssertionError(f'no process of job {job_id}')


def check_finished(job):
    """The run is there once and whole."""
    assert json.loads((job.logdir / 'done.json').read_text())['step'] == job.frames
    saved = checkpoint.find(job.logdir)
    assert saved.frames == job.frames
    assert any(name.startswith('parameters/') for name in saved.arrays())
    steps = [row['step'] for row in metrics(job)]
    assert steps == sorted(steps)
    logged = [row['step'] for row in metrics(job) if 'fps' in row]
    assert len(logged) == len(set(logged))


@pytest.mark.slow
def test_a_study_on_ray_survives_the_loss_of_a_machine(jobs, tmp_path):
    from ray.cluster_utils import Cluster

    assert len(jobs) == 4
    cluster = Cluster(initialize_head=True, head_node_args={'num_cpus': 0})
    said, lost = [], []
    try:
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        engine = make_engine(
            parse('--engine ray --cpus_per_run 1 --address', cluster.address), tmp_path
        )

        def say(line):
            said.append(line)

        def lose_a_machine():
            # In the middle: some have finished, and both machines are at work on others.
            busy = [job for job in jobs if holder_of(job.logdir) and starts(job) == 1]
            finished = sum(line.endswith(': finished') for line in said)
            if not lost and finished and len(busy) == 2:
                lost.append([job.name for job in busy])
                cluster.remove_node(nodes[0], allow_graceful=False)
                cluster.add_node(num_cpus=1)
            return False

        ended = run_jobs(jobs, engine, say=say, should_stop=lose_a_machine, interval=0.05)
        engine.close()
    finally:
        cluster.shutdown()
    assert lost
    assert sorted(job.name for job in ended['finished']) == sorted(job.name for job in jobs)
    assert len([line for line in said if line.endswith(': finished')]) == 4
    for job in jobs:
        check_finished(job)
    again = [job.name for job in jobs if starts(job) > 1]
    assert len(again) == 1 and again[0] in lost[0]
    assert sum(starts(job) for job in jobs) == 5


def test_a_preempted_job_of_submitit_goes_on(jobs, tmp_path):
    (job,) = select(jobs, stages=['baseline'])
    engine = SlurmEngine(tmp_path / 'slurm', cluster='local')
    preempted = []

    def preempt():
        if not preempted and starts(job):
            (submitted,) = engine._running.values()
            preempted.append(int(submitted.job_id))
            # As the cluster does: to the process that waits for the run.
            os.kill(waiting_process(int(submitted.job_id)), signal.SIGUSR2)
        return False

    ended = run_jobs([job], engine, say=print, should_stop=preempt, interval=0.05)
    assert preempted and ended['finished'] == [job]
    check_finished(job)
    assert starts(job) == 2
    assert 'Stopped by SIGTERM' in (job.logdir / 'output.log').read_text()


def test_a_run_waits_for_the_one_before_it_to_let_go(tmp_path):
    # Stands for a former process of the run that is still saving.
    script = (
        'import sys, time; from pathlib import Path; from dreamerv2.run.logdir.lock import Lock\n'
        'with Lock(Path(sys.argv[1])):\n    print("held", flush=True); time.sleep(1)'
    )
    import subprocess

    former = subprocess.Popen(
        [sys.executable, '-c', script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert former.stdout.readline() == 'held\n'
    started = time.monotonic()
    assert run_process(['--no_such_key', '1'], tmp_path, interval=0.05) == 2
    assert time.monotonic() - started > 0.5
    assert former.wait(10) == 0


def test_ending_a_run_that_nobody_runs_does_nothing(tmp_path):
    assert end_run(tmp_path)


def test_an_unknown_slurm_option_is_named(tmp_path):
    with pytest.raises(UsageError, match='--engine slurm'):
        SlurmEngine(tmp_path, cluster='local', options={'no_such_option': 1})


@pytest.mark.parametrize(
    ('given', 'words'),
    [
        ('timeout_min=4h', ['timeout_min', '4h']),
        ('mem_gb=much', ['mem_gb', 'much']),
        ('tasks_per_node=1.5', ['tasks_per_node', '1.5']),
        ('nonsense=3', ['nonsense', 'prefixed']),
    ],
)
def test_a_slurm_option_of_a_wrong_kind_is_one_line(tmp_path, given, words):
    with pytest.raises(UsageError) as caught:
        SlurmEngine(tmp_path / 'slurm', cluster='local', options=_slurm_options(given))
    text = str(caught.value)
    assert text.startswith('--engine slurm: ') and '\n' not in text
    assert all(word in text for word in words)


def test_numbers_of_slurm_options_are_numbers():
    found = _slurm_options('timeout_min=60,mem_gb=1.5,slurm_partition=gpu,slurm_time=04:00:00')
    assert found == {
        'timeout_min': 60, 'mem_gb': 1.5, 'slurm_partition': 'gpu', 'slurm_time': '04:00:00'
    }  # fmt: skip


def test_the_flags_of_the_cookbook_reach_slurm(jobs, tmp_path, monkeypatch):
    """Up to the file that is handed to `sbatch`: no cluster is here."""
    page = (pathlib.Path(__file__).parents[2] / 'docs' / 'cookbook.md').read_text()
    (flags,) = re.findall(r'thesis (--engine slurm .+)', page.replace('\\\n', ''))
    (tmp_path / 'srun').touch(0o755)
    (tmp_path / 'sbatch').write_text('#!/bin/sh\necho Submitted batch job 7\n')
    (tmp_path / 'sbatch').chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path), prepend=os.pathsep)
    engine = make_engine(parse(flags), tmp_path)
    engine.start(jobs[0])
    (script,) = (tmp_path / 'slurm').glob('7_*.sh')
    asked = dict(re.findall(r'^#SBATCH --(.+?)=(.+)$', script.read_text(), re.M))
    expected = {'partition': 'gpu', 'time': '1440', 'cpus-per-task': '4', 'gpus-per-node': '1'}
    assert expected.items() <= asked.items()
    assert 'signal' in asked, 'without it a job is not told that its time is up'
