"""Durable writing, and what is said when it fails."""

import errno
import os

import pytest

from dreamerv2 import durable
from dreamerv2.cli import FAILED, exit_code_of
from dreamerv2.errors import DiskFullError, StorageError, UsageError


def fail(code):
    def call(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    return call


@pytest.mark.parametrize('call', ['fsync', 'replace'])
@pytest.mark.parametrize('code', [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_a_failed_write_leaves_the_old_file_and_says_in_one_line_why(
    tmp_path, monkeypatch, call, code
):
    path = tmp_path / 'file'
    durable.write_durably(path, b'old')
    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail(code))
        with pytest.raises(StorageError) as caught:
            durable.write_durably(path, b'newer')
    error = caught.value
    assert isinstance(error, DiskFullError) == (code in (errno.ENOSPC, errno.EDQUOT))
    assert isinstance(error, UsageError) and isinstance(error, OSError)
    assert (error.errno, error.filename, error.needed) == (code, str(path), 5)
    assert error.free > 0
    assert str(error).startswith(f'{path} cannot be written: {os.strerror(code)} (5 bytes needed, ')
    assert '\n' not in str(error)
    assert path.read_bytes() == b'old' and list(tmp_path.iterdir()) == [path]


def test_other_advice_keeps_the_rest(tmp_path):
    error = DiskFullError(tmp_path, errno.ENOSPC, 7, None).advised('buy a disk')
    assert isinstance(error, DiskFullError)
    assert str(error).endswith('(7 bytes needed, an unknown number free); buy a disk.')


def test_only_what_a_folder_cannot_do_is_forgiven(tmp_path, monkeypatch):
    monkeypatch.setattr(os, 'fsync', fail(errno.EINVAL))
    durable.fsync_folder(tmp_path)
    monkeypatch.setattr(os, 'fsync', fail(errno.EIO))
    with pytest.raises(OSError):
        durable.fsync_folder(tmp_path)


@pytest.mark.parametrize('code', [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_that_cannot_sync_is_written_to_all_the_same(tmp_path, monkeypatch, code):
    monkeypatch.setattr(os, 'fsync', fail(code))
    durable.write_durably(tmp_path / 'file', b'new')
    assert (tmp_path / 'file').read_bytes() == b'new'


@pytest.mark.parametrize('code', [errno.EACCES, errno.EISDIR, errno.EPERM, errno.ENOTSUP])
def test_folders_that_cannot_be_opened_are_forgiven(tmp_path, monkeypatch, code):
    opened = os.open

    def no_folders(path, *rest, **options):
        if os.path.isdir(path):
            fail(code)()
        return opened(path, *rest, **options)

    monkeypatch.setattr(os, 'open', no_folders)
    durable.write_durably(tmp_path / 'file', b'new')
    durable.make_folder(tmp_path / 'a' / 'b')


def test_folders_are_made_durable_in_those_above(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(durable, 'fsync_folder', synced.append)
    durable.make_folder(tmp_path / 'a' / 'b')
    assert (tmp_path / 'a' / 'b').is_dir()
    assert set(synced) == {tmp_path, tmp_path / 'a'}
    durable.make_folder(tmp_path / 'a' / 'b')
    assert len(synced) == 2


def test_free_bytes_of_what_is_not_there_yet(tmp_path):
    assert durable.free_bytes(tmp_path / 'not' / 'yet') > 0


def test_a_command_ends_with_one_line_and_the_code_of_a_crash(tmp_path, capsys):
    def run(argv):
        raise DiskFullError(tmp_path, errno.ENOSPC, 7, 0, 'make room')

    assert exit_code_of(run, []) == FAILED
    assert capsys.readouterr().err == (
        f'{tmp_path} cannot be written: No space left on device (7 bytes needed, 0 free); '
        'make room.\n'
    )
