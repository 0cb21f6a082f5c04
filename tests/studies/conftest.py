"""Where the repository is, and a study of twelve runs."""

import dataclasses
import pathlib

import pytest

from dreamerv2.studies.definition import make_jobs
from dreamerv2.studies.study_file import read_definition

STUDY = """
configs: [mario, debug]
frames: 2000
seeds: [0, 1]
pretrain: [pair]
finetune: [1-1]
transfer: [1-3]
sets: {pair: [1-1, 1-2]}
frames_per_second: 10
"""


@pytest.fixture
def repository():
    """The repository's root."""
    return pathlib.Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def study(tmp_path):
    path = tmp_path / 'study.yaml'
    path.write_text(STUDY)
    return read_definition(path)


@pytest.fixture
def jobs(study, tmp_path):
    return make_jobs(study, tmp_path / 'root')


@pytest.fixture
def grid_jobs(study, tmp_path):
    """The same twelve runs with each of two settings."""
    return make_jobs(dataclasses.replace(study, grid={'kl.balance': [0.5, 0.8]}), tmp_path / 'root')
