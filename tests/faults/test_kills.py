"""Killing the writer of episodes and checkpoints at random moments."""

import subprocess
import sys

from tests.faults import kills, writer
from tests.faults.work import Reference


def test_kills_corrupt_nothing_and_every_run_goes_on(tmp_path):
    found = kills.Kills(tmp_path, seed=1)
    for _ in range(15):
        found.kill_once()
    assert (found.corrupt, found.wrong, found.unresumable) == ([], [], [])
    # A save begins when the one before it has ended.
    assert max(found.lost) <= 2 * writer.SAVE_EVERY
    work = writer.resume(tmp_path)
    assert work.rows > 0
    for _ in range(100):
        work.advance()
    assert work.chain == Reference().chain(work.rows)
    work.replay.close()


def test_the_writer_starts_without_tensorflow():
    program = 'import sys, tests.faults.writer; assert "tensorflow" not in sys.modules'
    subprocess.run([sys.executable, '-c', program], check=True, cwd=kills.ROOT)


def test_what_is_corrupt_or_wrong_is_found(tmp_path):
    work = writer.resume(tmp_path)
    for _ in range(3 * writer.SAVE_EVERY):
        work.advance()
    writer.save(tmp_path, work)()
    found = kills.Kills(tmp_path)
    found._look()
    assert (found.corrupt, found.wrong) == ([], [])
    first, second = sorted((tmp_path / 'train_episodes').glob('*.npz'))[:2]
    first.write_bytes(first.read_bytes()[:-1])
    work.chain = bytes(32)
    work.rows += 1
    writer.save(tmp_path, work)()
    found._look()
    assert len(found.corrupt) == 1 and str(first) in found.corrupt[0]
    assert len(found.wrong) == 1 and found.wrong[0].endswith(str(work.rows))
