"""The emulator, whose way through a frame is ours, computes what nes-py as published does."""

import json
from pathlib import Path

import pytest

from tests.envs.emulator_trace import LEVELS, trace

REFERENCE = Path(__file__).parents[1] / 'reference' / 'emulator_traces.json'
EXPECTED = json.loads(REFERENCE.read_text())


@pytest.mark.parametrize('level', LEVELS)
def test_every_picture_and_all_memory_are_those_of_the_published_emulator(level):
    assert trace(level) == EXPECTED[level]


def test_levels_and_frames_make_a_difference():
    assert len(set(EXPECTED.values())) == len(LEVELS)
    assert trace('1-1', frames=239) != EXPECTED['1-1']
