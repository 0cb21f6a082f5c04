"""The archive of a study: its finished runs in compact form, small enough for a repository.

    DIR/archive.json             marks the folder
    DIR/plan.json, study.yaml    of the study
    DIR/finetune/e4/3-1/0.zip    what is kept of the run in `finetune/e4/3-1/0`

Paths into the study are kept as `<study>/...`, and no host names, so that an archive says nothing
about the machines and opens anywhere. `dreamerv2.studies.archive` decides what is kept.
"""

from __future__ import annotations

import contextlib
import io
import json
import lzma
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import ruamel.yaml

from dreamerv2.durable import explained, make_folder, to_json, write_durably
from dreamerv2.errors import UsageError, printable

MARK = 'archive.json'
FORMAT = 1
ROOT = '<study>'  # stands for the study's root in paths
LARGEST = 1 << 30  # bytes of an unpacked run
_DAMAGE = (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, lzma.LZMAError)
# A file of a run, at most in `checkpoints/STEP/`.
_NAME = re.compile(r'(?:[\w-][\w.-]*/){0,2}[\w-][\w.-]*', re.ASCII)


def is_archive(folder: Path) -> bool:
    """Whether a folder is an archive."""
    return (folder / MARK).is_file()


def check(folder: Path) -> None:
    """Raises UsageError where an existing folder is neither empty nor an archive of this format."""
    try:
        if not is_archive(folder):
            if any(folder.iterdir()):
                raise UsageError(f'{folder} is no archive of a study: give a new or empty folder')
        elif json.loads((folder / MARK).read_bytes())['format'] != FORMAT:
            raise UsageError(f'{folder} has another format than {FORMAT}: update this package')
    except NotADirectoryError:
        raise UsageError(f'{folder} is a file: give a folder for the archive') from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f'{folder / MARK} cannot be read ({error})') from error


def make(folder: Path) -> None:
    """Makes an archive if there is none; raises StorageError where it cannot."""
    if not is_archive(folder):
        with explained(folder, 0):
            make_folder(folder)
        write_durably(folder / MARK, to_json({'format': FORMAT}))


def file_of(folder: Path, run: str) -> Path:
    """The file of a run, such as `finetune/e4/3-1/0`."""
    return folder / f'{run}.zip'


def pack(file: Path, contents: Mapping[str, bytes], root: Path) -> int:
    """Writes a run's files by name; the same content gives the same bytes. Returns their number.

    `root` is the study's.
    """
    data = io.BytesIO()
    with zipfile.ZipFile(data, 'w') as packed:
        for name, content in sorted(contents.items()):
            packed.writestr(zipfile.ZipInfo(name), described(name, content, root), zipfile.ZIP_LZMA)
    make_folder(file.parent)
    write_durably(file, data.getvalue())
    return data.tell()


def described(name: str, content: bytes, root: Path) -> bytes:
    """A run's file as it is kept: a description without host names, and its study as `ROOT`."""
    return _rewritten(name, content, lambda text: text.replace(str(root), ROOT))


def placed(name: str, content: bytes, root: Path) -> bytes:
    """A kept file as it is in a study at `root`."""
    return _rewritten(name, content, lambda text: text.replace(ROOT, str(root)))


def read(file: Path) -> dict[str, bytes]:
    """A run's files by name, as they are kept.

    Raises:
        UsageError: it is damaged or no file of an archive.
    """
    try:
        with zipfile.ZipFile(file) as packed:
            entries = packed.infolist()
            if sum(entry.file_size for entry in entries) > LARGEST:
                raise ValueError(f'it would take more than {LARGEST} bytes')
            for entry in entries:
                if not _NAME.fullmatch(entry.filename):
                    raise ValueError(f'{printable(entry.filename, 60)} is not the name of a file')
            return {entry.filename: packed.read(entry) for entry in entries}
    except _DAMAGE as error:
        raise UsageError(
            f'{file} cannot be read ({error}): restore it from a copy, or delete it to make the '
            'run again'
        ) from error


def unpack(file: Path, logdir: Path, root: Path) -> None:
    """Makes a run's logdir, which must not exist; `root` becomes its study's.

    Raises UsageError as `read` does.
    """
    contents = read(file)
    temporary = logdir.with_name(f'.{logdir.name}.tmp')
    make_folder(logdir.parent)
    shutil.rmtree(temporary, ignore_errors=True)  # of a process that was killed
    try:
        for name, content in contents.items():
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            write_durably(temporary / name, placed(name, content, root))
        os.rename(temporary, logdir)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def opened(root: Path) -> Iterator[Path]:
    """The root of a study: `root` itself, or, of an archive, a temporary copy of all its runs."""
    if not is_archive(root):
        yield root
        return
    check(root)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder).resolve() / root.resolve().name  # which titles the report
        copy.mkdir()
        for file in root.iterdir():
            if file.is_file() and file.suffix in ('.json', '.yaml'):
                shutil.copyfile(file, copy / file.name)
        for file in sorted(root.rglob('*.zip')):
            unpack(file, copy / file.relative_to(root).with_suffix(''), copy)
        yield copy


def _rewritten(name: str, content: bytes, change: Callable[[str], str]) -> bytes:
    """A run's file; a description with every text in it changed, and without host names."""

    def walked(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: walked(item) for key, item in value.items() if key != 'hostname'}
        if isinstance(value, list):
            return [walked(item) for item in value]
        return change(value) if isinstance(value, str) else value

    try:
        if name == 'provenance.json':
            return to_json(walked(json.loads(content)))
        if name == 'config.yaml':
            yaml = ruamel.yaml.YAML(typ='safe', pure=True)
            yaml.default_flow_style, yaml.width = False, 100
            text = io.StringIO()
            yaml.dump(walked(yaml.load(content)), text)
            return text.getvalue().encode()
    except (ValueError, RecursionError, ruamel.yaml.error.YAMLError) as error:
        raise UsageError(
            f'{name} of the run cannot be read ({printable(str(error), 200)})'
        ) from error
    return content
