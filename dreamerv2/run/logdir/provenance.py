"""How a run was made: versions, environment, revision, command, machine."""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import platform
import re
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dreamerv2
from dreamerv2.cores import usable_cores

PACKAGES = (
    'tensorflow', 'tensorflow-probability', 'tf-keras', 'keras', 'numpy', 'gym', 'gymnasium',
    'gym-super-mario-bros', 'nes-py', 'ale-py', 'opencv-python-headless', 'safetensors',
    'ruamel.yaml',
)  # fmt: skip


def package_versions(names: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Versions of the packages, as far as they are installed."""
    versions = {}
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def git_revision(folder: Path) -> str | None:
    """The revision checked out in a folder, with `+changes` for edited files, or None."""
    git = ['git', '-C', str(folder)]
    describe = ['describe', '--always', '--abbrev=40', '--exclude=*', '--dirty=+changes']
    try:
        done = subprocess.run([*git, *describe], capture_output=True, text=True, timeout=10)
        done.check_returncode()
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def processor() -> str:
    """The processor's name."""
    with contextlib.suppress(OSError):
        if found := re.search(r'^model name.*?:(.*)', Path('/proc/cpuinfo').read_text(), re.M):
            return found[1].strip()
    return platform.processor() or platform.machine()


def describe_run(
    seed: int,
    environment: Mapping[str, Any],
    levels: Sequence[str],
    device: Mapping[str, Any],
    parent: Mapping[str, Any] | None,
    command: Sequence[str],
) -> dict[str, Any]:
    """How a run was made, ready for JSON.

    Args:
        seed: the run's.
        environment: what `env.describe()` returns (including the ROM's hash).
        levels: their names.
        device: what the computation runs on.
        parent: the checkpoint the parameters came from, if any.
        command: the command line.
    """
    return {
        'version': dreamerv2.__version__,
        'revision': git_revision(Path(__file__).resolve().parent),
        'command': list(command),
        'started': datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds'),
        'seed': seed,
        'levels': list(levels),
        'environment': dict(environment),
        'parent': dict(parent) if parent else None,
        'packages': package_versions(),
        'python': platform.python_version(),
        'host': {
            'hostname': socket.gethostname(),
            'system': platform.platform(),
            'processor': processor(),
            'cores': usable_cores(),
            **device,
        },
    }
