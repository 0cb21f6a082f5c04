"""What a row of an episode must look like: its keys, shapes and types."""

import numpy as np

REQUIRED = ('action', 'reward', 'is_first', 'is_last', 'is_terminal')

_DTYPES = {
    'action': np.float32,
    'reward': np.float32,
    'is_first': bool,
    'is_last': bool,
    'is_terminal': bool,
    'level': np.int32,
}

STORED = (np.float32, np.int32, np.uint8, bool)


def canonical(key, value):
    """A value of one row, or of several, as it is stored: float32, int32, uint8 or bool."""
    value = np.asarray(value, _DTYPES.get(key))
    if value.dtype == np.uint8 or value.dtype == bool:
        return value
    if np.issubdtype(value.dtype, np.floating):
        return value.astype(np.float32, copy=False)
    if np.issubdtype(value.dtype, np.integer):
        return value.astype(np.int32, copy=False)
    return value


def describe_difference(spec, other):
    """Describes where one `{key: (shape, dtype)}` differs from another; empty if nowhere."""
    if spec == other:
        return ''
    for key in sorted({*spec, *other}):
        if spec.get(key) != other.get(key):
            has, expected = (
                f'{of[key][1]}{list(of[key][0])}' if key in of else 'nothing'
                for of in (other, spec)
            )
            return f'{key} is {has} in place of {expected}'
    return ''


def check_episode(arrays, rows):
    """Check the arrays of an episode that was read.

    Raises:
        ValueError: a key is missing, has a type that is not stored, or another number of rows or
            of dimensions than an episode of `rows` rows.
    """
    missing = [key for key in REQUIRED if key not in arrays]
    if missing:
        raise ValueError(f'it lacks {", ".join(missing)}')
    for key, value in arrays.items():
        if value.ndim == 0 or len(value) != rows or not rows:
            raise ValueError(f'{key} has the shape {list(value.shape)}, its name says {rows} rows')
        if key in _DTYPES and value.ndim != (2 if key == 'action' else 1):
            raise ValueError(f'{key} has the shape {list(value.shape)}')
        if value.dtype not in STORED:
            raise ValueError(f'{key} is {value.dtype}')
