"""The checkpoint store against a plain model, on random histories with crashes and damage."""

import dataclasses
import errno
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from dreamerv2.errors import StorageError, UsageError
from dreamerv2.run import checkpoint
from tests.faults import faults
from tests.faults.injection import Crashed, Faults

SCORES = st.sampled_from([None, None, -1.0, 0.0, 2.5, 2.5, 9.0])
# Which call fails; beyond the number of calls none does.
POSITIONS = st.integers(0, 45)


@dataclasses.dataclass
class Saved:
    """One checkpoint as it should be; `damaged` names the file that is."""

    value: int
    score: float | None
    damaged: str | None = None
    marked: bool = False


class CheckpointStore(RuleBasedStateMachine):
    """`model` holds by frames what each checkpoint should be."""

    @initialize(keep=st.integers(0, 3))
    def begin(self, keep):
        self.folder = Path(tempfile.mkdtemp())
        self.root = self.folder / 'checkpoints'
        self.keep = keep
        self.model = {}
        self.frames = self.value = 0

    def teardown(self):
        shutil.rmtree(self.folder)

    @rule(score=SCORES, step=st.integers(1, 3))
    def save(self, score, step):
        self.frames += step
        self.attempt(self.frames, score, Faults())

    @rule(score=SCORES, step=st.integers(0, 1), position=POSITIONS, power=st.booleans())
    def crash_while_saving(self, score, step, position, power):
        self.frames += step
        self.attempt(self.frames, score, Faults(position), power)

    @rule(
        score=SCORES,
        step=st.integers(0, 1),
        position=POSITIONS,
        code=st.sampled_from([errno.ENOSPC, errno.EIO]),
        lasting=st.booleans(),
    )
    def fail_to_save(self, score, step, position, code, lasting):
        self.frames += step
        self.attempt(self.frames, score, Faults(position, code, lasting))

    @precondition(lambda self: self.model)
    @rule(data=st.data(), score=SCORES)
    def replace(self, data, score):
        """As after going back to an earlier one."""
        self.attempt(data.draw(st.sampled_from(sorted(self.model))), score, Faults())

    @precondition(lambda self: self.good())
    @rule(data=st.data(), score=SCORES)
    def save_the_same_again(self, data, score):
        frames = data.draw(st.sampled_from(self.good()))
        with Faults():
            faults.save(self.folder, frames, self.model[frames].value, score=score)
        if score is not None:
            self.model[frames].score = score

    @precondition(lambda self: self.good())
    @rule(data=st.data(), score=st.floats(-5, 5))
    def record_score(self, data, score):
        frames = data.draw(st.sampled_from(self.good()))
        with Faults():
            checkpoint.record_score(self.root, frames, score)
        self.model[frames].score = score

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def mark_to_keep(self, data):
        frames = data.draw(st.sampled_from(sorted(self.model)))
        (self.root / checkpoint.folder_name(frames) / 'keep').touch()
        self.model[frames].marked = True

    @precondition(lambda self: self.good())
    @rule(data=st.data(), at=st.integers(0, 10_000), mask=st.integers(1, 255))
    def damage(self, data, at, mask):
        frames = data.draw(st.sampled_from(self.good()))
        path = self.root / checkpoint.folder_name(frames)
        file = data.draw(st.sampled_from(sorted(p for p in path.iterdir() if p.name != 'keep')))
        content = bytearray(file.read_bytes())
        content[at % len(content)] ^= mask
        file.write_bytes(content)
        self.model[frames].damaged = file.name

    @rule(set_aside=st.booleans())
    def load_newest(self, set_aside):
        said = []
        good = self.good()
        if not good and self.model:
            with pytest.raises(UsageError, match='all of them damaged'):
                checkpoint.load_newest(self.root, said.append)
            assert len(said) == len(self.model)
            return
        found = checkpoint.load_newest(self.root, said.append)
        if set_aside:
            checkpoint.tidy(self.root, found)
        assert (found is None) == (not self.model)
        newer = [frames for frames in self.model if frames > found.frames] if found else []
        assert len(said) == len(newer)
        for frames, line in zip(sorted(newer, reverse=True), said, strict=True):
            assert checkpoint.folder_name(frames) in line and '\n' not in line
        if found:
            assert found.frames == good[-1]
            self.check(found)
        for frames in newer if set_aside else []:
            del self.model[frames]

    @rule()
    def load_best(self):
        said = []
        found = checkpoint.load_best(self.root, said.append)
        scored = [(self.model[f].score, f) for f in self.good() if self.model[f].score is not None]
        assert (found is None) == (not scored)
        if found:
            assert (found.score, found.frames) == max(scored)
            self.check(found)

    @invariant()
    def every_good_one_loads_and_no_other(self):
        if not hasattr(self, 'model'):
            return
        assert [int(path.name) for path in checkpoint.available(self.root)] == sorted(self.model)
        for frames, saved in self.model.items():
            path = self.root / checkpoint.folder_name(frames)
            if saved.damaged:
                with pytest.raises(checkpoint.DamagedCheckpointError, match=path.name):
                    checkpoint.load(path)
            else:
                self.check(checkpoint.load(path))

    def good(self):
        return sorted(frames for frames, saved in self.model.items() if not saved.damaged)

    def check(self, found):
        saved = self.model[found.frames]
        assert set(found.arrays()['value']) == {saved.value} == {found.state['value']}
        assert found.file(checkpoint.BATCH) == bytes([saved.value % 256])
        assert found.score == saved.score

    def attempt(self, frames, score, faults_to_come, power=False):
        """Saves a new value, and takes over what came of it if that is old or new."""
        self.value += 1
        raised = None
        with faults_to_come:
            try:
                faults.save(self.folder, frames, self.value, score=score, keep=self.keep)
            except (Crashed, StorageError) as error:
                raised = error
        if power:
            faults_to_come.lose_unsynced(self.root)
        with Faults():
            checkpoint.recover(self.root)
        there = {int(path.name) for path in checkpoint.available(self.root)}
        after = {**self.model, frames: Saved(self.value, score)}
        pruned = self.pruned(after, frames)
        if raised is None:
            assert there == set(pruned)
            self.model = pruned
        elif frames in there and self.holds(frames, self.value):
            # It is new, and none, some or all of the older ones are gone.
            assert set(pruned) <= there <= set(after)
            self.model = {f: saved for f, saved in after.items() if f in there}
        else:
            assert there == set(self.model)

    def holds(self, frames, value):
        try:
            path = self.root / checkpoint.folder_name(frames)
            return checkpoint.load(path).state['value'] == value
        except checkpoint.DamagedCheckpointError:
            return False

    def pruned(self, model, written):
        """What stays of a model after saving."""
        frames = sorted(model)
        scored = [
            (saved.score, f)
            for f, saved in model.items()
            if saved.score is not None and saved.damaged != 'manifest.json'
        ]
        spared = {written, max(scored)[1] if scored else written}
        going = set(frames) - set(frames[-self.keep :])  # With 0 all stay.
        return {f: s for f, s in model.items() if f not in going or f in spared or s.marked}


TestCheckpointStore = CheckpointStore.TestCase
TestCheckpointStore.settings = settings(
    max_examples=int(os.environ.get('STATE_MACHINE_HISTORIES', '40')),
    stateful_step_count=25,
    deadline=None,
)
