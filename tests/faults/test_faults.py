"""Every call of a save fails once: what is there is old or new, never mixed."""

import hashlib
import os

import pytest

from dreamerv2.run import checkpoint
from tests.faults import faults
from tests.faults.injection import Faults


@pytest.mark.parametrize('scenario', faults.SCENARIOS, ids=lambda scenario: scenario.name)
def test_old_or_new_whatever_call_fails(scenario):
    row, mixed = faults.play_all(scenario)
    assert mixed == []
    assert row['old'] > 0 and row['new'] > 0
    assert row['writes'] > 0 and row['fsyncs'] > 0 and row['renames'] > 0


def test_files_are_durable_before_the_name_and_the_name_before_an_old_one_goes():
    names = [call for call in faults.calls(faults.SCENARIOS[1]) if call != 'flush']
    put = names.index('rename')
    header_and_two_arrays = 3
    files = names[:put].count('write') - header_and_two_arrays + 1
    assert names[:put].count('fsync') == files + 1 == names[:put].count('open')
    # Opening the folder and its fsync come before and after the rename.
    assert names[put - 2 : put + 3] == ['open', 'fsync', 'rename', 'open', 'fsync']
    assert 'rmdir' not in names[:put] and 'rename' in names[put + 3 :]


def test_a_missing_fsync_would_be_found(monkeypatch):
    def forgetful(path, chunks):
        data = b''.join(map(bytes, chunks))
        with open(path, 'wb') as file:
            file.write(data)
        return len(data), hashlib.sha256(data).hexdigest()

    scenario = faults.SCENARIOS[0]
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, 'write_new', forgetful)
        number = len(faults.calls(scenario))
        results = [faults.play(scenario, at, 'power cut') for at in range(number)]
    assert any('DamagedCheckpointError' in result for result in results)


def test_a_fault_strikes_the_call_at_its_position(tmp_path):
    with Faults() as faults_free:
        os.mkdir(tmp_path / 'a')
        with open(tmp_path / 'a' / 'b', 'wb') as file:
            file.write(b'1234')
        os.rename(tmp_path / 'a' / 'b', tmp_path / 'b')
    assert faults_free.calls == ['mkdir', 'open', 'write', 'rename'] and not faults_free.failed
    with Faults(1, 28) as faulty:
        with open(tmp_path / 'c', 'wb') as file, pytest.raises(OSError, match='No space left'):
            file.write(b'1234')
        os.rename(tmp_path / 'b', tmp_path / 'd')
    assert faulty.failed and (tmp_path / 'c').read_bytes() == b'12'
    with Faults(0, 28, lasting=True):
        with pytest.raises(OSError, match='No space left'):
            os.mkdir(tmp_path / 'e')
        os.unlink(tmp_path / 'd')
        with pytest.raises(OSError, match='No space left'):
            os.mkdir(tmp_path / 'e')
