"""Checks of an installation and its machine. Only the standard library is imported here."""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dreamerv2
from dreamerv2.doctor.probes import ProbeError, probe
from dreamerv2.doctor.rows import Check, Row, at_least, failed, ok, warning
from dreamerv2.paths import expand_home
from dreamerv2.run import devices
from dreamerv2.run.logdir import headroom

ROOT = Path(__file__).resolve().parents[2]
_ACTIVATE = 'scripts/setup.sh makes .venv in a checkout: is it activated?'
_PROGRAM = '#include <cstdint>\n#include <vector>\nint main() { return 0; }\n'

Probe = Callable[[str], Mapping[str, Any]]


def checks() -> list[Check]:
    """The checks of an installation, in the order of the table."""
    return [
        ('requirements', check_requirements),
        ('code', check_code),
        ('configs.yaml', check_presets),
        ('compiler', check_compiler),
        ('emulator', check_emulator),
        ('tensorflow', check_tensorflow),
        ('disk', lambda: check_disk(default_logdir())),
        ('memory', lambda: check_memory(headroom.available_memory())),
        ('default logdir', lambda: check_writable(default_logdir())),
    ]


def check_requirements(root: Path = ROOT) -> list[Row]:
    """Checks the versions of Python and packages against the requirements."""
    try:
        from dreamerv2.doctor import requirements  # It imports a package that may be missing.
    except ImportError as error:
        return [failed('packages', f'{error.name} is not installed', _ACTIVATE)]
    try:
        needed = requirements.find(root)
    except (LookupError, ImportError, OSError, ValueError, SyntaxError) as error:
        seen = f'neither {root / "setup.py"} nor the installed package states requirements: {error}'
        return [failed('requirements', seen, 'python -m pip install . in a checkout')]
    return [
        check_python(needed.python),
        *requirements.check_packages(needed.packages),
        requirements.check_extra('atari', 'atari_ tasks', needed.extras.get('atari', [])),
    ]


def check_python(ranges: str) -> Row:
    """Whether the package supports this Python."""
    from dreamerv2.doctor import requirements

    version = platform.python_version()
    seen = f'{version} ({ranges}), {sys.executable}, {platform.platform()}'
    if requirements.within(version, ranges):
        return ok('python', seen)
    hint = 'PYTHON=python3.11 scripts/setup.sh, or another version in this range'
    return failed('python', seen, hint)


def check_code(run: Probe = probe) -> Row:
    """Whether everything that commands import before TensorFlow can be imported."""
    where = f'dreamerv2 {dreamerv2.__version__} in {Path(dreamerv2.__file__).parent}'
    try:
        run('modules')
    except ProbeError as error:
        hint = 'install what the message names: scripts/setup.sh, or python -m pip install .'
        return failed('code', f'{where}: {error}', hint)
    return ok('code', where)


def check_presets() -> Row:
    """Whether the file of presets exists and every preset loads."""
    from dreamerv2.config import files, load_config
    from dreamerv2.errors import UsageError

    try:
        path = files.default_file()
        names = list(files.read_presets(path))
        for name in names:
            load_config(['--configs', name])
    except UsageError as error:
        return failed('configs.yaml', str(error), 'fix that line, or restore the file that came')
    return ok('configs.yaml', f'{path}: {", ".join(names)}')


def check_compiler() -> Row:
    """A C++ compiler, which builds nes-py's core; without it an installed one still works."""
    hint = 'only needed to build nes-py: apt-get install g++, or xcode-select --install'
    named = os.environ.get('CXX')
    paths = filter(None, map(shutil.which, ('c++', 'g++', 'clang++')))
    found = shlex.split(named) if named else [*paths][:1]
    if not found:
        return warning('compiler', 'no c++, g++ or clang++ in PATH, and CXX is not set', hint)
    try:
        result = subprocess.run(
            [*found, '-x', 'c++', '-fsyntax-only', '-'], input=_PROGRAM, capture_output=True,
            text=True, errors='replace', timeout=60,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return warning('compiler', f'{shlex.join(found)} does not run: {error}', hint)
    if result.returncode:
        said = (result.stderr.strip().splitlines() or ['nothing'])[0]
        seen = f'{shlex.join(found)} fails to compile a tiny program: {said}'
        return warning('compiler', seen, hint)
    return ok('compiler', shlex.join(found))


def check_emulator(run: Probe = probe) -> Row:
    """Whether nes-py's core loads and plays a level of Mario."""
    try:
        found = run('emulator')
    except ProbeError as error:
        hint = (
            'build it again (needs a C++ compiler): scripts/setup.sh, or python -m pip install '
            '--force-reinstall --no-deps --no-cache-dir nes-py==8.2.1'
        )
        return failed('emulator', str(error), hint)
    seen = f'mario_1-1 played to x {found["x"]:.0f}, {found["frames_per_second"]:.0f} frames/s'
    return ok('emulator', seen)


def check_tensorflow(run: Probe = probe) -> list[Row]:
    """TensorFlow's import, its GPUs compared with the driver's, and the chosen precision."""
    try:
        found = run('tensorflow')
    except ProbeError as error:
        hint = (
            'reinstall it: scripts/setup.sh, or python -m pip install --force-reinstall '
            'tensorflow; if the processor is too old for it, use another machine'
        )
        return [failed('tensorflow', str(error), hint)]
    built = 'with CUDA' if found['cuda'] else 'without CUDA'
    return [
        ok('tensorflow', f'{found["version"]}, built {built}; it computes'),
        check_gpu(driver_gpus(), found),
        check_precision(found['gpus'], devices.cpu_flags()),
    ]


def driver_gpus() -> list[str] | str:
    """Names of the GPUs of NVIDIA's driver, if there is one; its error if it fails."""
    program = shutil.which('nvidia-smi')
    if program:
        try:
            result = subprocess.run([program, '-L'], capture_output=True, text=True, timeout=60)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f'nvidia-smi does not run: {error}'
        if result.returncode:
            said = (result.stdout + result.stderr).strip().splitlines() or ['nothing']
            return f'nvidia-smi says: {said[0]}'
        return re.findall(r'^GPU \d+: ([^(\n]*[^(\s])', result.stdout, re.M)
    cards = sorted(Path('/proc/driver/nvidia/gpus').glob('*/information'))
    models = [re.search(r'Model:\s*(.+)', card.read_text()) for card in cards]
    return [model[1].strip() if model else 'GPU' for model in models]


def check_gpu(driver: list[str] | str, found: Mapping[str, Any]) -> Row:
    """Compares the GPUs that the probe `tensorflow` found with those of `driver_gpus`."""
    seen = [gpu['name'] for gpu in found['gpus']]
    chosen = os.environ.get('CUDA_VISIBLE_DEVICES')
    if isinstance(driver, str):
        hint = 'restart the machine or reinstall the driver; until then train on the CPU'
        return failed('gpu', driver, hint)
    if not driver and not seen:
        return ok('gpu', 'no NVIDIA driver or no card: training runs on the CPU')
    counts = f'the driver has {len(driver)} ({", ".join(driver)}), TensorFlow sees {len(seen)}'
    if seen and (len(seen) >= len(driver) or chosen is not None):
        return ok('gpu', f'{counts}: {", ".join(seen)}')
    if chosen is not None:
        hint = 'unset CUDA_VISIBLE_DEVICES to train on a GPU'
        return warning('gpu', f'{counts}: CUDA_VISIBLE_DEVICES is {chosen!r}', hint)
    said = [line for line in found.get('stderr', ()) if re.search('dlopen|cuda|gpu', line, re.I)]
    reason = f'; it says: {said[-1].strip()}' if said else ''
    hint = (
        'GPU=1 scripts/setup.sh in a checkout, or: python -m pip install '
        "'tensorflow[and-cuda]>=2.21,<2.22'; then check that the driver is new enough for CUDA 12"
    )
    return failed('gpu', counts + reason, hint)


def check_precision(gpus: list[dict[str, Any]], flags: set[str]) -> Row:
    """What `--precision auto` chooses with TensorFlow's GPUs and a processor's `flags`; and why."""
    capability = tuple(gpus[0]['capability']) if gpus else None
    chosen = devices.choose_precision('auto', capability=capability, flags=flags)
    if gpus:
        major, minor = gpus[0]['capability']
        return ok('precision', f'auto is {chosen}: compute capability {major}.{minor}')
    avx, amx = ('yes' if flag in flags else 'no' for flag in ('avx512_bf16', 'amx_bf16'))
    seen = f'auto is {chosen}: AVX512-BF16 {avx}, AMX-BF16 {amx}'
    if os.environ.get('TF_ENABLE_ONEDNN_OPTS', '1') == '0':
        hint = 'unset TF_ENABLE_ONEDNN_OPTS, which makes training slow'
        return warning('precision', f'{seen}, oneDNN is switched off', hint)
    return ok('precision', f'{seen}, oneDNN is not switched off')


def default_logdir() -> Path:
    """The folder of runs without `--logdir`."""
    try:
        from dreamerv2.config import load_config

        template = load_config([]).logdir_template
    except Exception:  # Errors in the configuration have their own row.
        template = '~/logdir'
    return expand_home(template.partition('{')[0])


def nearest_existing(path: Path) -> Path:
    """The path itself, or the nearest folder above it that exists."""
    path = path.absolute()
    return next((place for place in (path, *path.parents) if place.exists()), path)


def check_disk(path: Path) -> Row:
    """Free space in the folder of runs."""
    place = nearest_existing(path)
    usage = shutil.disk_usage(place)
    seen = f'{usage.free / 1e9:.1f} of {usage.total / 1e9:.1f} GB free at {place}'
    hint = 'make room there, or give --logdir on another disk; a full-size run takes some GB'
    return at_least('disk', usage.free, 5e9, 0.5e9, seen, hint)


def check_memory(free: float | None) -> Row:
    """Whether `free` bytes of memory are enough; None where unknown."""
    if free is None:
        return ok('memory', 'this system does not say how much is free')
    seen = f'{free / 1e9:.1f} GB are available'
    hint = 'end other programs, or use smaller networks: --configs mario_small'
    return at_least('memory', free, 4e9, 1e9, seen, hint)


def check_writable(path: Path) -> Row:
    """Whether a run can make its folder, by writing an unnamed file there."""
    place = nearest_existing(path)
    hint = 'give --logdir in a folder of your own, or change the permissions of this one'
    if not place.is_dir():
        return failed('default logdir', f'{place} is a file', hint)
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b'written')
            file.flush()
    except OSError as error:
        return failed('default logdir', f'{place} cannot be written to: {error.strerror}', hint)
    made = '' if place == path.absolute() else f' ({path} is made by the first run)'
    return ok('default logdir', f'{place} can be written to{made}')
