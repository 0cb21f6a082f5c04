"""A copy of the scripts in a folder of its own, with stand-ins for Python and the compiler."""

import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TOOLS = [
    'awk',
    'bash',
    'cat',
    'cp',
    'cut',
    'dirname',
    'env',
    'flock',
    'grep',
    'head',
    'mkdir',
    'rm',
]
TOOLS += ['sed', 'sha256sum', 'sleep', 'tail', 'uname', 'wc']

# Stands in for an interpreter: makes copies of itself as a virtual environment, notes what it is
# called with, and does what the file `behaviour` beside the notes says.
PYTHON = """#!/usr/bin/env bash
case "$1 ${2:-}" in
    '-c import sys'*) echo "${FAKE_VERSION:-3.11}"; exit 0 ;;
    '-m venv') mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    '-m pip') if [ "$3" = --version ]; then exit 0; fi ;;
esac
printf '%s|' "$@" >>"$FAKE_NOTES/calls"
echo >>"$FAKE_NOTES/calls"
if [ -e "$FAKE_NOTES/behaviour" ]; then source "$FAKE_NOTES/behaviour"; fi
"""


class Sandbox:
    """A repository with nothing but scripts, and what its stand-in interpreter was called with."""

    def __init__(self, path):
        self.root = path / 'a repository'
        self.tools = path / 'tools'
        self.notes = path / 'notes'
        for folder in (self.root / 'scripts', self.tools, self.notes, path / 'home'):
            folder.mkdir(parents=True)
        for script in (*(ROOT / 'scripts').glob('*.sh'), *(ROOT / 'scripts').glob('*emulator*')):
            shutil.copy(script, self.root / 'scripts')
        for name in ('setup.py', 'pyproject.toml', 'requirements.lock', 'requirements-gpu.lock'):
            shutil.copy(ROOT / name, self.root)
        for name in TOOLS:
            (self.tools / name).symlink_to(shutil.which(name))
        self.add_tool('python3', PYTHON)
        self.add_tool('g++', '#!/usr/bin/env bash\n')
        self.env = {
            'PATH': str(self.tools),
            'HOME': str(path / 'home'),
            'FAKE_NOTES': str(self.notes),
            'GPU': '0',
        }

    def add_tool(self, name, text):
        (self.tools / name).write_text(text)
        (self.tools / name).chmod(0o755)

    def make_venv(self):
        """A virtual environment that counts as set up."""
        self.run('setup.sh')
        self.forget()

    def behave(self, text):
        """Shell code that the interpreter ends with."""
        (self.notes / 'behaviour').write_text(text)

    def forget(self):
        (self.notes / 'calls').unlink(missing_ok=True)

    def start(self, script, *args, **env):
        return subprocess.Popen(
            [shutil.which('bash'), str(self.root / 'scripts' / script), *args],
            env={**self.env, **env},
            cwd='/',
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, script, *args, **env):
        """Exit code, standard output and standard error of a script."""
        process = self.start(script, *args, **env)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def calls(self):
        """What the interpreter was called with, as lists of arguments."""
        path = self.notes / 'calls'
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.split('|')[:-1] for line in lines]


@pytest.fixture
def sandbox(tmp_path):
    return Sandbox(tmp_path)


@pytest.fixture
def repository():
    """The repository's root."""
    return ROOT
