"""How far a run is, as its logdir tells."""

import json

import pytest

from dreamerv2.run.logdir import folder
from dreamerv2.run.logdir.lock import Lock
from dreamerv2.studies.state import read_state, write_failure


def test_states_tell_how_far_a_run_is(jobs):
    job = jobs[0]
    assert read_state(job).kind == 'waiting'
    job.logdir.mkdir(parents=True)
    rows = [{'step': 400, 'train_return': 3.0}, {'step': 500, 'fps': 50.0}]
    text = ''.join(json.dumps(row) + '\n' for row in rows)
    (job.logdir / 'metrics.jsonl').write_text('[1]\nbroken{\n' + text + '{"step": 900, "tra')
    state = read_state(job)
    assert state.kind == 'stopped'
    assert (state.frames, state.frames_per_second, state.train_return) == (500, 50.0, 3.0)
    assert state.seconds_left == pytest.approx(1500 / 50)
    with Lock(job.logdir):
        assert read_state(job).kind == 'running'
    write_failure(job, 1, 'out of memory')
    assert read_state(job).error == 'out of memory'
    folder.mark_finished(job.logdir, 1999, 3)
    assert read_state(job).kind == 'failed'
    folder.mark_finished(job.logdir, 2000, 3)
    assert read_state(job).kind == 'finished'
