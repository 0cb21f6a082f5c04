"""What the computation runs on: memory, threads, precision.

Only `configure` imports TensorFlow.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from dreamerv2.cores import usable_cores
from dreamerv2.errors import UsageError
from dreamerv2.quiet import prepare_tensorflow


@dataclasses.dataclass(frozen=True)
class Device:
    """The device found and the settings chosen for it."""

    kind: str  # 'gpu' or 'cpu'
    name: str  # model of the card or processor
    precision: str  # 'float32', 'float16' or 'bfloat16'
    count: int = 0  # number of cards
    branches: int = 1  # into how many shards a large batch is best split (`nets/cpu/shards.py`)


def xla_cache() -> Path | None:
    """Where compiled programs are cached, by version of TensorFlow; None without a home folder."""
    root = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
    version = importlib.metadata.version('tensorflow')
    try:
        return Path(root).expanduser() / 'dreamerv2' / f'xla-tensorflow-{version}'
    except RuntimeError:
        return None


def reuse_xla_programs(folder: Path | None) -> None:
    """Makes XLA cache its compiled programs in a folder.

    Takes effect only before TensorFlow is imported. A folder set by the user is kept; where nothing
    can be written, every run compiles again.
    """
    flags = os.environ.get('TF_XLA_FLAGS', '')
    if folder is None or '--tf_xla_persistent_cache_directory' in flags:
        return
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            return
        own = f'--tf_xla_persistent_cache_directory={folder}'
        os.environ['TF_XLA_FLAGS'] = f'{flags} {own} --tf_xla_persistent_cache_prefix=xla'.strip()


@contextlib.contextmanager
def hidden_native_stderr() -> Iterator[None]:
    """Hides what native code writes to standard error, unless an error is raised inside.

    TensorFlow's libraries print start-up lines there at every log level. Does nothing unless
    `separate_stderr` was called: Python's own output would be hidden too.
    """
    try:
        shared = sys.stderr.fileno() == 2
    except (AttributeError, OSError, ValueError):
        shared = False
    if shared:
        yield
        return
    with tempfile.TemporaryFile() as sink:
        saved = os.dup(2)
        os.dup2(sink.fileno(), 2)
        try:
            yield
        except UsageError:
            raise
        except BaseException:
            sink.seek(0)
            os.write(saved, sink.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def cpu_flags(cpuinfo: Path = Path('/proc/cpuinfo')) -> set[str]:
    """This processor's instruction sets; none where they cannot be read."""
    found = None
    with contextlib.suppress(OSError):
        found = re.search(r'^flags[^:\n]*:(.*)', cpuinfo.read_text(), re.MULTILINE)
    return set(found[1].split()) if found else set()


def choose_precision(wanted: str, *, capability: tuple[int, int] | None, flags: set[str]) -> str:
    """The number format of the computation.

    Args:
        wanted: 'auto', or a format, which is taken as it is.
        capability: the GPU's compute capability, or None on a CPU. From 8.0 (Ampere) on there is
            bfloat16; older cards have float16.
        flags: the processor's instruction sets; AVX512-BF16 or AMX-BF16 make bfloat16 worthwhile.
    """
    if wanted != 'auto':
        return wanted
    if capability is not None:
        return 'bfloat16' if capability >= (8, 0) else 'float16'
    return 'bfloat16' if flags & {'avx512_bf16', 'amx_bf16'} else 'float32'


def share_cores(cores: int) -> tuple[int, int, int]:
    """Branches (see `Device`), threads of one operation, and operations at a time.

    Two branches keep two cores busy without splitting operations, which gains little at small sizes
    (`experiments/results/speed.md`); further cores split the operations of each branch. No thread
    is reserved for the policy, which runs in its caller's.
    """
    branches = min(2, cores)
    return branches, cores // branches, cores


def configure(
    precision: str = 'auto',
    *,
    device: str = 'auto',
    gpu_memory: float = 0,
    deterministic: bool = False,
    say: Callable[[str], object] = print,
) -> Device:
    """Sets TensorFlow up for this process; call it before anything is computed.

    Args:
        precision: 'auto', 'float32', 'float16' or 'bfloat16'.
        device: 'auto' (a GPU when there is one), 'cpu' or 'gpu'.
        gpu_memory: cap on the GPU's memory in GB, so that several runs share a card; 0 lets it
            grow as needed.
        deterministic: only bit-for-bit reproducible operations, slower on a GPU; on a CPU all that
        are used here are.
        say: prints one line about what is used.

    Raises:
        UsageError: 'gpu' was requested and there is none.
    """
    prepare_tensorflow()
    if device != 'cpu':
        reuse_xla_programs(xla_cache())
    import absl.logging
    import tensorflow as tf

    absl.logging.set_verbosity(absl.logging.ERROR)
    tf.get_logger().setLevel('ERROR')
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    gpus = tf.config.list_physical_devices('GPU')
    if device == 'gpu' and not gpus:
        raise UsageError('--device gpu: TensorFlow finds no GPU here; use --device cpu or auto.')
    if device == 'cpu':
        tf.config.set_visible_devices([], 'GPU')
        gpus = []
    for gpu in gpus:
        if gpu_memory:
            limit = tf.config.LogicalDeviceConfiguration(memory_limit=int(gpu_memory * 1024))
            tf.config.set_logical_device_configuration(gpu, [limit])
        else:
            tf.config.experimental.set_memory_growth(gpu, True)
    if not gpus:
        branches, within, across = share_cores(usable_cores())
        with contextlib.suppress(RuntimeError):  # TensorFlow has already been used in this process.
            if 'TF_NUM_INTRAOP_THREADS' not in os.environ:
                tf.config.threading.set_intra_op_parallelism_threads(within)
            if 'TF_NUM_INTEROP_THREADS' not in os.environ:
                tf.config.threading.set_inter_op_parallelism_threads(across)
        chosen = choose_precision(precision, capability=None, flags=cpu_flags())
        found = 'no GPU asked for' if device == 'cpu' else 'no GPU found'
        say(f'Computing on the CPU in {chosen} ({found}).')
        return Device('cpu', 'cpu', chosen, branches=branches)
    details = tf.config.experimental.get_device_details(gpus[0])
    capability = details.get('compute_capability') or (0, 0)
    chosen = choose_precision(precision, capability=capability, flags=set())
    name = str(details.get('device_name', 'GPU'))
    say(f'Computing on {name} in {chosen}.')
    return Device('gpu', name, chosen, len(gpus))
