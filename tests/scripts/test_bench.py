"""The command `scripts/bench.py`: its arguments, its output, and each benchmark at a tiny size."""

import contextlib
import json
import pathlib
import re
import subprocess
import sys
import time

import bench
import pytest
from benchmarks import (
    ceiling,
    check,
    children,
    envs,
    episodes,
    gpu_share,
    growth,
    instrumented,
    learner,
    memory,
    replay,
    saving,
    startup,
    subject,
    train,
)
from benchmarks.options import BENCHMARKS, RESULTS, parse

from dreamerv2.run import devices

TINY = ['--preset', 'mario', 'debug', '--repeat', '2']
SPEED = pathlib.Path(RESULTS) / 'speed.md'


@pytest.fixture
def measure(monkeypatch, capsys):
    """Runs a benchmark with small limits in this process; what it prints as JSON."""
    monkeypatch.setattr(ceiling, 'SIZE', 64)
    monkeypatch.setattr(train, 'in_turn', alone)
    for module in (memory, saving):
        monkeypatch.setattr(module, 'in_child', lambda function, *args: function(*args))

    def run(*argv):
        assert bench.main([*argv, '--json']) == 0
        return json.loads(capsys.readouterr().out.partition('{')[2].join(['{', '']))

    return run


def alone(jobs):
    """Stands in for processes that take turns: one whole job after the other, here."""
    return {name: function(*args) for name, (function, args) in jobs.items()}


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
    'learner --json --markdown': ['--markdown', '--json'],
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


def test_learner(measure, monkeypatch):
    monkeypatch.setattr(devices, 'read_cpu_flags', lambda: {'amx_bf16'})
    found = measure('learner', *TINY)
    (table,) = found['tables']
    parts = column(table, 'part')
    shown = ['encoder', 'decoder', 'RSSM', 'imagination, actor, critic', 'whole update', 'rest']
    assert parts == [*shown, 'matrix product'] * 2 + ['GPU']
    assert column(table, 'precision')[:14:7] == ['float32', 'bfloat16']
    rows = dict(zip(parts[:7], table['rows'][:7], strict=True))
    whole = rows['whole update']
    assert whole[2]['count'] == 2 and whole[2]['low'] <= whole[2]['median'] <= whole[2]['high']
    # Operations over time, and that over the limit.
    assert whole[4] == pytest.approx(whole[3] / whole[2]['median'])
    assert whole[5] == pytest.approx(100 * whole[4] / rows['matrix product'][4])
    assert whole[3] == pytest.approx(sum(rows[name][3] for name in shown if name != 'whole update'))
    assert found['machine']['cores'] >= 1


def test_policy(measure):
    (table,) = measure('policy', *TINY)['tables']
    assert column(table, 'environments') == [1, 4, 16, 64]
    for envs_, calls, ms, actions, share in table['rows']:
        assert calls['high'] * ms['low'] == pytest.approx(1000)
        assert actions == pytest.approx(envs_ * calls['median'])
        assert share > 0


def test_ceiling(measure, monkeypatch):
    monkeypatch.setattr(devices, 'read_cpu_flags', lambda: {'amx_bf16'})
    (table,) = measure('ceiling', '--repeat', '2')['tables']
    rates = {row[0]: row[1] for row in table['rows']}
    assert rates['copy in host memory']['median'] > 0.1
    assert rates['GPU'] == 'not measured: no GPU'
    assert len(rates) == 5


def test_envs(measure, monkeypatch):
    monkeypatch.setattr(envs, 'EMULATOR_FRAMES', 100)
    monkeypatch.setattr(envs, 'usable_cores', lambda: 2)
    (table,) = measure('envs', *TINY, '--steps', '5')['tables']
    names = column(table, 'environments')
    assert names[:3] == ['bare emulator', 'bare emulator, 2 at once', 'in this process']
    together = '2 in processes, all together'
    assert names[3:] == ['1 in processes', '2 in processes', together, '4 in processes']
    assert all(rate['median'] > 0 for rate in column(table, 'frames/s'))
    assert table['rows'][3][2] == 1


def test_environments_that_wait_for_each_other_do_less_than_as_many_times_one():
    assert envs.most_in_step([2.0] * 7, 2) == 2
    assert envs.most_in_step([1.0, 3.0, 3.0, 1.0], 2) == pytest.approx(4 / 3)
    assert envs.most_in_step([1.0, 2.0, 3.0], 1) == 1


def test_replay(measure, monkeypatch, tmp_path):
    monkeypatch.setattr(replay, 'SECONDS', 0.05)
    monkeypatch.setattr(episodes, 'cache_folder', lambda config, tasks: tmp_path)
    monkeypatch.setattr(episodes, 'all_levels', lambda config: ['mario_1-1', 'mario_1-2'])
    speed, held = measure('replay', *TINY, '--steps', '400', '--episodes', '2')['tables']
    alone, adding, cpu = speed['rows']
    assert all(row[1]['low'] > 0 and row[2] > 0 for row in (alone, adding, cpu))
    assert '10 steps added' in adding[0]
    values = dict(held['rows'])
    assert 200 < values['steps held'] <= 400
    assert values['real episodes they were copied from'] == 2
    assert 50 < values['bytes a step'] < 4096


def test_growth(measure, monkeypatch, tmp_path):
    monkeypatch.setattr(growth, 'BATCHES', (1, 2))
    monkeypatch.setattr(growth, 'MODELS', ((16, 2), (32, 4)))
    monkeypatch.setattr(growth, 'SECONDS', 0.05)
    monkeypatch.setattr(episodes, 'cache_folder', lambda config, tasks: tmp_path)
    flags = ['--preset', 'debug', '--task', 'pixel', '--repeat', '1', '--episodes', '2']
    by_batch, by_model, by_replay = measure('growth', *flags, '--steps', '1000')['tables']
    assert column(by_batch, 'batch') == ['4x10', '8x10']
    small, large = column(by_batch, 'GFLOP')
    assert large == pytest.approx(2 * small)
    assert column(by_model, 'model') == ['16 units, depth 2', '32 units, depth 4']
    held = column(by_replay, 'steps held')
    assert held == sorted(held) and 800 < held[-1] <= 1000
    assert all(row[1]['median'] > 0 for row in by_replay['rows'])


def test_train_times_every_part_in_each_mode(measure):
    flags = ['--preset', 'debug', '--task', 'pixel', '--repeat', '2', '--steps', '20']
    (table,) = measure('train', *flags, '--prefill', '30')['tables']
    assert column(table, 'mode') == ['synchronous', 'async_collect', 'on a GPU']
    for row in table['rows'][:2]:
        values = dict(zip(table['columns'], row, strict=True))
        assert values['frames/s']['median'] > 0 and values['updates/s'] > 0
        parts = [values[f'{part} (%)'] for part in ('emulator', 'policy', 'learner', 'replay')]
        assert min(parts) > 0
        assert sum(parts) + values['rest (%)'] == pytest.approx(100)
        assert values['learner busy (%)'] > 0
    every = 'Task pixel, 1 environment, an update every 10 agent steps of 1 frame.'
    assert table['notes'][-1] == every
    synchronous = dict(zip(table['columns'], table['rows'][0], strict=True))
    assert synchronous['learner (%)'] == synchronous['learner busy (%)']


def count_turns(name, log, fail, turn):
    """A job that notes when it works and when it lets the others."""
    for _ in range(3):
        turn.take()
        with open(log, 'a') as file:
            file.write(f'{name}+')
            file.flush()
            time.sleep(0.05)
            file.write(f'{name}- ')
        if fail:
            raise ValueError('it fails')
        turn.hand_on()
    return name


def test_processes_take_turns(tmp_path):
    log = tmp_path / 'log'
    jobs = {name: (count_turns, (name, str(log), False)) for name in 'ab'}
    assert children.in_turn(jobs) == {'a': 'a', 'b': 'b'}
    assert log.read_text() == 'a+a- b+b- ' * 3


def test_a_process_that_fails_does_not_hold_up_the_others(tmp_path):
    log = tmp_path / 'log'
    jobs = {name: (count_turns, (name, str(log), name == 'a')) for name in 'ab'}
    with pytest.raises(ValueError, match='it fails'):
        children.in_turn(jobs)
    assert log.read_text() == 'a+a- ' + 'b+b- ' * 3


def test_how_much_faster_than_plain_is_said_round_by_round():
    def segments(*seconds):
        return instrumented.Segments(
            list(seconds), [{}] * 3, [1] * 3, 4, 4, 'bfloat16', 'CPU', 1, None
        )

    results = {train.PLAIN: segments(2.0, 4.0, 6.0), 'synchronous': segments(1.0, 1.0, 4.0)}
    assert train.speedups(results) == [
        'Synchronous, bfloat16: 2.00 (1.50-4.00) times as fast as plain.'
    ]


def test_saving(measure):
    flags = ['--preset', 'debug', '--task', 'pixel', '--repeat', '2', '--prefill', '30']
    (table,) = measure('saving', *flags, '--train_every', '2', '--save_every', '600')['tables']
    values = {row[0]: row[1] for row in table['rows']}
    assert values['size of a checkpoint (MB)'] > 0.05
    for name in ('gathering, while the loop waits (s)', 'writing, beside the loop (s)'):
        assert values[name]['count'] >= 2 and 0 < values[name]['low'] < 5
    clean = values['2 agent steps and their update (s)']
    interval = values['from one to the next, 600 agent steps (s)']
    assert interval == pytest.approx(300 * clean['median'])
    stall = values['what training lasts longer for each (s)']['median']
    share = values['share of the time (%)']
    assert share == pytest.approx(100 * stall / (interval + stall))


def test_what_saving_costs_is_what_its_stretches_last_longer():
    # Stretches of a second; the third lasts two more and the fourth one, for one checkpoint.
    marks = [0.0, 1.0, 2.0, 5.0, 7.0, 8.0]
    saves = saving.Saves(marks, [(2.5, 4.5)], [(4.5, 6.0)], 1, 'CPU', 'float32')
    assert saves.clean == [1, 1, 1] and saves.stalls == [3]


def test_memory(measure):
    flags = ['--preset', 'debug', '--task', 'pixel', '--steps', '10', '--prefill', '30']
    (table,) = measure('memory', *flags)['tables']
    assert len(table['rows']) == 3
    assert all(0.01 < gigabytes < 64 for gigabytes in column(table, 'host (GB)'))
    assert set(column(table, 'GPU (GB)')) == {'not measured: no GPU'}


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


def test_gpu_share_without_a_gpu_measures_nothing(measure):
    (table,) = measure('gpu_share')['tables']
    assert table['rows'][0][0] == 'not measured: no GPU'


def test_gpu_share_writes_its_result(measure, monkeypatch, tmp_path):
    rates = {1: 10.0, 2: 19.0, 4: 19.5, 8: 12.0}
    monkeypatch.setattr(gpu_share, 'updates_per_second', lambda flags, runs, seconds: rates[runs])
    monkeypatch.setattr(gpu_share, 'usable_cores', lambda: 8)
    out = tmp_path / 'share.json'
    flags = ['gpu_share', '--device', 'cpu', '--out', str(out), *TINY]
    (table,) = measure(*flags)['tables']
    assert column(table, 'runs at once') == [1, 2, 4, 8]
    written = json.loads(out.read_text())
    assert written['runs_per_gpu'] == 2 and written['gpus_per_run'] == 0.5


def test_check_stores_compares_and_warns(measure, monkeypatch, tmp_path):
    monkeypatch.setattr(check, 'REPLAY_STEPS', 300)
    monkeypatch.setattr(check, 'EPISODE_STEPS', 100)
    stored = tmp_path / 'speed.json'
    flags = ['check', *TINY, '--stored', str(stored)]
    first = measure(*flags, '--update')
    shares = {row[0]: row[1] for row in first['tables'][0]['rows']}
    assert len(shares) == 4 and min(shares.values()) > 0
    assert 'Nothing is stored' in first['tables'][0]['notes'][0]
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


def test_every_place_in_the_results_has_a_command_that_is_understood():
    text = SPEED.read_text()
    commands = re.findall(r'<!-- bench.py (.+) -->', text)
    assert {command.split()[0] for command in commands} >= set(BENCHMARKS) - {'check'}
    for command in commands:
        assert parse(command.split()).command == command
        assert f'python scripts/bench.py {command}' in text
    assert text.count('<!-- end -->') == len(commands) == len(set(commands))


def test_the_checks_before_a_change_look_for_regressions_before_the_tests(repository):
    script = (repository / '.ci' / 'run').read_text()
    assert 0 < script.index('scripts/bench.py check') < script.index('scripts/test.sh')


def test_plain_updates_are_in_float32_whatever_was_asked_for(measure, monkeypatch):
    @contextlib.contextmanager
    def here(make, *arguments):
        yield make(*arguments)

    monkeypatch.setattr(learner, 'called_in_child', here)
    monkeypatch.setattr(subject, 'use_default_threads', lambda: None)  # Of this very process.
    argv = [*TINY, '--task', 'pixel', '--precision', 'bfloat16', '--plain']
    (table,) = measure('learner', *argv)['tables']
    named = dict(zip(column(table, 'part'), column(table, 'precision'), strict=True))
    assert named['whole update'] == 'bfloat16' and named['whole update, plain'] == 'float32'
    assert any(note.startswith('In bfloat16') for note in table['notes'])


def test_modes_of_training_keep_the_precision_that_was_asked_for(measure, monkeypatch):
    monkeypatch.setattr(subject, 'use_default_threads', lambda: None)
    argv = [*TINY, '--task', 'pixel', '--precision', 'bfloat16', '--plain', '--steps', '20']
    (table,) = measure('train', *argv)['tables']
    named = dict(zip(column(table, 'mode'), column(table, 'precision'), strict=True))
    named.pop('on a GPU')
    assert named.pop('plain, synchronous') == 'float32'
    assert named == dict.fromkeys(['synchronous', 'async_collect'], 'bfloat16')
