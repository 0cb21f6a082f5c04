"""Which finished runs are evaluated on which levels, without playing."""

import json

import pytest

from dreamerv2.studies import evaluations


@pytest.fixture
def evaluate(study, monkeypatch):
    """Evaluates a run; returns the modules that were run, each with its tasks."""

    def run_module(name, logdir, *arguments):
        words = [str(word) for word in arguments]
        first = words.index('--tasks' if '--tasks' in words else '--task') + 1
        tasks = [word for word in words[first:] if word.startswith('mario_')]
        ran.append((name.rpartition('.')[2], [task.removeprefix('mario_') for task in tasks]))
        if '--json' in words:
            levels = {x: {'values': {'returns': [1.0]}} for x in ran[-1][1]}
            with open(words[words.index('--json') + 1], 'w') as file:
                json.dump({'step': 2000, 'policy': 'train', 'levels': levels}, file)
        else:
            (logdir / 'reconstructions.npz').touch()
        return ''

    ran = []
    monkeypatch.setattr(evaluations, 'run_module', run_module)

    def evaluate(job):
        ran.clear()
        job.logdir.mkdir(parents=True, exist_ok=True)
        evaluations.evaluate_finished(study, said.append)(job)
        return list(ran)

    said = []
    return evaluate


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('baseline/1-1/0', []),
        ('pretrain/pair/0', [('evaluate', ['1-1', '1-2', '1-3']), ('reconstruct', ['1-3'])]),
        ('finetune/pair/1-1/0', [('evaluate', ['1-1', '1-2'])]),
        ('transfer/pair/1-3/1', [('evaluate', ['1-1', '1-2'])]),
    ],
)
def test_each_run_of_a_set_is_evaluated_once(jobs, evaluate, name, expected):
    (job,) = [job for job in jobs if job.name == name]
    assert evaluate(job) == expected
    file = job.logdir / 'evaluations.jsonl'
    levels = (
        [json.loads(line)['level'] for line in file.read_text().splitlines()] if expected else []
    )
    assert levels == (expected[0][1] if expected else [])
    assert evaluate(job) == []
    assert file.exists() == bool(expected)


def test_what_was_there_is_kept(jobs, evaluate):
    (job,) = [job for job in jobs if job.name == 'finetune/pair/1-1/0']
    job.logdir.mkdir(parents=True)
    older = '{"step": 2000, "level": "1-1", "returns": [5.0], "policy": "mode"}\n'
    (job.logdir / 'evaluations.jsonl').write_text(older)
    assert evaluate(job) == [('evaluate', ['1-1', '1-2'])]
    assert (job.logdir / 'evaluations.jsonl').read_text().startswith(older)
