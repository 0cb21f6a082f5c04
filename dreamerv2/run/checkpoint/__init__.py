"""Checkpoints: saving, loading, and starting from one. The public names."""

from dreamerv2.run.checkpoint.checkpoint import (
    ARRAYS,
    BATCH,
    CONFIG,
    MANIFEST,
    STATE,
    UNFINISHED,
    Checkpoint,
    DamagedCheckpointError,
    available,
    find,
    load,
    load_best,
    load_newest,
    record_score,
    save,
    tidy,
)

__all__ = [
    'ARRAYS',
    'BATCH',
    'CONFIG',
    'MANIFEST',
    'STATE',
    'UNFINISHED',
    'Checkpoint',
    'DamagedCheckpointError',
    'available',
    'find',
    'load',
    'load_best',
    'load_newest',
    'record_score',
    'save',
    'tidy',
]
