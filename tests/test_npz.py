"""Episode data: read back as written, and untrusted data is checked."""

import io
import tracemalloc
import zipfile

import numpy as np
import pytest

from dreamerv2 import npz

ARRAYS = {
    'image': np.arange(5 * 4 * 3 * 2, dtype=np.uint8).reshape(5, 4, 3, 2),
    'reward': np.linspace(-1, 1, 5, dtype=np.float32),
    'is_first': np.arange(5) == 0,
    'level': np.zeros(5, np.int32),
}


def archive(entries, method=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w', method) as output:
        for name, content in entries:
            output.writestr(name, content)
    return file.getvalue()


def array_file(array=None, header=None, content=b''):
    file = io.BytesIO()
    if array is not None:
        np.lib.format.write_array(file, array, allow_pickle=True)
    else:
        np.lib.format.write_array_header_1_0(file, header)
        file.write(content)
    return file.getvalue()


def same(one, other):
    assert set(one) == set(other)
    for key, value in one.items():
        assert value.dtype == other[key].dtype and value.shape == other[key].shape
        np.testing.assert_array_equal(value, other[key])


def test_round_trip_and_numpy_reads_the_same():
    data = npz.encode(ARRAYS)
    same(npz.decode(data), ARRAYS)
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        same(dict(arrays), ARRAYS)
    assert npz.encode(ARRAYS)[-71:-64] == b'sha256:'


@pytest.mark.parametrize('save', [np.savez, np.savez_compressed])
def test_what_numpy_wrote_is_read(save):
    file = io.BytesIO()
    save(file, **ARRAYS, fortran=np.asfortranarray(np.arange(6.0).reshape(2, 3)))
    decoded = npz.decode(file.getvalue())
    np.testing.assert_array_equal(decoded.pop('fortran'), np.arange(6.0).reshape(2, 3))
    same(decoded, ARRAYS)


def test_text_is_read_as_text():
    assert npz.decode(npz.encode({'level': np.array('1-1')}))['level'] == '1-1'


def test_a_file_over_the_limit_is_not_even_read(tmp_path):
    path = tmp_path / 'a.npz'
    data = npz.encode(ARRAYS)
    path.write_bytes(data)
    same(npz.read(path, len(data)), ARRAYS)
    with pytest.raises(ValueError, match=f'it has {len(data)} bytes, at most {len(data) - 1}'):
        npz.read(path, len(data) - 1)


def header(shape, dtype='|u1'):
    return {'descr': dtype, 'fortran_order': False, 'shape': shape}


@pytest.mark.parametrize(
    ('data', 'reason'),
    [
        (b'', 'missing'),
        (b'not an archive' * 9, 'missing'),
        (npz.encode(ARRAYS)[:-30], 'missing'),
        (npz.encode(ARRAYS) + b'0', 'missing'),
        (npz.encode(ARRAYS)[1:], 'SHA-256'),
        (archive([('a.npy', array_file(header=header((10**9, 10**9))))]), 'in 128 bytes'),
        (archive([('a.npy', array_file(np.array([{}], object)))]), 'neither numbers nor text'),
        (archive([('a.npy', array_file(np.zeros(3, 'c8')))]), 'neither numbers nor text'),
        (archive([('a.npy', b'\x93NUMPY\x01\x00\xff\xff{')]), '65535 bytes'),
        (archive([('../../a.txt', b'text')]), 'not an array'),
        (archive([('a.npy', array_file(np.zeros(3)))] * 2), 'twice'),
        (archive([('a.npy', array_file(np.zeros(3)))], zipfile.ZIP_LZMA), 'NumPy does not'),
    ],
)
@pytest.mark.filterwarnings('ignore:Duplicate name')
def test_what_is_refused_and_why(data, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        npz.decode(data)
    assert '\n' not in str(caught.value)


def test_a_bomb_is_refused_before_memory_is_taken():
    content = array_file(header=header((1 << 28,)), content=bytes(1 << 28))
    data = archive([('image.npy', content)])
    del content
    assert len(data) < 300_000
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match='would take 2684355.. bytes'):
            npz.decode(data, limit=1 << 20)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_claim_that_cannot_be_true_is_refused_whatever_the_limit():
    data = bytearray(archive([('a.npy', array_file(np.zeros(1000, np.uint8)))]))
    entry = data.index(b'PK\1\2')
    data[entry + 24 : entry + 28] = (1 << 31).to_bytes(4, 'little')
    with pytest.raises(ValueError, match='claims 2147483648 bytes out of'):
        npz.decode(bytes(data))
