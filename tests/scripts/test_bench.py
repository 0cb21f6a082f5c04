"""The command `scripts/bench.py`: its arguments, its output, and each benchmark at a tiny size."""

import contextlib
import json
import pathlib
import re
import subprocess
import sys

import bench
import pytest
from benchmarks import (
    check,
    emulator,
    envs,
    learner,
    limits,
    memory,
    replay,
    startup,
    subject,
    train,
    watched,
)
from benchmarks.options import BENCHMARKS, RESULTS, parse
from benchmarks.timing import Clock

from dreamerv2.config import load_config

TINY = ['--preset', 'mario', 'debug', '--repeat', '2']
PIXEL = ['--preset', 'debug', '--task', 'pixel', '--prefill', '30']
SPEED = pathlib.Path(RESULTS) / 'speed.md'


@pytest.fixture
def measure(monkeypatch, capsys):
    """Runs a benchmark with small limits in this process; what it prints as JSON."""
    monkeypatch.setattr(limits, 'SIZE', 64)
    for module in (memory, train):
        monkeypatch.setattr(module, 'in_child', lambda function, *args: function(*args))
    monkeypatch.setattr(subject, 'use_default_threads', lambda: None)  # Of this very process.

    def run(*argv):
        assert bench.main([*argv, '--json']) == 0
        return json.loads(capsys.readouterr().out.partition('{')[2].join(['{', '']))

    return run


def column(table, name):
    return [row[table['columns'].index(name)] for row in table['rows']]


MISTAKES = {
    'speed': ['speed', 'learner'],
    'learner --repeat 0': ['--repeat', 'whole number'],
    'learner --repeat many': ['--repeat', 'many'],
    'replay --steps 1.5': ['--steps', '1.5'],
    'learner --preset maryo': ['maryo', 'mario'],
    'learner --rssm.depth 3': ['rssm.depth'],
    'learner --dataset.batch none': ['dataset.batch', 'none'],
    'envs --task mario_9-1': ['9-1'],
    'learner --into': ['--into', 'expected one argument'],
    'learner --into no-such-file': ['--into', 'no-such-file'],
}


def test_mistakes_end_with_one_line_before_tensorflow_is_imported():
    program = (
        'import bench, json, sys\n'
        'for line in sys.argv[1:]:\n'
        '    print(f"== {bench.main(line.split())}", file=sys.stderr)\n'
        'assert "tensorflow" not in sys.modules'
    )
    result = subprocess.run(
        [sys.executable, '-c', program, '', *MISTAKES],
        cwd=pathlib.Path(bench.__file__).parent,
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.findall(r'(.+)\n== (.+)\n', result.stderr)
    assert len(found) == len(result.stderr.splitlines()) / 2 == len(MISTAKES) + 1
    assert {code for _, code in found} == {'2'}
    for (line, _), words in zip(found[1:], MISTAKES.values(), strict=True):
        assert all(word in line for word in words), line


def test_help_names_every_benchmark(capsys):
    with pytest.raises(SystemExit) as end:
        bench.main(['--help'])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert all(f'{name} ' in shown for name in BENCHMARKS)
    assert '--preset' in shown and '--dataset.batch 32' in shown


def test_other_flags_go_to_the_configuration():
    options = parse(['learner', '--preset', 'mario', 'debug', '--dataset.batch', '3', '--json'])
    assert options.config.dataset.batch == 3
    assert options.config.rssm.deter == 32
    assert options.flags == ['--configs', 'mario', 'debug', '--dataset.batch', '3']
    assert options.command == 'learner --preset mario debug --dataset.batch 3'


@pytest.mark.slow
def test_learner(measure, monkeypatch):
    @contextlib.contextmanager
    def here(make, *arguments):
        yield make(*arguments)

    monkeypatch.setattr(learner, 'called_in_child', here)
    found = measure('learner', *PIXEL, '--repeat', '2', '--precision', 'bfloat16', '--plain')
    (table,) = found['tables']
    parts = ['encoder', 'decoder', 'RSSM', 'imagination, actor, critic', 'whole update']
    assert column(table, 'part') == [*parts, 'rest', 'whole update, plain']
    # The plain formulas compute in float32 whatever was asked for.
    assert column(table, 'precision') == ['bfloat16'] * 6 + ['float32']
    times = dict(zip(column(table, 'part'), column(table, 'ms'), strict=True))
    rest = times.pop('rest')
    for time in times.values():
        assert time['count'] == 2 and 0 < time['low'] <= time['median'] <= time['high']
    *single, whole = (times[name]['median'] for name in parts)
    assert rest == pytest.approx(whole - sum(single))
    assert any(note.startswith('In bfloat16') for note in table['notes'])
    assert found['machine']['cores'] >= 1


def test_policy(measure):
    (table,) = measure('policy', *PIXEL, '--repeat', '2')['tables']
    assert column(table, 'environments') == [1, 4, 16, 64]
    for count, calls, ms, actions in table['rows']:
        assert calls['high'] * ms['low'] == pytest.approx(1000)
        assert actions == pytest.approx(count * calls['median'])


def test_envs(measure, monkeypatch, tmp_path):
    @contextlib.contextmanager
    def build(say):
        yield tmp_path

    def play(frames, packages=None):
        return {'rate': 50.0 if packages else 100.0, 'hash': 'same'}

    monkeypatch.setattr(envs, 'EMULATOR_FRAMES', 100)
    monkeypatch.setattr(envs, 'usable_cores', lambda: 2)
    monkeypatch.setattr(emulator, 'plain_build', build)
    monkeypatch.setattr(emulator, 'in_process', play)
    table, builds = measure('envs', *TINY, '--steps', '5', '--plain')['tables']
    names = ['bare emulator', 'in this process', *(f'{n} in processes' for n in (1, 2, 4))]
    assert column(table, 'environments') == names
    assert all(rate['median'] > 0 for rate in column(table, 'frames/s'))
    assert table['rows'][2][2] == 1
    assert column(builds, 'times the plain one') == [1, 2]
    assert column(builds, 'trace') == ['identical'] * 2


def test_replay(measure, monkeypatch):
    monkeypatch.setattr(replay, 'SECONDS', 0.05)
    monkeypatch.setattr(replay, 'LEVELS', ['1-1', '1-2'])
    speed, held = measure('replay', *TINY, '--steps', '400', '--episodes', '2')['tables']
    alone, adding = speed['rows']
    assert all(row[1]['low'] > 0 and row[2] > 0 for row in (alone, adding))
    assert '10 steps added' in adding[0]
    values = dict(held['rows'])
    assert 200 < values['steps held'] <= 400
    assert values['real episodes they were copied from'] == 2
    assert 50 < values['bytes a step'] < 4096


@pytest.mark.slow
def test_train_times_every_part_in_each_mode(measure):
    flags = [*PIXEL, '--repeat', '1', '--steps', '20', '--precision', 'bfloat16', '--plain']
    (table,) = measure('train', *flags)['tables']
    assert column(table, 'mode') == ['plain, synchronous', 'synchronous', 'async_collect']
    assert column(table, 'precision') == ['float32', 'bfloat16', 'bfloat16']
    for row in table['rows']:
        values = dict(zip(table['columns'], row, strict=True))
        # An update every ten steps.
        assert 5 < values['frames/s']['median'] / values['updates/s'] < 20.1
        parts = [values[f'{part} (%)'] for part in ('environments', 'policy', 'learner')]
        assert min(parts) > 0
        if values['mode'] != 'async_collect':  # Else the learner computes beside the others.
            assert sum(parts) <= 100
    every = 'Task pixel, 1 environment, an update every 10 agent steps of 1 frame.'
    assert every in table['notes']


def test_an_episode_ends_within_the_prefill_whatever_the_level_is(monkeypatch):
    """Random play may stand at a pipe for 2000 steps."""
    limits = []
    monkeypatch.setattr(
        'dreamerv2.run.training.train', lambda config, *_, **__: limits.append(config)
    )
    for flags in ([], ['--time_limit', '7'], ['--envs', '4']):
        config = load_config(['--configs', 'mario_small_v1', '--prefill', '1000', *flags])
        with contextlib.suppress(IndexError):  # Nothing was made to compute on.
            watched.train(config, Clock())
    assert [config.time_limit for config in limits] == [500, 7, 125]


def test_how_much_faster_than_plain_is_said_round_by_round():
    def rounds(*seconds):
        return [{'seconds': value} for value in seconds]

    results = {train.PLAIN: rounds(2.0, 4.0, 6.0), 'synchronous': rounds(1.0, 1.0, 4.0)}
    line = 'synchronous: 2.00 (1.50-4.00) times as fast as plain.'
    assert train.speedup('synchronous', results) == line


def test_memory(measure, monkeypatch):
    trained = []
    monkeypatch.setattr(memory.watched, 'train', lambda config, clock: trained.append(config))
    (table,) = measure('memory', *PIXEL, '--steps', '10')['tables']
    assert len(table['rows']) == 3
    assert all(0.01 < gigabytes < 64 for gigabytes in column(table, 'host (GB)'))
    assert set(column(table, 'GPU (GB)')) == {'not measured: no GPU'}
    (config,) = trained
    assert (config.steps, config.eval_every) == (30 + 10, 0) and config.logdir


def test_startup(measure, monkeypatch):
    seen = []

    def first_update(flags, logdir):
        seen.append((flags, logdir))
        return {'prefilled': 3.0, 'updated': 3.0 + len(seen)}

    monkeypatch.setattr(startup, 'first_update', first_update)
    monkeypatch.setattr(startup, 'run_command', lambda words: None)
    (table,) = measure('startup', *TINY)['tables']
    assert len(seen) == 4 and seen[0] == seen[1] != seen[2]
    medians = [row[1]['median'] for row in table['rows'][:3]]
    assert medians == [5, 2, 6]
    assert len(table['rows']) == 3 + len(startup.COMMANDS)


def test_check_stores_compares_and_warns(measure, monkeypatch, tmp_path):
    monkeypatch.setattr(check, 'REPLAY_STEPS', 300)
    monkeypatch.setattr(check, 'EPISODE_STEPS', 100)
    stored = tmp_path / 'speed.json'
    flags = ['check', *TINY, '--stored', str(stored)]
    (nothing,) = measure(*flags)['tables']
    assert nothing['rows'] == [] and 'Nothing is stored' in nothing['notes'][0]
    assert not stored.exists()
    first = measure(*flags, '--update')
    shares = {row[0]: row[1] for row in first['tables'][0]['rows']}
    assert len(shares) == 4 and min(shares.values()) > 0
    (entry,) = json.loads(stored.read_text())['machines'].values()
    assert entry['shares'] == pytest.approx(shares)

    slower = {name: 0.8 * share for name, share in shares.items()}
    monkeypatch.setattr(check, 'measure_shares', lambda options: slower)
    lines = measure(*flags)['data']['warnings']
    assert len(lines) == 4 and all('warning' in line and '20 % worse' in line for line in lines)

    def broken(options):
        raise RuntimeError('no emulator')

    monkeypatch.setattr(check, 'measure_shares', broken)
    assert 'no emulator' in measure(*flags)['data']['warnings'][0]
    stored.write_text('[]')
    assert bench.main(flags) == 2


def test_every_figure_in_the_results_has_a_command_that_is_understood():
    text = SPEED.read_text()
    places = re.findall(r'<!-- bench.py (.+) -->', text)
    commands = places + re.findall(rf'^\| `((?:{"|".join(BENCHMARKS)})\b.*?)` \|', text, re.M)
    assert {command.split()[0] for command in commands} == set(BENCHMARKS) - {'check'}
    for command in commands:
        assert parse(command.split()).command == command
    for command in places:
        assert f'python scripts/bench.py {command}' in text
    assert text.count('<!-- end -->') == len(places) == len(set(places))


def test_the_checks_before_a_change_look_for_regressions_before_the_tests(repository):
    script = (repository / '.ci' / 'run').read_text()
    assert 0 < script.index('scripts/bench.py check') < script.index('scripts/test.sh')
