import numpy as np
import pytest

from dreamerv2.studies.reconstruct import sprite_errors


def test_errors_of_sprites_by_hand():
    frames = np.full((2, 64, 64, 3), 100, np.uint8)
    frames[:, 10:14, 10:14] = 200  # Mario; there are no enemies
    players = np.array([[10, 10, 14, 14]] * 2, np.float32)
    enemies = np.zeros((2, 5, 4), np.float32)
    blind = np.full_like(frames, 100)
    half = blind.copy()
    half[:, 10:14, 10:14] = 150
    assert sprite_errors(frames, players, enemies, frames) == {'player_error': 0}
    assert sprite_errors(frames, players, enemies, blind) == {'player_error': pytest.approx(1)}
    assert sprite_errors(frames, players, enemies, half) == {'player_error': pytest.approx(0.25)}
