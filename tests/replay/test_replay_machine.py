"""The replay on disk against a plain model, on random histories with crashes and damage."""

import copy
import errno
import json
import os
import shutil
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from replay_model import check_window, make_row

from dreamerv2.errors import DiskFullError, UsageError
from dreamerv2.replay import Replay, disk

ENDS = st.sampled_from(['terminated', 'truncated'])
ROWS = st.one_of(st.integers(1, 8), st.integers(9, 40))
WORKERS = st.integers(0, 1)


class Model:
    """What a replay holds: rows of every episode ever finished by number, and which are loaded."""

    def __init__(self, capacity):
        self.capacity = capacity
        self.all = {}
        self.loaded = []
        self.partial = {}
        self.next_serial = self.episodes = self.steps = 0
        self.dropped_episodes = self.dropped_steps = 0

    @property
    def finished(self):
        return [self.all[serial] for serial in self.loaded]

    def append(self, worker, row):
        self.partial.setdefault(worker, []).append(row)
        if row['is_last']:
            rows = self.partial.pop(worker)
            self.all[self.next_serial] = rows
            self.loaded.append(self.next_serial)
            self.next_serial += 1
            self.episodes += 1
            self.steps += len(rows) - 1
            self.loaded = self.newest(self.loaded)

    def drop(self, worker):
        rows = self.partial.pop(worker, None)
        if rows:
            self.dropped_episodes += 1
            self.dropped_steps += len(rows) - 1

    def newest(self, serials):
        """The newest that the capacity holds, at least one."""
        serials = list(serials)
        while (
            self.capacity
            and len(serials) > 1
            and sum(len(self.all[serial]) - 1 for serial in serials) > self.capacity
        ):
            serials.pop(0)
        return serials


class ReplayOnDisk(RuleBasedStateMachine):
    """`saved` holds what the last two checkpoints hold: the state and the model then."""

    @initialize(capacity=st.sampled_from([25, 60, 0]))
    def begin(self, capacity):
        self.folder = Path(tempfile.mkdtemp())
        self.model = Model(capacity)
        self.replay = Replay(self.folder, capacity)
        self.saved = []
        self.number = 0
        self.damaged = 0

    def teardown(self):
        self.replay.close()
        shutil.rmtree(self.folder)

    @rule(rows=ROWS, worker=WORKERS, end=st.one_of(st.none(), ENDS), reset=st.booleans())
    def add(self, rows, worker, end, reset):
        if reset:
            self.model.drop(worker)
        for i in range(rows):
            last = end is not None and i == rows - 1
            self.number += 1
            first = worker not in self.model.partial
            row = make_row(self.number, first, last, last and end == 'terminated')
            self.replay.add_step(row, worker)
            self.model.append(worker, row)

    @rule(lengths=st.lists(st.sampled_from([2, 9, 17, 30]), min_size=2, max_size=6), end=ENDS)
    def collect(self, lengths, end):
        """Several episodes, so that some have to leave."""
        for rows in lengths:
            self.add(rows, 0, end, True)

    @rule()
    def drop(self):
        self.replay.drop_partial()
        for worker in list(self.model.partial):
            self.model.drop(worker)

    @rule(length=st.sampled_from([1, 5, 20]))
    def sample(self, length):
        if not self.model.loaded:
            with pytest.raises(UsageError):
                self.replay.sample(3, length)
            return
        batch = self.replay.sample(3, length)
        for row in range(3):
            window = {key: value[row] for key, value in batch.items()}
            check_window(window, self.model, 'short')

    @rule(end=ENDS)
    def fill_the_disk_and_make_room(self, end):
        self.replay.flush()
        full = DiskFullError(self.folder, errno.ENOSPC, 1, 0)
        with mock.patch.object(disk, 'write_episode', side_effect=full):
            self.add(4, 0, end, True)
            with pytest.raises(DiskFullError, match='1 unsaved'):
                self.replay.flush()
            self.replay._archive._writer.wait()  # It tries again.
        self.replay.flush()
        assert max(file.serial for file in disk.list_files(self.folder)) + 1 == (
            self.model.next_serial
        )

    @rule()
    def checkpoint(self):
        state = json.loads(json.dumps(self.replay.get_state()))
        assert state['next_serial'] == self.model.next_serial
        self.saved = [*self.saved[-1:], (state, copy.deepcopy(self.model))]

    @precondition(lambda self: self.saved)
    @rule(back=st.integers(0, 1), lost=st.integers(0, 3), leftover=st.booleans())
    def crash_and_resume(self, back, lost, leftover):
        """From the last checkpoint, or the one before it; what was being written is lost."""
        self.saved = self.saved[: max(1, len(self.saved) - back)]
        state, then = self.saved[-1]
        self.replay.flush()
        newer = [file for file in disk.list_files(self.folder) if file.serial >= then.next_serial]
        for file in newer[len(newer) - min(lost, len(newer)) :]:
            file.path.unlink()
        if leftover:
            (self.folder / f'.{newer[-1].path.name if newer else "x.npz"}.1.tmp').write_bytes(b'x')
        self.replay = Replay(self.folder, then.capacity)
        self.replay.set_state(state)
        self.model = copy.deepcopy(then)
        self.model.partial.clear()
        assert not list(self.folder.glob('*.tmp'))
        if self.model.loaded:
            self.check_exact(state)

    @precondition(lambda self: not self.saved)
    @rule(lost=st.integers(0, 3))
    def crash_before_the_first_checkpoint(self, lost):
        self.replay.flush()
        files = disk.list_files(self.folder)
        for file in files[len(files) - min(lost, len(files)) :]:
            file.path.unlink()
        self.start_from_files()

    @precondition(lambda self: self.model.loaded)
    @rule(data=st.data(), at=st.integers(0, 10_000), mask=st.integers(0, 255))
    def damage_and_start_again(self, data, at, mask):
        """A changed or, with mask 0, truncated file goes to quarantine; all others count."""
        self.replay.flush()
        file = data.draw(st.sampled_from(disk.list_files(self.folder)))
        content = bytearray(file.path.read_bytes())
        if mask:
            content[at % len(content)] ^= mask
        else:
            del content[at % len(content) :]
        file.path.write_bytes(content)
        self.damaged += 1
        self.start_from_files(without=file.serial)
        assert len(list((self.folder / 'quarantine').iterdir())) == self.damaged
        assert not file.path.exists()
        self.saved = []
        self.checkpoint()

    @invariant()
    def counts_are_exact(self):
        if not hasattr(self, 'model'):
            return
        stats, model = self.replay.stats, self.model
        assert stats['total_episodes'] == model.episodes
        assert stats['total_steps'] == model.steps
        assert stats['dropped_episodes'] == model.dropped_episodes
        assert stats['dropped_steps'] == model.dropped_steps
        assert stats['partial_steps'] == sum(len(rows) - 1 for rows in model.partial.values())
        assert [episode.serial for episode in self.replay.episodes()] == model.loaded

    def start_from_files(self, without=None):
        """Starts without a checkpoint: what is on disk is all there is."""
        model = Model(self.model.capacity)
        serials = [file.serial for file in disk.list_files(self.folder)]
        model.all = {s: self.model.all[s] for s in serials if s != without}
        model.loaded = model.newest(sorted(model.all))
        model.next_serial = max(serials, default=-1) + 1
        model.episodes = len(model.all)
        model.steps = sum(len(rows) - 1 for rows in model.all.values())
        self.replay = Replay(self.folder, model.capacity)
        self.model = model

    def check_exact(self, state):
        """Samples as a replay in memory does that was never interrupted."""
        twin = Replay(None, self.model.capacity)
        for rows in self.model.finished:
            for row in rows:
                twin.add_step(row)
        twin.set_state(state)
        again = Replay(self.folder, self.model.capacity)
        again.set_state(state)
        for length in (3, 10, 30):
            expected, found = twin.sample(4, length), again.sample(4, length)
            for key, value in expected.items():
                np.testing.assert_array_equal(found[key], value, key)


TestReplayOnDisk = ReplayOnDisk.TestCase
TestReplayOnDisk.settings = settings(
    max_examples=int(os.environ.get('STATE_MACHINE_HISTORIES', '25')),
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    """What is durable is tested elsewhere."""
    monkeypatch.setattr(os, 'fsync', lambda descriptor: None)
