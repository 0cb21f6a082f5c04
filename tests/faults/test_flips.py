"""Every byte of an episode and of a checkpoint changed, and every truncation."""

from tests.faults import flips


def test_every_changed_or_cut_episode_is_refused_by_name(tmp_path):
    (row,), accepted = flips.check_episode(tmp_path)
    assert accepted == []
    assert row['flips'] == row['bytes'] > 1000
    assert row['truncations'] == row['bytes'] + 2


def test_every_changed_or_cut_checkpoint_is_refused_by_name(tmp_path):
    rows, accepted = flips.check_checkpoint(tmp_path)
    assert accepted == []
    assert {row['file'] for row in rows} == {
        f'checkpoint: {name}'
        for name in (
            'agent.safetensors',
            'batch.npz',
            'config.yaml',
            'manifest.json',
            'state.json',
        )
    }
    assert all(row['flips'] == row['bytes'] for row in rows)


def test_what_is_loaded_although_it_was_changed_is_found(tmp_path):
    path = tmp_path / 'file'
    path.write_bytes(b'abc')
    tried, accepted = flips.refusals(path, flips.flipped(b'abc'), path.read_bytes)
    assert tried == 3
    assert accepted[0] == 'file, byte 0 changed by 1: loaded'
    assert path.read_bytes() == b'abc'
