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
    """What of `{key: (shape, dtype)}` another one has different, as text; empty if nothing."""
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
