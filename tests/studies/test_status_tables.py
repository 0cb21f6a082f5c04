"""The plan and the states of a study as tables, plain and on a terminal."""

import io
import json

import pytest
from rich.console import Console

from dreamerv2.run.logdir import folder
from dreamerv2.studies import status_tables as tables
from dreamerv2.studies.state import State, read_states


def test_tables_show_the_plan_and_the_runs(jobs, tmp_path):
    logdir_of = jobs[0].logdir
    logdir_of.mkdir(parents=True)
    folder.mark_finished(logdir_of, 2000, 3)
    (logdir_of / 'metrics.jsonl').write_text('{"step": 2000, "fps": 20.0}\n')
    states = read_states(jobs)
    rows = tables.plan_rows(jobs, states)
    assert rows[1] == ['baseline', '-', '3', '2', '6', '1', '12,000']
    assert rows[-1] == ['in all', '', '', '', '12', '1', '24,000']
    line = tables.estimate_line(jobs, states, 10, 2)
    assert line == (
        '22,000 frames are left: about 18 minutes of one run, about 9 minutes with 2 at a time, '
        'at 20 frames/s (as seen).'
    )
    assert tables.estimate_line(jobs[:1], states, 10, 2) == 'Everything is finished.'
    text = tables.as_text(tables.status_rows(jobs, states)).splitlines()
    assert text[0].split() == ['run', 'state', 'frames', 'done', 'frames/s', 'return', 'left']
    assert text[1].split() == ['baseline/1-1/0', 'finished', '2,000', '100', '%', '20']
    assert tables.summary_line(states) == '12 runs: 1 finished, 11 waiting'
    found = json.loads(tables.as_json(jobs, states))
    assert found[0]['run'] == 'baseline/1-1/0' and found[0]['kind'] == 'finished'
    assert found[-1]['set'] == 'pair' and found[-1]['frames'] == 0


def test_the_settings_of_a_grid_are_rows_of_their_own(grid_jobs):
    states = read_states(grid_jobs)
    rows = tables.plan_rows(grid_jobs, states)
    assert [row[0] for row in rows[1:]] == [
        *(f'kl.balance=0.5/{x}' for x in ('baseline', 'pretrain', 'finetune', 'transfer')),
        *(f'kl.balance=0.8/{x}' for x in ('baseline', 'pretrain', 'finetune', 'transfer')),
        'in all',
    ]
    assert rows[5] == ['kl.balance=0.8/baseline', '-', '3', '2', '6', '0', '12,000']
    assert rows[-1] == ['in all', '', '', '', '24', '0', '48,000']
    found = json.loads(tables.as_json(grid_jobs, states))
    assert [row['run'] for row in found] == [job.name for job in grid_jobs]
    assert found[0]['setting'] == 'kl.balance=0.5' and found[-1]['setting'] == 'kl.balance=0.8'


@pytest.mark.parametrize(
    ('number', 'text'),
    [(0, '0'), (19_200, '19,200'), (999_999, '999,999'), (1_920_000, '1.92M'), (1e6, '1M'),
     (12_345_678, '12.3M'), (7e8, '700M'), (1.6e9, '1,600M')],
)  # fmt: skip
def test_numbers_of_frames(number, text):
    assert tables.count(int(number)) == text


@pytest.mark.parametrize(
    ('seconds', 'text'),
    [(0, 'less than a minute'), (59, 'less than a minute'), (60, 'about 1 minute'),
     (720, 'about 12 minutes'), (3600, 'about 1 hour'), (12_600, 'about 3.5 hours'),
     (5772 * 3600, 'about 5,772 hours')],
)  # fmt: skip
def test_times_in_words(seconds, text):
    assert tables.in_words(seconds) == text


@pytest.mark.parametrize('width', [40, 60, 80, 120])
def test_a_watched_study_fits_its_terminal(jobs, width):
    states = {job: State('running', 1234, 20.4, 130.0, 75.0, host='a.long.name.of.a.machine')
              for job in jobs}  # fmt: skip
    states[jobs[-1]] = State('failed', 700, 20.4, 130.0, None, 'RuntimeError: out of memory')
    console = Console(width=width, file=io.StringIO())
    console.print(tables.view(jobs, states, width))
    shown = console.file.getvalue().splitlines()
    assert max(map(len, shown)) <= width
    rows = [line.split() for line in shown[: len(jobs) + 1]]
    assert rows[0][:2] == ['run', 'state'] and 'done' in rows[0]
    # One line a run, and nothing is broken off in the middle.
    assert [row[0] for row in rows[1:]] == [job.name for job in jobs]
    assert all(row[1] in ('running', 'failed') and '%' in row for row in rows[1:])
    assert ' '.join(line.strip() for line in shown).count('out of memory') == 1
    assert '12 runs: 11 running, 1 failed' in ' '.join(shown)
