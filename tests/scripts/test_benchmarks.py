"""The parts that the benchmarks are made of."""

import importlib
import json
import multiprocessing
import os
import pathlib
import time

import numpy as np
import pytest
from benchmarks import (
    check,
    children,
    emulator,
    learner,
    limits,
    machine,
    replay,
    startup,
)
from benchmarks.report import (
    Report,
    Table,
    as_json,
    as_markdown,
    counted,
    insert,
    number,
)
from benchmarks.timing import Clock, Spread, Timed, spread, time_interleaved

from dreamerv2.config import load_config
from dreamerv2.errors import UsageError
from dreamerv2.run import checkpoint
from dreamerv2.run.devices import Device

PIXEL = ['--configs', 'debug', '--task', 'pixel', '--prefill', '30']
MACHINE = {
    'processor': 'Abacus',
    'cores': 2,
    'gpu': None,
    'load': 0.1,
    'versions': {'Python': '3.11'},
    'revision': 'abc',
}


def make_report():
    rows = [['one', Spread(12.34, 12.0, 13.0, 5)], ['GPU', 'not measured: no GPU'], ['none', None]]
    return Report(
        'learner --preset a', MACHINE, [Table('Times', ['what', 'ms'], rows, ['A note.'])]
    )


def test_spread_is_median_and_range():
    assert spread([3, 1, 9, 2]) == Spread(2.5, 1, 9, 4)
    with pytest.raises(ValueError):
        spread([])


def test_calls_take_turns_and_short_ones_are_repeated():
    order = []
    calls = {
        'long': lambda: (order.append('l'), time.sleep(0.02)),
        'short': lambda: order.append('s'),
    }
    samples = time_interleaved(calls, 3, warmup=2, seconds=0.005)
    assert [len(times) for times in samples.values()] == [3, 3]
    assert min(samples['long']) >= 0.02 > min(samples['short'])
    text = ''.join(order)
    assert text.startswith('lll' + 'sss')
    assert [len(run) for run in text[6:].split('s') if run] == [1, 1, 1]
    assert len(time_interleaved({'a': lambda: time.sleep(0.01)}, 50, limit=0.02)['a']) < 50


def test_a_timed_object_does_what_it_did():
    class Box:
        size = 7

        def open(self, wait):
            time.sleep(wait)
            return 'open'

        def __len__(self):
            return 3

    clock = Clock()
    box = Timed(Box(), clock, {'open': 'waiting'})
    assert box.open(0.01) == box.open(wait=0.01) == 'open'
    assert (box.size, len(box)) == (7, 3)
    assert clock.calls == {'waiting': 2} and clock.seconds['waiting'] >= 0.02
    assert 0 < time.monotonic() - clock.last['waiting'] < 10
    with pytest.raises(AttributeError, match='absent'):
        Timed(Box(), clock, {'absent': 'never'})


@pytest.mark.parametrize(
    ('value', 'text'),
    [(1234.5, '1234'), (12.345, '12.3'), (3, '3'), (0.5, '0.500'), (0.00012345, '0.00012')],
)
def test_numbers_have_three_digits(value, text):
    assert number(value) == text


def test_counts_have_the_right_number():
    assert [counted(n, 'step') for n in (0, 1, 2)] == ['0 steps', '1 step', '2 steps']


def test_reports_as_markdown_and_json():
    markdown = as_markdown(make_report())
    assert 'Machine: Abacus, 2 cores; no GPU' in markdown and 'too low' not in markdown
    assert '`python scripts/bench.py learner --preset a`' in markdown
    assert '| one | 12.3 (12-13) |\n| GPU | not measured: no GPU |\n| none | - |' in markdown
    assert '- A note.' in markdown
    values = json.loads(as_json(make_report()))
    assert values['tables'][0]['rows'][0][1] == {'median': 12.34, 'low': 12, 'high': 13, 'count': 5}


def test_a_busy_machine_is_told():
    report = make_report()
    report.machine = {**MACHINE, 'load': 3.0}
    assert '3.0 cores were busy with other programs' in as_markdown(report)
    assert 0 <= machine.busy_cores(0.1) <= (os.cpu_count() or 1)


def test_tables_go_to_their_place(tmp_path):
    file = tmp_path / 'speed.md'
    place = '<!-- bench.py learner --preset {} -->\nold\n<!-- end -->\n'
    file.write_text('# Speed\n' + place.format('a') + place.format('b'))
    insert(file, make_report())
    first, second = file.read_text().split('<!-- bench.py learner --preset b -->')
    assert '| one | 12.3' in first and 'old' not in first and 'old' in second
    insert(file, make_report())
    assert file.read_text().count('| one |') == 1
    file.write_text('nothing')
    with pytest.raises(UsageError, match='there is no line'):
        insert(file, make_report())


def test_episodes_are_whole():
    found = replay.real_episodes(load_config(PIXEL), 2)
    assert len(found) == 2
    for episode in found:
        assert episode['is_first'][0] and not episode['is_first'][1:].any()
        assert episode['is_last'][-1] and not episode['is_last'][:-1].any()
        assert episode['image'].dtype == np.uint8


def test_collecting_ends_at_a_number_of_steps():
    config = load_config(PIXEL)
    found = replay.play(config, 'pixel', steps=150)
    lengths = [len(episode['reward']) - 1 for episode in found]
    assert sum(lengths) >= 150 > sum(lengths[:-1])


def test_the_bare_emulator_repeats_itself():
    games = [emulator.BareGame() for _ in range(2)]
    rates = [game.rate(100) for game in games]
    assert min(rates) > 10
    assert games[0].trace() == games[1].trace()
    games[0].play(50)
    assert games[0].trace() != games[1].trace()
    for game in games:
        game.close()


def test_another_build_of_the_emulator_is_used_or_refused(tmp_path):
    importlib.import_module('nes_py')
    (tmp_path / 'nes_py.py').write_text('')
    with (
        pytest.raises(RuntimeError, match='was not used'),
        emulator.preferred(tmp_path),
    ):
        pytest.fail('nes-py is imported already')
    assert children.in_child(emulator_of, tmp_path) == str(tmp_path / 'nes_py.py')


def emulator_of(folder):
    with emulator.preferred(folder):
        import nes_py

        return nes_py.__file__


@pytest.mark.slow
def test_the_first_update_and_going_on_from_it(tmp_path):
    flags = ['--configs', 'debug', '--task', 'pixel', '--prefill', '300', '--steps', '500']
    start = time.time()
    times = startup.first_update([*flags, '--async_collect', 'True'], tmp_path)
    assert 0 < times['prefilled'] < times['updated'] < time.time() - start
    # They are held back until the networks are known to fit, and written before the first update.
    episodes_ended = [file.stat().st_mtime for file in (tmp_path / 'train_episodes').glob('*.npz')]
    assert len(episodes_ended) >= 300 // 16
    assert min(episodes_ended) < start + times['updated']
    rows = list(map(json.loads, (tmp_path / 'metrics.jsonl').read_text().splitlines()))
    assert 280 < max(row['step'] for row in rows) < 350
    saved = checkpoint.find(tmp_path)
    assert saved.frames >= 300

    flags += ['--async_collect', 'False', '--accept_changes', 'True']
    times = startup.first_update(flags, tmp_path)
    assert 0 < times['prefilled'] < times['updated']
    assert checkpoint.find(tmp_path).frames > saved.frames
    again = list(map(json.loads, (tmp_path / 'metrics.jsonl').read_text().splitlines()))
    assert not any('train_prefill' in row for row in again[len(rows) :])


def test_a_run_that_ends_too_early_is_told(tmp_path):
    with pytest.raises(UsageError, match='exit code 1 too early: .*rssm.depth'):
        startup.first_update(['--rssm.depth', '3'], tmp_path)


def test_commands_are_run_to_their_end():
    assert startup.run_command(startup.COMMANDS['train.py with an unknown key']) == 2
    assert startup.run_command(startup.COMMANDS['plot --help']) == 0


def test_a_child_returns_and_raises():
    assert children.in_child(sum, [1, 2]) == 3
    with pytest.raises(UsageError, match='unknown preset'):
        children.in_child(load_config, ['--configs', 'maryo'])


def tell_and_sleep(path):
    path.write_text(str(os.getpid()))
    time.sleep(600)


def measure_for_ever(path):
    """A command that waits for a child, for a process of its own."""
    children.in_child(tell_and_sleep, path)


def test_a_child_ends_with_the_command_that_is_killed(tmp_path):
    path = tmp_path / 'process'
    command = multiprocessing.get_context('spawn').Process(target=measure_for_ever, args=(path,))
    command.start()
    wait_until(lambda: path.exists() and path.read_text())
    child = int(path.read_text())
    os.kill(child, 0)
    command.kill()
    command.join()
    wait_until(lambda: has_ended(child))
    assert has_ended(child)


def has_ended(process):
    try:
        return ') Z ' in pathlib.Path(f'/proc/{process}/stat').read_text()  # Nobody reaped it.
    except OSError:
        return True


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, 'it never came'
        time.sleep(0.05)


def counter(start):
    """Counts up, and raises at 3."""
    seen = iter(range(start, 3))

    def call():
        return os.getpid(), next(seen)

    return call


def test_a_call_is_computed_again_and_again_in_one_child():
    with children.called_in_child(counter, 1) as call:
        (process, first), (again, second) = call(), call()
        with pytest.raises(StopIteration):
            call()
    assert (first, second) == (1, 2)
    assert process == again != os.getpid()
    with pytest.raises(TypeError), children.called_in_child(counter, 'one'):
        pytest.fail('nothing was made')


def test_a_processor_is_named_with_what_it_computes_in():
    assert machine.with_instructions('A', {'avx2', 'avx512f', 'amx_bf16'}) == 'A with AMX'
    assert machine.with_instructions('A', {'avx2', 'avx512f'}) == 'A with AVX-512'
    assert machine.with_instructions('A', {'neon'}) == 'A'


def test_bfloat16_is_measured_where_it_is_no_imitation():
    assert learner.precisions(Device('cpu', 'cpu', 'float32')) == ['float32']
    assert learner.precisions(Device('cpu', 'cpu', 'bfloat16')) == ['float32', 'bfloat16']
    assert learner.precisions(Device('gpu', 'card', 'float16')) == [
        'float32',
        'bfloat16',
        'float16',
    ]
    assert learner.precisions(Device('cpu', 'cpu', 'float32'), 'bfloat16') == ['bfloat16']


def test_only_a_share_that_is_much_worse_is_warned_of():
    stored = {'a': 0.5, 'b': 0.5, 'c': 0.5}
    lines = check.warnings({'a': 0.43, 'b': 0.42, 'd': 1.0}, stored)
    assert len(lines) == 2
    assert 'b: 0.42' in lines[0] and '16 % worse' in lines[0]
    assert 'c: not measured' in lines[1]


def test_the_limit_is_one_product_however_many_branches(monkeypatch):
    monkeypatch.setattr(limits, 'SIZE', 16)
    one, two = (limits.matrix_product('float32', branches)() for branches in (1, 2))
    assert one == pytest.approx(two, rel=1e-5) and one != 0
