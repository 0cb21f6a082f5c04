"""The order of runs, going on, retries, failures and stops, with an engine that only pretends."""

import json

from dreamerv2.run.logdir import folder
from dreamerv2.run.logdir.lock import Lock
from dreamerv2.studies.definition import read_plan, select
from dreamerv2.studies.runner import last_line, run_jobs, write_plan
from dreamerv2.studies.state import read_state, read_states


class PretendEngine:
    """Ends every run after some looks, with the exit codes that it was told."""

    def __init__(self, room=1, codes=None, looks=1):
        self.looks, self.seen = looks, 0
        self.room, self.codes = room, {k: list(v) for k, v in (codes or {}).items()}
        self.running, self.started, self.stopped, self.most = [], [], False, 0

    @property
    def has_room(self):
        return len(self.running) < self.room

    def start(self, job):
        assert json.loads((job.logdir / 'study.json').read_text()) == job.study
        self.running.append(job)
        self.started.append(job.name)
        self.most = max(self.most, len(self.running))

    def poll(self):
        self.seen += 1
        if self.seen % self.looks and not self.stopped:
            return []
        ended, self.running = self.running, []
        results = []
        for job in ended:
            code = 75 if self.stopped else (self.codes.get(job.name) or [0]).pop(0)
            if code == 0:
                folder.mark_finished(job.logdir, job.frames, 1)
            else:
                (job.logdir / 'output.log').write_text(f'hello\nended with {code}\n\n')
            results.append((job, code))
        return results

    def stop(self):
        self.stopped = True

    def end(self, job):
        self.codes[job.name] = [75]


def run(jobs, engine, stop=lambda: False, **options):
    said = []
    ended = run_jobs(jobs, engine, say=said.append, should_stop=stop, interval=0, **options)
    return {kind: [job.name for job in found] for kind, found in ended.items()}, said


def test_everything_runs_once_and_parents_come_first(jobs):
    engine, after = PretendEngine(), []
    ended, _ = run(jobs, engine, after=lambda job: after.append(job.name))
    names = [job.name for job in jobs]
    assert sorted(ended['finished']) == sorted(engine.started) == sorted(names) == sorted(after)
    for job in jobs:
        if job.parent:
            assert engine.started.index(job.parent.name) < engine.started.index(job.name)
    again = PretendEngine()
    assert run(jobs, again)[0]['finished'] == names
    assert again.started == []


def test_only_as_many_run_at_once_as_there_is_room_for(jobs):
    engine = PretendEngine(room=3)
    assert len(run(jobs, engine)[0]['finished']) == len(jobs)
    assert engine.most == 3


def test_a_crash_is_tried_again_and_bad_input_is_not(jobs):
    engine = PretendEngine(
        codes={
            'baseline/1-1/0': [1, 0],
            'baseline/1-1/1': [-9, -9],
            'baseline/1-2/0': [2],
            'baseline/1-2/1': [75, 75, 75, 0],
        }
    )
    ended, said = run(jobs, engine)
    assert ended['failed'] == ['baseline/1-1/1', 'baseline/1-2/0']
    assert engine.started.count('baseline/1-1/0') == 2
    assert engine.started.count('baseline/1-1/1') == 2
    assert engine.started.count('baseline/1-2/1') == 4
    assert len(ended['finished']) == len(jobs) - 2
    assert 'baseline/1-2/0: failed with exit code 2: ended with 2' in said
    assert 'baseline/1-1/1: failed with signal 9: ended with -9' in said


def test_what_starts_from_a_failed_run_is_blocked_until_that_has_another_chance(jobs):
    engine = PretendEngine(codes={'pretrain/pair/0': [2]})
    ended, said = run(jobs, engine)
    assert ended['failed'] == ['pretrain/pair/0']
    assert ended['blocked'] == ['finetune/pair/1-1/0', 'transfer/pair/1-3/0']
    assert 'finetune/pair/1-1/0: cannot start, pretrain/pair/0 has failed' in said
    states = {job.name: state for job, state in read_states(jobs).items()}
    assert states['pretrain/pair/0'].kind == 'failed'
    assert states['pretrain/pair/0'].error == 'ended with 2'
    assert states['transfer/pair/1-3/0'].kind == 'blocked'
    assert states['transfer/pair/1-3/1'].kind == 'finished'
    ended, _ = run(jobs, PretendEngine())
    assert sorted(ended['finished']) == sorted(job.name for job in jobs)


def test_stopping_stops_the_runs_and_the_rest_waits(jobs):
    engine = PretendEngine(room=2, looks=2)
    ended, said = run(jobs, engine, stop=lambda: len(engine.started) > 3)
    assert len(engine.started) == 4
    assert len(ended['finished']) == 2
    assert len(ended['stopped']) == len(jobs) - 2
    assert 'Stopping 2 runs, with checkpoints.' in said
    later = PretendEngine()
    assert len(run(jobs, later)[0]['finished']) == len(jobs)
    assert len(later.started) == len(jobs) - 2


def test_a_grid_goes_on_where_it_was_stopped_and_parents_are_of_the_same_setting(grid_jobs):
    engine = PretendEngine(room=2, looks=2, codes={'kl.balance=0.5/pretrain/pair/0': [2]})
    run(grid_jobs, engine, stop=lambda: len(engine.started) > 9)
    later = PretendEngine(codes={'kl.balance=0.5/pretrain/pair/0': [2]})
    ended, said = run(grid_jobs, later)
    assert len(ended['finished']) == 24 - 3
    assert ended['blocked'] == [
        f'kl.balance=0.5/{x}/0' for x in ('finetune/pair/1-1', 'transfer/pair/1-3')
    ]
    assert 'kl.balance=0.8/finetune/pair/1-1/0: finished' in said
    assert len(later.started) < 24 - 2 and len(set(later.started)) == len(later.started)


def test_further_runs_are_asked_for_and_those_not_wanted_any_more_are_dropped(jobs):
    first, second, third, *_ = select(jobs, stages=['baseline'])
    batches, unwanted = [[first], [second, third]], []

    def more():
        return batches.pop(0) if batches else []

    def dropped(job):
        if second in engine.running:
            unwanted.extend([second, third])
        return job in unwanted

    engine = PretendEngine(looks=3)
    ended, _ = run([], engine, more=more, dropped=dropped)
    assert engine.started == [first.name, second.name] and not batches
    assert ended['finished'] == [first.name] and not ended['stopped'] and not ended['failed']
    assert sorted(ended['dropped']) == sorted([second.name, third.name])


def test_a_run_that_another_process_is_busy_with_is_not_started_twice(jobs):
    (job,) = select(jobs, stages=['baseline'], levels=['1-1'], seeds=[0])
    job.logdir.mkdir(parents=True)
    looks = []

    class Waiting(PretendEngine):
        def poll(self):
            looks.append(list(self.started))
            if len(looks) == 3:
                lock.__exit__()
            return super().poll()

    lock = Lock(job.logdir)
    lock.__enter__()
    assert read_state(job).kind == 'running'
    ended, _ = run([job], Waiting())
    assert ended['finished'] == [job.name]
    assert looks[:3] == [[], [], []]


def test_figures_find_the_plan(study, tmp_path):
    write_plan(study, tmp_path)
    plan = read_plan(tmp_path / 'plan.json')
    assert plan.sets == study.sets and plan.frames == 2000
    assert (plan.finetune, plan.transfer, plan.seeds) == (('1-1',), ('1-3',), (0, 1))


def test_the_last_line_of_an_output_skips_what_a_progress_bar_leaves(tmp_path):
    path = tmp_path / 'log'
    assert last_line(path) == 'no output'
    path.write_bytes(b'first\rsecond\r\nthird \xff\r\n\n  \n')
    assert last_line(path).startswith('third')
