"""Several environments at once, in this process, in threads and in processes."""

import functools
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from env_examples import Recorder

from dreamerv2.envs import make_env
from dreamerv2.envs.factory import make_workers
from dreamerv2.envs.process_workers import ProcessWorkers, WorkerError, layout
from dreamerv2.envs.workers import InProcess
from dreamerv2.errors import UsageError


class Failing(Recorder):
    """Fails at its second step."""

    def _frame(self, action):
        if self._steps:
            raise ZeroDivisionError('no more frames')
        return super()._frame(action)


class Interrupting(Recorder):
    """Presses Ctrl-C in its first step; its episodes have two."""

    def __init__(self):
        super().__init__(frames=2)

    def _frame(self, action):
        if not self._steps:
            os.kill(os.getppid(), signal.SIGINT)
            time.sleep(0.3)
        return super()._frame(action)


class Busy(Recorder):
    """Its frames take so long that the parent waits for them."""

    def _frame(self, action):
        begun = time.perf_counter()
        while time.perf_counter() - begun < 1e-3:
            pass
        return super()._frame(action)


class Stopping(Recorder):
    """Its process ends at the first step."""

    def _frame(self, action):
        os._exit(3)


def play(workers, steps, seed=0):
    """Observations of some steps, resetting where episodes end."""
    generator = np.random.default_rng(seed)
    rows = [workers.reset()]
    for _ in range(steps):
        rows.append(workers.step([int(a) for a in generator.integers(3, size=len(workers))]))
        over = [index for index, row in enumerate(rows[-1]) if row['is_last']]
        if over:
            workers.reset(over)
    return rows


def assert_same(one, other):
    for rows, others in zip(one, other, strict=True):
        for row, another in zip(rows, others, strict=True):
            assert row.keys() == another.keys()
            for key in row:
                assert type(row[key]) is type(another[key])
                np.testing.assert_array_equal(row[key], another[key])


def test_all_kinds_give_the_same():
    plain = make_workers('pixel', 2, seed=5, sticky=0.3)
    expected = play(plain, 40)
    state, following = plain.get_state(), play(plain, 20, seed=1)
    assert not np.array_equal(expected[0][0]['image'], expected[0][1]['image'])
    for parallel in ('thread', 'process'):
        workers = make_workers('pixel', 2, parallel=parallel, seed=5, sticky=0.3)
        try:
            assert workers.levels == plain.levels
            assert workers.obs_space == plain.obs_space
            assert workers.act_space == plain.act_space
            assert workers.action_repeat == 1 and len(workers) == 2
            assert workers.describe() == plain.describe()
            assert_same(play(workers, 40), expected)
            workers.set_state(state)
            assert_same(play(workers, 20, seed=1), following)
            with pytest.raises(ValueError, match='1 actions for 2'):
                workers.step([0])
        finally:
            workers.close()
            workers.close()


def test_mario_in_a_process():
    workers = make_workers('mario_1-1', 1, parallel='process', sticky=0.0)
    plain = make_env('mario_1-1', sticky=0.0)
    try:
        rows = [workers.reset()[0]] + [workers.step([3])[0] for _ in range(5)]
        others = [plain.reset()] + [plain.step(3) for _ in range(5)]
        assert_same([rows], [others])
    finally:
        workers.close()
        plain.close()


def test_a_failure_reaches_the_parent_in_one_line():
    workers = ProcessWorkers([Recorder, Failing])
    processes = [worker.process for worker in workers._workers]
    workers.reset()
    workers.step([0, 0])
    with pytest.raises(WorkerError, match=r'worker 1 failed: ZeroDivisionError: no more') as caught:
        workers.step([0, 0])
    assert 'in _frame' in caught.value.details and '\n' not in str(caught.value)
    assert_ended(processes)
    with pytest.raises(RuntimeError, match='closed'):
        workers.step([0, 0])


def test_a_worker_at_its_step_is_asked_nothing_else():
    workers = ProcessWorkers([Recorder, Recorder])
    try:
        workers.reset()
        workers.begin({0: 1})
        begin = functools.partial(workers.begin, {0: 1})
        for ask in (workers.describe, workers.get_state, workers.reset, begin):
            with pytest.raises(RuntimeError, match='worker 0 has started a step'):
                ask()
        assert workers.reset([1])[0]['is_first']
        assert not workers.end([0])[0]['is_first']
        assert workers.describe()['name'] == 'recorder'
    finally:
        workers.close()


def test_ctrl_c_within_a_step_comes_after_it():
    workers = ProcessWorkers([Interrupting, Recorder])
    try:
        workers.reset()
        with pytest.raises(KeyboardInterrupt):
            workers.step([0, 0])
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert [row['is_last'] for row in workers.step([0, 0])] == [True, False]
        assert workers.reset()[0]['is_first']
    finally:
        workers.close()


@pytest.mark.skipif(not pathlib.Path('/proc/self/status').exists(), reason='Linux tells this')
def test_a_worker_is_woken_once_for_each_step():
    def sleeps():
        status = pathlib.Path(f'/proc/{workers._workers[0].process.pid}/status').read_text()
        return int(re.search(r'^voluntary_ctxt_switches:\s*(\d+)', status, re.MULTILINE)[1])

    workers = ProcessWorkers([functools.partial(Busy, frames=1000)])
    try:
        workers.reset()
        before = sleeps()
        for _ in range(200):
            workers.step([0])
        assert sleeps() - before < 270  # Up to 400 if it were woken when its answer is read.
    finally:
        workers.close()


def test_a_process_that_ends_is_noticed():
    workers = ProcessWorkers([Stopping])
    workers.reset()
    with pytest.raises(WorkerError, match=r'ended unexpectedly \(exit code 3\)'):
        workers.step([0])


class Once(Recorder):
    """Fails in the second step of the first process that gets there, as it is told."""

    def __init__(self, how, flag):
        super().__init__(frames=4)
        self.how, self.flag = how, flag

    def _frame(self, action):
        if self._steps and not self.flag.exists():
            self.flag.touch()
            if self.how == 'dies':
                os.kill(os.getpid(), signal.SIGKILL)
            elif self.how == 'hangs':
                time.sleep(1000)
            raise ZeroDivisionError('no more frames')
        return super()._frame(action)


@pytest.mark.parametrize(
    ('how', 'words'),
    [
        ('raises', 'failed: ZeroDivisionError: no more frames'),
        ('dies', 'ended unexpectedly (exit code -9)'),
        ('hangs', 'gave no answer for 3 s'),
    ],
)
def test_a_worker_that_fails_is_replaced_and_its_episode_cut_off(tmp_path, caplog, how, words):
    makers = [functools.partial(Once, how, tmp_path / 'flag'), functools.partial(Recorder, 4)]
    workers = ProcessWorkers(makers, restarts=1, longest=3 if how == 'hangs' else 60)
    try:
        workers.reset()
        before = workers.step([1, 1])
        cut, sound = workers.step([2, 2])
        assert cut['is_last'] and not cut['is_terminal'] and not cut['is_first']
        assert cut['reward'] == 0
        np.testing.assert_array_equal(cut['vector'], before[0]['vector'])
        assert not sound['is_last']
        (record,) = caplog.records
        assert words in record.message and 'level ' in record.message
        assert '1 steps into an episode' in record.message
        assert ('in _frame' in record.message) == (how == 'raises')
        assert workers.reset([0])[0]['is_first']
        rows = [workers.step([1, 1]) for _ in range(2)]
        assert not rows[1][0]['is_last'] and rows[1][1]['is_last']
        assert len(workers.get_state()) == 2
    finally:
        workers.close()


def test_workers_are_not_replaced_for_ever(tmp_path, caplog):
    workers = ProcessWorkers([Failing], restarts=2)
    processes = []
    for _ in range(2):
        workers.reset()
        workers.step([0])
        processes += [worker.process for worker in workers._workers]
        assert workers.step([0])[0]['is_last']
    assert len(caplog.records) == 2
    workers.reset()
    workers.step([0])
    with pytest.raises(WorkerError, match='worker 0 failed: ZeroDivisionError'):
        workers.step([0])
    assert_ended(processes)


def test_a_users_mistake_stays_one():
    with pytest.raises(UsageError, match="unknown level '9-9'"):
        make_workers('mario_9-9', 1, parallel='process')
    with pytest.raises(UsageError, match='none, thread, process'):
        make_workers('pixel', 1, parallel='ray')
    with pytest.raises(UsageError, match='from 1'):
        make_workers('pixel', 0)
    with pytest.raises(ValueError, match='at least one'):
        InProcess([])


def test_processes_end_with_a_forgotten_object():
    workers = ProcessWorkers([functools.partial(Recorder, frames=3)])
    processes = [worker.process for worker in workers._workers]
    del workers
    assert_ended(processes)


def test_layout_is_aligned():
    offsets, size = layout(Recorder().obs_space)
    assert list(offsets.values()) == [64 * index for index in range(len(offsets))]
    assert size == 64 * len(offsets)


SCRIPT = """
import signal, sys
from multiprocessing import shared_memory
from dreamerv2.envs.factory import make_workers

if __name__ == '__main__':
    asked = []
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
        signal.signal(number, lambda *unused: asked.append(True))
    workers = make_workers('pixel', 2, parallel='process')
    workers.reset()
    try:
        print(*[worker.process.pid for worker in workers._workers], flush=True)
        while not asked:
            workers.step([0, 0])
            workers.reset()
    except KeyboardInterrupt:
        pass
    workers.step([0, 0])  # they are still there, for the run to end in order
    shared_memory.SharedMemory(create=True, size=1).unlink()  # and so is what cleans up after all
    if sys.argv[1] == 'close':
        workers.close()
    print('stopped', flush=True)
"""


@pytest.mark.parametrize(
    'mode, number',
    [
        ('close', signal.SIGINT),
        ('', signal.SIGINT),
        ('', signal.SIGTERM),
        ('', signal.SIGHUP),
        ('', signal.SIGKILL),
        pytest.param('', signal.SIGUSR1, marks=pytest.mark.slow),
        pytest.param('', signal.SIGUSR2, marks=pytest.mark.slow),
    ],
)
def test_signals_leave_nothing_behind(tmp_path, mode, number):
    script = tmp_path / 'script.py'
    script.write_text(SCRIPT)
    root = pathlib.Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, script, mode],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, 'PYTHONPATH': str(root)},
    )
    children = [int(number) for number in process.stdout.readline().split()]
    assert len(children) == 2
    if number == signal.SIGKILL:
        process.kill()
    else:
        os.killpg(process.pid, number)  # as a terminal or a batch system does: to the whole group
    out, err = process.communicate(timeout=30)
    if number != signal.SIGKILL:
        assert (process.returncode, out, err) == (0, 'stopped\n', '')
    for _ in range(100):
        alive = [pid for pid in children if is_running(pid)]
        if not alive:
            return
        time.sleep(0.1)
    pytest.fail(f'processes {alive} are still there')


def is_running(pid):
    try:
        stat = pathlib.Path(f'/proc/{pid}/stat').read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(')')[2].split()[0] != 'Z'


def assert_ended(processes):
    """Their handles are closed, which is possible only once they have ended."""
    for process in processes:
        with pytest.raises(ValueError, match='closed'):
            process.is_alive()
