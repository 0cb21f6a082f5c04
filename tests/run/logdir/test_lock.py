"""The lock on a logdir."""

import errno
import json
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from dreamerv2.errors import StorageError, UsageError
from dreamerv2.run.logdir.lock import Lock, LockLostError, process_start


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


@pytest.mark.parametrize('code', [errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK])
def test_a_disk_without_hard_links(tmp_path, monkeypatch, code):
    def no_links(*unused):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, 'link', no_links)
    with Lock(tmp_path) as lock:
        assert json.loads((tmp_path / 'lock').read_text())['pid'] == os.getpid()
        assert [path.name for path in tmp_path.iterdir()] == ['lock']
        with pytest.raises(UsageError, match=f'process {os.getpid()}'), Lock(tmp_path):
            pass
        lock.check()
    assert not list(tmp_path.iterdir())
    holder(tmp_path, start='1')
    with Lock(tmp_path):
        assert json.loads((tmp_path / 'lock').read_text())['start'] != '1'


def test_a_lock_that_is_just_being_written_is_somebodys(tmp_path, monkeypatch):
    monkeypatch.setattr(os, 'link', no_hard_links)
    (tmp_path / 'lock').touch()
    with pytest.raises(UsageError, match='in use by another process:'), Lock(tmp_path):
        pass


def no_hard_links(*unused):
    raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))


def test_one_of_many_gets_a_lock_without_hard_links(tmp_path, monkeypatch):
    monkeypatch.setattr(os, 'link', no_hard_links)
    held, refused, begin = [], [], threading.Barrier(8)

    def start():
        begin.wait()
        try:
            held.append(Lock(tmp_path).__enter__())
        except UsageError:
            refused.append(True)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(held), len(refused)) == (1, 7)
    held[0].__exit__()


def test_a_folder_that_takes_no_lock_is_told_in_one_line(tmp_path, monkeypatch):
    def read_only(*unused, **ignored):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, 'link', read_only)
    monkeypatch.setattr('builtins.open', read_only)
    with pytest.raises(StorageError, match='Read-only file system'), Lock(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


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
