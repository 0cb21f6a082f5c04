"""Archives of studies: what is kept and given back, other studies, damage, and no names in them."""

import dataclasses
import json
import pathlib
import shutil
import zipfile

import numpy as np
import pytest

from dreamerv2 import archive, npz
from dreamerv2.analysis.table import read_run
from dreamerv2.config import load_config
from dreamerv2.errors import UsageError
from dreamerv2.run import checkpoint
from dreamerv2.run.logdir import folder
from dreamerv2.studies.archive import Archive, first_episodes
from dreamerv2.studies.definition import make_jobs
from dreamerv2.studies.state import read_state

ARRAYS = {
    'parameters/encoder/kernel': np.arange(6, dtype=np.float32),
    'model_opt/moments': np.zeros(6, np.float32),
}


def make_run(job, *, frames=None, value=1.0):
    """The logdir of a finished run."""
    job.logdir.mkdir(parents=True)
    load_config(job.arguments).save(job.logdir / 'config.yaml')
    command = ['train.py', *job.arguments]
    described = {'command': command, 'host': {'hostname': 'secret', 'processor': 'CPU'}}
    (job.logdir / 'provenance.json').write_text(json.dumps(described))
    (job.logdir / 'study.json').write_text(json.dumps(job.study))
    rows = [{'step': step, 'train_return': value} for step in range(0, job.frames + 1, 100)]
    (job.logdir / 'metrics.jsonl').write_text(''.join(json.dumps(row) + '\n' for row in rows))
    config = (job.logdir / 'config.yaml').read_bytes()
    checkpoint.save(
        job.logdir / 'checkpoints',
        job.frames,
        arrays=ARRAYS,
        state={},
        files={'config.yaml': config},
    )
    episodes = job.logdir / 'train_episodes'
    episodes.mkdir()
    for number, (level, length) in enumerate([(1, 20), (0, 5), (0, 30), (1, 40)]):
        arrays = {'level': np.full(length, level), 'reward': np.zeros(length, np.float32)}
        (episodes / f'{number}.npz').write_bytes(npz.encode(arrays))
    folder.mark_finished(job.logdir, frames or job.frames, 1)


@pytest.fixture
def jobs(study, tmp_path):
    """The runs of the first seed."""
    return make_jobs(dataclasses.replace(study, seeds=(0,)), tmp_path / 'root')


def opened(jobs, path, root):
    said = []
    kept = Archive(path, jobs, root)
    kept.restore(said.append)
    return kept, said


def keep_all(jobs, path, root):
    kept, said = opened(jobs, path, root)
    for job in jobs:
        kept.keep(job, said.append)
    return said


@pytest.fixture
def filled(jobs, tmp_path):
    """An archive of all runs; returns its path."""
    for job in jobs:
        make_run(job)
    path = tmp_path / 'archive'
    said = keep_all(jobs, path, tmp_path / 'root')
    assert len(said) == len(jobs) and all(': archived, ' in line for line in said)
    return path


def test_a_new_machine_has_the_finished_runs_from_the_archive(study, filled, tmp_path):
    elsewhere = tmp_path / "it's: 'a' \"root\" #1, ünicode"
    study = dataclasses.replace(study, seeds=(0,))
    jobs = make_jobs(study, elsewhere)
    killed = jobs[0].logdir.with_name(f'.{jobs[0].logdir.name}.tmp')
    killed.mkdir(parents=True)
    (killed / 'metrics.jsonl').write_text('')  # left by a process that was killed
    kept, said = opened(jobs, filled, elsewhere)
    assert len(said) == len(jobs) and not killed.exists()
    assert {read_state(job).kind for job in jobs} == {'finished'}
    for job, old in zip(jobs, make_jobs(study, tmp_path / 'root'), strict=True):
        run, before = read_run(job.logdir), read_run(old.logdir)
        np.testing.assert_array_equal(
            run.series['train_return'].values, before.series['train_return'].values
        )
        assert run.study == before.study and run.config['logdir'] == str(job.logdir)
        if job.parent:
            assert run.started_from == (str(job.parent.logdir), str(job.parent.frames))
            assert not (job.logdir / 'checkpoints').exists()
    parent = next(job for job in jobs if job.place.stage == 'pretrain')
    saved = checkpoint.find(parent.logdir, parent.frames)
    assert list(saved.arrays()) == ['parameters/encoder/kernel']
    # Nothing that it takes back is archived again.
    for job in jobs:
        kept.keep(job, said.append)
    assert len(said) == len(jobs)


def test_an_archive_names_neither_machine_nor_folder(filled, tmp_path):
    for path in filled.rglob('*.zip'):
        with zipfile.ZipFile(path) as packed:
            for name in packed.namelist():
                content = packed.read(name)
                assert str(tmp_path).encode() not in content, name
                assert b'secret' not in content and b'hostname' not in content, name
        assert b'<study>/' in archive.read(path)['config.yaml']


def test_the_same_run_gives_the_same_bytes(jobs, filled, tmp_path):
    again = tmp_path / 'again'
    keep_all(jobs, again, tmp_path / 'root')
    files = sorted(path.relative_to(filled) for path in filled.rglob('*.zip'))
    assert len(files) == len(jobs)
    assert all((filled / x).read_bytes() == (again / x).read_bytes() for x in files)


def test_what_is_made_later_is_added_and_another_run_is_not(jobs, filled, tmp_path):
    root, job = tmp_path / 'root', jobs[0]
    kept, said = opened(jobs, filled, root)
    kept.keep(job, said.append)
    assert not said
    (job.logdir / 'evaluations.jsonl').write_text('{}\n')
    (job.logdir / 'videos').mkdir()
    (job.logdir / 'videos' / '2000.mp4').write_bytes(b'a video')
    kept.keep(job, said.append)
    found = archive.read(archive.file_of(filled, job.name))
    assert found['videos/2000.mp4'] == b'a video' and found['evaluations.jsonl'] == b'{}\n'
    (job.logdir / 'videos' / '2000.mp4').unlink()
    (job.logdir / 'evaluations.jsonl').write_text('{}\n{}\n')
    kept, said = opened(jobs, filled, root)
    kept.keep(job, said.append)
    found = archive.read(archive.file_of(filled, job.name))
    assert found['videos/2000.mp4'] == b'a video' and found['evaluations.jsonl'] == b'{}\n{}\n'
    before = archive.file_of(filled, job.name).read_bytes()
    (job.logdir / 'done.json').write_text(json.dumps({'step': job.frames, 'updates': 7}))
    kept.keep(job, said.append)
    assert 'is of another run of it' in said[-1]
    assert archive.file_of(filled, job.name).read_bytes() == before


def test_an_unfinished_run_resumes_and_says_how_to_use_the_archived_one(jobs, filled, tmp_path):
    (jobs[0].logdir / 'done.json').unlink()
    _, said = opened(jobs, filled, tmp_path / 'root')
    assert said == [
        f'{jobs[0].name}: resumes; delete {jobs[0].logdir} to use '
        f'{archive.file_of(filled, jobs[0].name)} instead'
    ]


def test_a_longer_study_makes_its_runs_anew_in_an_archive_of_baselines(study, jobs, tmp_path):
    root, path = tmp_path / 'root', tmp_path / 'archive'
    baselines = [job for job in jobs if job.place.stage == 'baseline'][:1]
    make_run(baselines[0])
    keep_all(baselines, path, root)
    shutil.rmtree(root)
    longer = make_jobs(dataclasses.replace(study, frames=2 * study.frames), root)[:1]
    kept, said = opened(longer, path, root)
    assert not said and not root.exists()
    make_run(longer[0])
    kept.keep(longer[0], said.append)
    assert 'archived' in said[0]
    assert (
        json.loads(archive.read(archive.file_of(path, longer[0].name))['done.json'])['step'] == 4000
    )


@pytest.mark.parametrize('flag', ['discount', 'rssm.deter'])
def test_runs_of_another_study_are_refused(study, filled, tmp_path, flag):
    values = {'discount': 0.9, 'rssm.deter': 64}
    other = dataclasses.replace(study, overrides={flag: values[flag]})
    root = tmp_path / 'other'
    with pytest.raises(UsageError, match=f'was made with {flag} .* -> {values[flag]}.*--archive'):
        Archive(filled, make_jobs(other, root), root)
    assert not root.exists()


def truncated(path):
    path.write_bytes(path.read_bytes()[:-30])


def flipped(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 255
    path.write_bytes(data)


def escaping(path):
    with zipfile.ZipFile(path, 'a') as packed:
        packed.writestr('../../outside.txt', 'text')


def huge(path):
    with (
        zipfile.ZipFile(path, 'a', zipfile.ZIP_DEFLATED) as packed,
        packed.open('huge', 'w') as file,
    ):
        for _ in range(3):
            file.write(bytes(1 << 20))


def without_end(path):
    contents = archive.read(path)
    del contents['done.json']
    archive.pack(path, contents, pathlib.Path('/nowhere'))


@pytest.mark.parametrize('damage', [truncated, flipped, escaping, huge, without_end])
def test_a_damaged_archive_is_refused_in_one_line(jobs, filled, tmp_path, damage, monkeypatch):
    monkeypatch.setattr(archive, 'LARGEST', 2 << 20)
    path = archive.file_of(filled, jobs[0].name)
    damage(path)
    with pytest.raises(UsageError, match='delete it') as caught:
        Archive(filled, jobs, tmp_path / 'root')
    assert str(path) in str(caught.value) and '\n' not in str(caught.value)
    assert not (tmp_path.parent / 'outside.txt').exists()


def test_folders_that_are_no_archive_are_refused(jobs, filled, tmp_path):
    root = tmp_path / 'root'
    with pytest.raises(UsageError, match='is the --logdir itself'):
        Archive(root, jobs, root)
    with pytest.raises(UsageError, match='no archive of a study'):
        Archive(root / jobs[0].name, jobs, root)
    with pytest.raises(UsageError, match='is a file'):
        Archive(root / jobs[0].name / 'metrics.jsonl', jobs, root)
    (filled / archive.MARK).write_text('{"format": 9}')
    with pytest.raises(UsageError, match='another format'):
        Archive(filled, jobs, root)
    (filled / archive.MARK).write_text('[]')
    with pytest.raises(UsageError, match='cannot be read'):
        Archive(filled, jobs, root)


def test_a_run_that_cannot_be_archived_does_not_end_the_study(jobs, tmp_path):
    path, root = tmp_path / 'archive', tmp_path / 'root'
    for job in jobs[:3]:
        make_run(job)
    archive.file_of(path, jobs[0].name).mkdir(parents=True)
    archive.make(path)
    (jobs[1].logdir / 'config.yaml').write_text('{')
    (jobs[2].logdir / 'done.json').unlink()
    said = []
    kept = Archive(path, jobs[1:], root)
    for job in jobs[:3]:
        kept.keep(job, said.append)
    assert len(said) == 3
    for job, line in zip(jobs, said, strict=False):
        assert line.startswith(f'{job.name}: not archived: ') and '\n' not in line


def test_figure_2_keeps_the_first_episode_of_each_level(jobs, filled):
    folder = jobs[0].logdir / 'train_episodes'
    assert [path.name for path in first_episodes(folder, {0, 1})] == ['0.npz', '2.npz']
    kept = {job.name: sorted(archive.read(archive.file_of(filled, job.name))) for job in jobs}
    with_episodes = {
        name: [x for x in names if x.endswith('.npz')] for name, names in kept.items()
        if any(x.endswith('.npz') for x in names)
    }  # fmt: skip
    # Of each level one run, the baseline of the first seed.
    assert with_episodes == {
        f'baseline/{level}/0': ['train_episodes/2.npz'] for level in ('1-1', '1-2', '1-3')
    }
