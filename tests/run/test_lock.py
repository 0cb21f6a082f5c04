"""The lock on a logdir."""

import json
import os
import socket
import subprocess
import sys
import time

import pytest

from dreamerv2.errors import UsageError
from dreamerv2.run.lock import Lock, LockLostError, process_start


def holder(tmp_path, **changes):
    content = {'host': socket.gethostname(), 'pid': os.getpid(), 'token': 'other'}
    content['start'] = process_start(os.getpid())
    content.update(changes)
    (tmp_path / 'lock').write_text(json.dumps(content))
    return content


def test_a_second_run_is_refused_and_told_who_is_there(tmp_path):
    with Lock(tmp_path):
        with pytest.raises(UsageError) as error, Lock(tmp_path):
            pass
        assert str(os.getpid()) in str(error.value)
        assert socket.gethostname() in str(error.value)
        assert '\n' not in str(error.value)
        assert (tmp_path / 'lock').exists()
    assert list(tmp_path.iterdir()) == []
    with Lock(tmp_path):
        pass


def test_taken_over_at_once_when_the_process_is_gone(tmp_path):
    process = subprocess.run([sys.executable, '-c', 'import os; print(os.getpid())'],
                             capture_output=True, check=True)  # fmt: skip
    holder(tmp_path, pid=int(process.stdout))
    with Lock(tmp_path):
        assert json.loads((tmp_path / 'lock').read_text())['pid'] == os.getpid()


def test_a_number_that_now_belongs_to_another_process_does_not_count(tmp_path):
    holder(tmp_path, start='1')
    with Lock(tmp_path):
        assert json.loads((tmp_path / 'lock').read_text())['start'] != '1'


def test_another_host_may_take_over_after_silence_only(tmp_path):
    holder(tmp_path, host='elsewhere', pid=1)
    with pytest.raises(UsageError, match='process 1 on elsewhere'), Lock(tmp_path):
        pass
    past = time.time() - 50
    os.utime(tmp_path / 'lock', (past, past))
    with pytest.raises(UsageError), Lock(tmp_path):
        pass
    past = time.time() - 61
    os.utime(tmp_path / 'lock', (past, past))
    with Lock(tmp_path):
        assert json.loads((tmp_path / 'lock').read_text())['host'] == socket.gethostname()


def test_an_unreadable_lock_counts_as_another_hosts(tmp_path):
    (tmp_path / 'lock').write_text('{"host"')
    with pytest.raises(UsageError), Lock(tmp_path):
        pass
    os.utime(tmp_path / 'lock', (0, 0))
    with Lock(tmp_path):
        pass


def wait_for(condition):
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_lock_is_refreshed(tmp_path):
    with Lock(tmp_path, refresh=0.02):
        os.utime(tmp_path / 'lock', (0, 0))
        wait_for(lambda: (tmp_path / 'lock').stat().st_mtime > 0)


def test_a_run_notices_that_it_lost_the_lock(tmp_path):
    with Lock(tmp_path, refresh=0.02) as lock:
        lock.check()
        holder(tmp_path, host='elsewhere', pid=5)

        def lost():
            try:
                lock.check()
            except LockLostError as error:
                assert 'process 5 on elsewhere' in str(error)
                return True
            return False

        wait_for(lost)
    assert json.loads((tmp_path / 'lock').read_text())['host'] == 'elsewhere'
