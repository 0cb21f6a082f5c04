"""The parts that the benchmarks are made of."""

import json
import os
import re
import threading
import time

import numpy as np
import pytest
from benchmarks import (
    ceiling,
    check,
    children,
    emulator,
    episodes,
    first_update,
    gpu_share,
    machine,
    startup,
)
from benchmarks.flops import forward_flops, policy_flops, update_flops
from benchmarks.report import (
    Report,
    Table,
    as_json,
    as_markdown,
    as_text,
    counted,
    insert,
    number,
)
from benchmarks.timing import Clock, Spread, Timed, spread, time_interleaved

from dreamerv2.config import load_config
from dreamerv2.errors import UsageError
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
    assert counted(1, 'stretch', 'stretches') == '1 stretch'
    assert counted(5, 'stretch', 'stretches') == '5 stretches'


def test_reports_as_text_markdown_and_json():
    text = as_text(make_report())
    assert 'Machine: Abacus, 2 cores; no GPU' in text and 'too low' not in text
    assert re.search(r'^  one +12.3 \(12-13\)$', text, re.MULTILINE)
    markdown = as_markdown(make_report())
    assert '`python scripts/bench.py learner --preset a`' in markdown
    assert '| one | 12.3 (12-13) |\n| GPU | not measured: no GPU |\n| none | - |' in markdown
    assert '- A note.' in markdown
    values = json.loads(as_json(make_report()))
    assert values['tables'][0]['rows'][0][1] == {'median': 12.34, 'low': 12, 'high': 13, 'count': 5}


def test_a_busy_machine_is_told():
    report = make_report()
    report.machine = {**MACHINE, 'load': 3.0}
    assert '3.0 cores were busy with other programs' in as_text(report)
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


SHAPES = {
    'encoder/conv0/kernel': (4, 4, 1, 3),
    'encoder/conv1/kernel': (4, 4, 3, 5),
    'encoder/conv1/bias': (5,),
    'rssm/img_in/kernel': (10, 6),
    'rssm/gru/kernel': (6, 9),
    'rssm/obs_out/kernel': (7, 2),
    'decoder/in/kernel': (8, 16),
    'decoder/conv0/kernel': (5, 5, 4, 16),
    'decoder/conv1/kernel': (6, 6, 1, 4),
    'reward/out/kernel': (8, 1),
    'actor/dense0/kernel': (8, 3),
    'actor/out/kernel': (3, 2),
    'critic/dense0/kernel': (8, 3),
    'critic/out/kernel': (3, 1),
    'slow_critic/dense0/kernel': (8, 3),
}


def test_operations_of_each_layer():
    found = forward_flops(SHAPES, image_side=16)
    # 16 pixels, 7 behind the first convolution, 2 behind the second; 1, 5, 14 in the decoder.
    assert found['encoder/conv0/kernel'] == 2 * 16 * 3 * 7 * 7
    assert found['encoder/conv1/kernel'] == 2 * 16 * 3 * 5 * 2 * 2
    assert found['decoder/in/kernel'] == 2 * 8 * 16
    assert found['decoder/conv0/kernel'] == 2 * 25 * 4 * 16
    assert found['decoder/conv1/kernel'] == 2 * 36 * 4 * 5 * 5
    assert 'encoder/conv1/bias' not in found


def test_operations_of_an_update():
    found = update_flops(SHAPES, batch=2, length=3, horizon=4, image_side=16)
    conv0, conv1 = 2 * 16 * 3 * 49, 2 * 16 * 15 * 4
    assert found['encoder'] == 6 * (2 * conv0 + 3 * conv1)
    assert found['rssm'] == 6 * 3 * 2 * (60 + 54 + 14)
    assert found['heads'] == 6 * 3 * 2 * 8
    actor, critic, reward = 2 * (24 + 6), 2 * (24 + 3), 2 * 8
    rollout = 24 * (2 * (60 + 54) + actor) + 30 * (critic + reward)
    learned = 6 * (3 * (3 * actor - 2 * 24) + 4 * (3 * critic - 2 * 24))
    assert found['imagination'] == rollout + learned
    assert found['update'] == sum(v for k, v in found.items() if k != 'update')
    through = update_flops(
        SHAPES, batch=2, length=3, horizon=4, image_side=16, through_rollout=True
    )
    assert through['imagination'] > found['imagination']
    assert through['decoder'] == found['decoder']


def test_operations_of_acting_grow_with_the_environments():
    one = policy_flops(SHAPES, 1, image_side=16)
    assert one == 2 * 16 * 3 * 49 + 2 * 16 * 15 * 4 + 2 * (60 + 54 + 14) + 2 * (24 + 6)
    assert policy_flops(SHAPES, 8, image_side=16) == 8 * one


def test_episodes_are_collected_once(tmp_path):
    config = load_config(PIXEL)
    said = []
    flags = {'tasks': ['pixel'], 'folder': tmp_path}
    first = episodes.real_episodes(config, 2, said.append, **flags)
    again = episodes.real_episodes(config, 2, said.append, **flags)
    assert len(first) == len(again) == 2 and len(said) == 1
    for before, after in zip(first, again, strict=True):
        assert before['is_first'][0] and before['is_last'][-1] and not before['is_last'][:-1].any()
        assert before['image'].dtype == np.uint8
        np.testing.assert_array_equal(before['image'], after['image'])


def test_collecting_ends_at_a_number_of_steps():
    config = load_config(PIXEL)
    found = episodes.collect(config, 'pixel', steps=150)
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


def test_the_first_update_and_going_on_from_it(tmp_path, capsys):
    flags = [*PIXEL, '--logdir', str(tmp_path)]
    for _ in range(2):
        start = time.monotonic()
        assert first_update.main(flags) == 75
        lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith('{')]
        times = json.loads(lines[0])
        assert len(lines) == 1 and start < times['prefilled'] < times['updated'] < time.monotonic()


@pytest.mark.parametrize('beside', ['False', 'True'])
def test_the_first_update_comes_after_the_random_steps(tmp_path, beside):
    flags = '--configs debug --task pixel --prefill 1000 --steps 1200 --async_collect'.split()
    start = time.time()
    times = startup.first_update([*flags, beside], tmp_path)
    assert 0 < times['prefilled'] < times['updated'] < time.time() - start
    # They are held back until the networks are known to fit, and written before the first update.
    episodes_ended = [file.stat().st_mtime for file in (tmp_path / 'train_episodes').glob('*.npz')]
    assert len(episodes_ended) >= 1000 // 16
    assert min(episodes_ended) < start + times['updated']
    rows = map(json.loads, (tmp_path / 'metrics.jsonl').read_text().splitlines())
    assert 900 < max(row['step'] for row in rows) < 1100


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
    assert ceiling.precisions(Device('cpu', 'cpu', 'float32')) == ['float32']
    assert ceiling.precisions(Device('cpu', 'cpu', 'bfloat16')) == ['float32', 'bfloat16']
    assert ceiling.precisions(Device('gpu', 'card', 'float16')) == [
        'float32',
        'bfloat16',
        'float16',
    ]
    assert ceiling.precisions(Device('cpu', 'cpu', 'float32'), 'bfloat16') == ['bfloat16']


def test_updates_are_counted_in_a_window_that_all_runs_share(monkeypatch):
    monkeypatch.setattr(gpu_share, 'WARMUP', 5)
    updates, seconds = gpu_share.counted_run(PIXEL, threading.Barrier(1), 0.3)
    assert updates > 0 and seconds >= 0.3


def test_more_runs_are_tried_until_they_gain_nothing_or_fail(monkeypatch):
    def totals(rates):
        def fake(flags, runs, seconds):
            if rates[runs] is None:
                raise MemoryError('full')
            return rates[runs]

        monkeypatch.setattr(gpu_share, 'updates_per_second', fake)
        return gpu_share.measure([], 1, 8, lambda line: None)

    assert totals({1: 1, 2: 2, 4: 1.5}) == {1: 1, 2: 2, 4: 1.5}
    assert totals({1: 1, 2: 2, 4: None}) == {1: 1, 2: 2}
    assert list(totals({1: 1, 2: 2, 4: 3, 8: 4})) == [1, 2, 4, 8]
    with pytest.raises(MemoryError):
        totals({1: None})
    assert gpu_share.best_runs({1: 10, 2: 19, 4: 19.5}) == 2


def test_only_a_share_that_is_much_worse_is_warned_of():
    stored = {'a': 0.5, 'b': 0.5, 'c': 0.5}
    lines = check.warnings({'a': 0.43, 'b': 0.42, 'd': 1.0}, stored)
    assert len(lines) == 2
    assert 'b: 0.42' in lines[0] and '16 % worse' in lines[0]
    assert 'c: not measured' in lines[1]


def test_the_limit_is_one_product_however_many_branches(monkeypatch):
    monkeypatch.setattr(ceiling, 'SIZE', 16)
    one, two = (ceiling.matrix_product('float32', branches)() for branches in (1, 2))
    assert one == pytest.approx(two, rel=1e-5) and one != 0
