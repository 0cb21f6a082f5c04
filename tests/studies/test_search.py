"""Searches: settings and scores, resuming, pruning and refusals; training is a stand-in."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time

import pytest

from dreamerv2.config import load_config
from dreamerv2.errors import UsageError
from dreamerv2.studies import process
from dreamerv2.studies.search import run_search, score
from dreamerv2.studies.search_file import read_search

SEARCH = """
configs: [mario, debug]
config: {action_repeat: 4}
task: mario_1-1
frames: 4000
seeds: [0, 1]
trials: 3
space:
  model_opt.lr: {log: [1e-4, 1e-3]}
  rssm.deter: {int: [10, 9999]}
"""

# Its return is `rssm.deter` plus the seed, or what the file `behaviour` says for its `TRIAL/SEED`:
# an exit code, or 'wait': half of the frames with a return of -1, and then to be stopped.
TRAIN = """
import json, pathlib, signal, sys, time
words = sys.argv[1:]
logdir = pathlib.Path(words[words.index('--logdir') + 1])
root, name = logdir.parent.parent, f'{logdir.parent.name}/{logdir.name}'
frames = 4 * int(words[words.index('--steps') + 1])
with open(root / 'calls', 'a') as file:
    print(json.dumps(words), file=file)
what = json.loads((root / 'behaviour').read_text()).get(name, 0)
signal.signal(signal.SIGTERM, lambda *unused: sys.exit(75))
deter = next(int(word.split('=')[1]) for word in words if word.startswith('--rssm.deter'))
value = -1 if what == 'wait' else deter + int(logdir.name)
with open(logdir / 'metrics.jsonl', 'w') as file:
    for part in range(1, 6 if what == 'wait' else 11):
        print(json.dumps({'step': frames * part // 10, 'train_return': value}), file=file)
if what == 'wait':
    (root / 'waiting').write_text(name)
    time.sleep(60)
if what:
    print('no luck')
    sys.exit(what)
(logdir / 'done.json').write_text(json.dumps({'step': frames}))
"""

DRIVER = """
import pathlib, sys
from dreamerv2.studies import process, search
process.TRAIN = pathlib.Path(sys.argv[1])
search.INTERVAL = 0.1
sys.exit(search.main(sys.argv[2:]))
"""


class Searching:
    """A search in a folder, with what its runs were called with."""

    def __init__(self, folder):
        self.file, self.root, self.train = folder / 'a.yaml', folder / 'root', folder / 'train.py'
        self.train.write_text(TRAIN)
        self.root.mkdir()
        self.behave({})
        self.write()

    def write(self, old='', new=''):
        assert old in SEARCH
        self.file.write_text(SEARCH.replace(old, new, 1))

    def behave(self, what):
        (self.root / 'behaviour').write_text(json.dumps(what))

    @property
    def words(self):
        return [str(self.file), '--logdir', str(self.root)]

    def run(self, *more):
        return run_search([*self.words, *more])

    def calls(self):
        """By run, the flags of the setting of every start since the last call."""
        path = self.root / 'calls'
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        found = []
        for call in map(json.loads, lines):
            logdir = call[call.index('--logdir') + 1]
            flags = {word for word in call if re.match('--(model_opt.lr|rssm.deter)=', word)}
            found.append((os.path.relpath(logdir, self.root), flags))
        return found

    def names(self):
        return [name for name, _ in self.calls()]

    def interrupt(self, repository, number):
        """Starts the search as a process, signals it when a run waits, and waits for that run."""
        driver = subprocess.Popen(
            [sys.executable, '-c', DRIVER, str(self.train), *self.words],
            env={**os.environ, 'PYTHONPATH': str(repository)},
            stdout=subprocess.PIPE,
            text=True,
        )
        end = time.monotonic() + 60
        while not (self.root / 'waiting').exists():
            assert time.monotonic() < end and driver.poll() is None
            time.sleep(0.05)
        driver.send_signal(number)
        out, _ = driver.communicate(timeout=60)
        return driver.returncode, out


@pytest.fixture
def search(tmp_path, monkeypatch):
    made = Searching(tmp_path)
    monkeypatch.setattr(process, 'TRAIN', made.train)
    monkeypatch.setattr('dreamerv2.studies.search.INTERVAL', 0.1)
    return made


RUNS = [f'{trial:03}/{seed}' for trial in range(3) for seed in (0, 1)]


def rows_of(out):
    """The rows of the last table that was printed: setting to its cells."""
    rows = [line.split() for line in out.splitlines() if re.match(r'\d{3} ', line)]
    return {row[0]: row[1:] for row in rows}


@pytest.mark.parametrize(('direction', 'sign'), [('maximize', -1), ('minimize', 1)])
def test_every_setting_is_trained_with_every_seed(search, direction, sign, capsys):
    search.write('trials', f'direction: {direction}\ntrials')
    assert search.run() == 0
    calls = search.calls()
    assert [name for name, _ in calls] == RUNS
    assert [flags for _, flags in calls[::2]] == [flags for _, flags in calls[1::2]]
    assert len({frozenset(flags) for _, flags in calls}) == 3
    out = capsys.readouterr().out
    rows = rows_of(out)
    deters = {name: int(cells[1]) for name, cells in rows.items()}
    assert list(rows) == sorted(rows, key=lambda name: sign * deters[name])
    for name, (_, deter, *rest) in rows.items():
        assert rest == ['done', '2/2', f'{int(deter) + 0.5:.4g}'], name
    command = shlex.split(out.splitlines()[-1])
    config = load_config(command[2:])
    assert config.rssm.deter == next(iter(deters.values()))
    assert (config.seed, config.steps, config.task) == (2, 1000, 'mario_1-1')


def test_what_is_finished_is_not_trained_again_and_trials_may_be_added(search, capsys):
    assert search.run() == 0 == search.run()
    assert search.names() == RUNS
    search.write('trials: 3', 'trials: 4')
    assert search.run('--jobs', '2') == 0
    assert search.names() == ['003/0', '003/1']
    before = capsys.readouterr().out
    assert search.run('--status') == 0
    assert rows_of(capsys.readouterr().out) == rows_of(before)


@pytest.mark.parametrize(
    ('number', 'code'),
    [(signal.SIGINT, 75), pytest.param(signal.SIGKILL, -9, marks=pytest.mark.slow)],
)
def test_an_interrupted_trial_goes_on_with_its_setting(search, repository, number, code, capsys):
    search.behave({'001/0': 'wait'})
    returned, out = search.interrupt(repository, number)
    assert returned == code
    assert ('The same command resumes from here.' in out) == (code == 75)
    calls = search.calls()
    assert search.run('--status') == 0
    assert rows_of(capsys.readouterr().out)['001'][2:] in (
        ['stopped', '0/2'],
        ['stopped', '0/2', '-1'],
    )
    search.behave({})
    assert search.run() == 0
    calls += search.calls()
    assert [name for name, _ in calls] == [*RUNS[:3], *RUNS[2:]]
    assert calls[2] == calls[3]
    # Later settings are those of a search that nothing interrupted.
    for file in [*search.root.rglob('done.json'), search.root / 'search.db']:
        file.unlink()
    assert search.run() == 0
    assert search.calls() == [*calls[:2], *calls[3:]]


def test_a_search_killed_after_the_last_run_of_a_trial_only_scores_it(search, monkeypatch, capsys):
    with monkeypatch.context() as patched:
        patched.setattr('dreamerv2.studies.search.Trials.settle', lambda *unused: None)
        search.write('trials: 3', 'trials: 1')
        assert search.run() == 0
        assert rows_of(capsys.readouterr().out)['000'][2] != 'done'
    assert search.run() == 0
    assert rows_of(capsys.readouterr().out)['000'][2] == 'done'
    assert search.names() == RUNS[:2]


def test_a_setting_behind_the_others_is_pruned(search, capsys):
    search.write('trials: 3', 'trials: 7')
    search.behave({'005/0': 'wait'})
    assert search.run() == 0
    names = search.names()
    assert '005/0' in names and '005/1' not in names and '006/0' in names
    out = capsys.readouterr().out
    assert rows_of(out)['005'][2:] == ['pruned', '0/2', '-1']
    assert '005: pruned at 2000 frames of 005/0' in out
    assert search.run() == 0 and search.names() == []


def test_a_failed_setting_does_not_stop_the_others_and_has_another_chance(search, capsys):
    search.behave({'001/0': 2})
    assert search.run() == 1
    assert search.names() == [name for name in RUNS if name != '001/1']
    assert rows_of(capsys.readouterr().out)['001'][2:] == ['failed', '0/2']
    search.behave({})
    assert search.run() == 0
    assert search.names() == ['001/0', '001/1']


def test_a_setting_that_comes_again_is_not_trained_again(search, capsys):
    search.write(SEARCH[SEARCH.index('trials') :], 'trials: 6\nspace: {rssm.deter.values: [9, 99]}')
    assert search.run() == 0
    assert len(search.names()) == 4
    assert [cells[0] for cells in rows_of(capsys.readouterr().out).values()] == ['99', '9']


def test_a_wrong_objective_is_told_once_and_can_be_corrected(search):
    search.write('seeds', 'objective: train_retrun\nseeds')
    with pytest.raises(UsageError, match="'train_retrun': not in .* did you mean train_return"):
        search.run()
    assert search.names() == RUNS[:2]
    search.write()
    assert search.run() == 0
    assert search.names() == RUNS[2:]


def test_a_changed_search_is_refused(search):
    search.run()
    search.calls()
    before = (search.root / 'search.db').read_bytes()
    for old, new, expected in [
        ('1e-3]', '2e-3]', 'another space'),
        ('  rssm.deter: {int: [10, 9999]}', '', 'another space'),
        ('seeds: [0, 1]', 'seeds: [0, 1, 2]', 'another seeds'),
        ('frames: 4000', 'frames: 8000', 'another steps: 1000 there, 2000 here'),
        ('config: {', 'config: {discount: 0.9, ', 'another discount: 0.99.* there, 0.9 here'),
        ('mario_1-1', 'mario_1-2', 'another task'),
        ('seeds', 'direction: minimize\nseeds', 'another direction'),
        ('seeds', 'objective: eval_return\nseeds', 'another objective'),
        ('trials: 3', 'trials: 2', 'trials 2: .* has 3'),
    ]:
        search.write(old, new)
        for more in ([], ['--status']):
            with pytest.raises(UsageError, match=expected) as caught:
                search.run(*more)
            assert '\n' not in str(caught.value)
    assert search.calls() == [] and (search.root / 'search.db').read_bytes() == before


@pytest.mark.parametrize(
    ('old', 'new', 'expected'),
    [
        ('trials: 3', 'trials: 0', 'line 7: trials 0: expected a whole number'),
        ('trials: 3', '', 'trials is missing'),
        ('trials', 'trails', "'trails' is not a key of a search; did you mean trials"),
        ('seeds: [0, 1]', 'seeds: [0, 0]', 'line 6: seeds'),
        ('mario, debug', 'mairo', 'did you mean mario'),
        ('mario_1-1', 'mario_9-1', '9-1'),
        ('4000', '40', 'no more than the prefill'),
        ('{log: [1e-4, 1e-3]}', '[1e-4, 1e-3]', 'line 9: .*expected log, uniform, int, values'),
        ('[1e-4, 1e-3]', '[1e-3, 1e-4]', 'line 9: .*the lower end first'),
        ('[1e-4, 1e-3]', '[0, 1e-4]', 'line 9: .*above 0'),
        ('[1e-4, 1e-3]', '[-1, x]', 'line 9: space.model_opt.lr.log'),
        ('log: [1e-4, 1e-3]', 'log: [1e-4, 1e-3], values: [1]', 'one kind of range'),
        ('model_opt.lr: {log: [1e-4, 1e-3]}', 'discount.values: [0.9, 2]', 'line 9: .*discount'),
        ('model_opt.lr: {log: [1e-4, 1e-3]}', 'discount.values: []', 'line 9: .*each once'),
        ('rssm.deter: {int', 'rssm.deter: {log', 'line 10: .*deter.*whole number'),
        ('rssm.deter', 'rssm.detre', 'line 10: .*did you mean rssm.deter'),
        ('rssm.deter', 'seed', 'line 10: seed cannot be set here'),
        ('{action_repeat: 4}', '{task: mario_1-2}', 'line 3: task cannot be set here'),
        ('{action_repeat: 4}', '{rssm.deter: 20}', 'rssm.deter is given 2 times'),
    ],
)
def test_mistakes_in_the_file(search, old, new, expected):
    search.write(old, new)
    with pytest.raises(UsageError, match=expected) as caught:
        search.run()
    assert '\n' not in str(caught.value)
    assert search.calls() == [] and not (search.root / 'search.db').exists()


def test_a_status_without_a_search_a_broken_store_and_no_optuna(search, monkeypatch):
    with pytest.raises(UsageError, match='holds no search'):
        search.run('--status')
    (search.root / 'search.db').write_bytes(b'not a database' * 100)
    with pytest.raises(UsageError, match='search.db cannot be used'):
        search.run()
    monkeypatch.setitem(sys.modules, 'optuna', None)
    with pytest.raises(UsageError, match=r"pip install '\.\[search\]'"):
        search.run()
    assert search.calls() == []


def test_the_example(repository):
    search = read_search(repository / 'experiments' / 'search.yaml')
    assert search.trials == 20 and set(search.space) == {'model_opt.lr', 'loss_scales.kl'}


def test_scores():
    rows = [
        {'step': 10, 'train_return': 100, 'train_prefill': 1},
        {'step': 20, 'train_return': 1},
        {'step': 80, 'train_return': None},
        {'step': 90, 'train_return': 2, 'eval_return': 7},
        {'step': 100, 'train_return': 4},
        {'step': 101, 'train_return': 1000},
    ]
    assert score(rows, 'train_return', 80, 100) == 3
    assert score(rows, 'train_return', 90, 100) == 4
    assert score(rows, 'train_return', 30, 80) == 1  # none in between: the last before
    assert score(rows, 'train_return', 0, 15) is None
    assert score(rows, 'eval_return', 95, 100) == 7
    assert score(rows, 'eval_score', 0, 100) is None
