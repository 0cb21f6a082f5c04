"""The boxes of Mario and of enemies, against the sprites that the emulator has drawn."""

import numpy as np
import pytest

from dreamerv2.envs import make_env, sprites
from dreamerv2.envs.mario import MarioEnv

NOOP, RIGHT, JUMP = 0, 1, 2
BLANK, OUT_OF_SIGHT, FLIPPED, UPSIDE_DOWN = 0xFC, 0xEF, 0x40, 0x80


@pytest.fixture(scope='module')
def patterns():
    """The cartridge's pictures of all sprite tiles, `[256, 8, 8]`: 0 is transparent."""
    env = MarioEnv('1-1')
    with open(env._game._rom_path, 'rb') as file:
        rom = file.read()
    env.close()
    start = 16 + 16384 * rom[4]
    planes = np.frombuffer(rom[start : start + 4096], np.uint8).reshape(256, 2, 8)
    low, high = np.unpackbits(planes[..., None], axis=-1).transpose(1, 0, 2, 3)
    return low + 2 * high


def drawn_tiles(memory, patterns):
    """Of the sprites in the table: top, left, and pattern as drawn."""
    for at in range(0x0204, 0x0300, 4):  # The first one belongs to the status bar.
        y, tile, attributes, x = memory[at : at + 4]
        if y < OUT_OF_SIGHT and tile != BLANK and x <= 248 and y <= 231:
            pattern = patterns[tile]
            pattern = pattern[:, ::-1] if attributes & FLIPPED else pattern
            yield y + 1, x, pattern[::-1] if attributes & UPSIDE_DOWN else pattern


def is_whole(memory):
    """Whether the game has not begun to clear the table of sprites."""
    player = [memory[at : at + 2] for at in range(0x0204, 0x0224, 4)]
    return all(y < OUT_OF_SIGHT for y, tile in player if tile != BLANK)


def contains(box, top, left, margin=0):
    rows = box[0] - margin <= top and top + 8 <= box[2] + margin
    return rows and box[1] - margin <= left and left + 8 <= box[3] + margin


@pytest.mark.parametrize('level, enemies, margin', [('1-1', 50, 1), ('1-2', 99, 1), ('3-1', 50, 6)])
def test_boxes_hold_the_sprites_that_are_seen(level, enemies, margin, patterns):
    env = MarioEnv(level, sticky=0, action_repeat=1, grayscale=False)
    env.reset()
    whole = seen = 0
    for frame in range(300):
        observation = env.step(RIGHT if frame % 40 < 15 else JUMP if frame < 150 else NOOP)
        if observation['is_last']:
            break
        memory = env._game.drawn
        player, *others = [sprites.player_box(memory), *sprites.enemy_boxes(memory)]
        others = [box for box in others if box != sprites.NOWHERE]
        if not is_whole(memory):
            continue
        whole += 1
        screen = env.render()
        tiles = list(drawn_tiles(memory, patterns))
        of_player = [tile for tile in tiles if contains(player, *tile[:2])]
        assert len(of_player) == (player[2] - player[0]) * (player[3] - player[1]) / 64
        for top, left, pattern in of_player:  # The picture is of this memory: a color each.
            pixels = screen[top : top + 8, left : left + 8]
            for color in set(pattern[pattern > 0]):
                assert len(np.unique(pixels[pattern == color], axis=0)) == 1
        for box in others:
            inner = box[3] - box[1] == 16 and box[1] > 1 and box[3] < 255
            held = [tile for tile in tiles if contains(box, *tile[:2], margin)]
            if inner:
                ends = [max(tile[0] for tile in held) + 8, max(tile[1] for tile in held) + 8]
                starts = [min(tile[0] for tile in held), min(tile[1] for tile in held)]
                np.testing.assert_allclose([*starts, *ends], box, atol=margin)
                seen += 1
        for top, left, _ in tiles:
            edge = left > 238
            assert edge or any(contains(box, top, left, margin) for box in (player, *others))
    assert whole > 80 and seen > enemies
    env.close()


def test_boxes_are_recorded_in_pixels_of_the_image():
    env = make_env('mario_1-2', sticky=0.0, size=(60, 128))
    observation = env.reset()
    for _ in range(15):
        assert observation['log_player'].shape == (4,)
        assert observation['log_enemies'].shape == (5, 4)
        observation = env.step(RIGHT)
    memory = env._game.drawn
    top, left, bottom, right = sprites.player_box(memory)
    np.testing.assert_allclose(
        observation['log_player'], [top / 4, left / 2, bottom / 4, right / 2]
    )
    assert (observation['log_enemies'] > 0).all(1).sum() == 2  # The two goombas at the start.
    env.close()


def test_what_is_not_drawn_has_no_box():
    memory = bytearray(2048)
    assert sprites.player_box(memory) == sprites.NOWHERE  # Above the picture.
    assert sprites.enemy_boxes(memory) == [sprites.NOWHERE] * 5
    memory[0x03AD], memory[0x03B8], memory[0xB5] = 100, 80, 1
    assert sprites.player_box(memory) == (81, 100, 113, 116)
    for tile in (0x0205, 0x0209, 0x020D, 0x0211):  # Small: the lower half alone.
        memory[tile] = 0xFC
    assert sprites.player_box(memory) == (97, 100, 113, 116)
    memory[0x079E], memory[0x09] = 8, 1  # Hurt: in every other frame.
    assert sprites.player_box(memory) == sprites.NOWHERE
    memory[0x0F], memory[0x16], memory[0x6E], memory[0x87] = 1, 6, 2, 40
    memory[0xB6], memory[0xCF], memory[0x071A], memory[0x071C] = 1, 184, 1, 200
    assert sprites.enemy_boxes(memory)[0] == (193, 96, 209, 112)  # A goomba on the ground.
    memory[0x16] = 0x2E  # A mushroom.
    assert sprites.enemy_boxes(memory)[0] == sprites.NOWHERE
    memory[0x16], memory[0x6E] = 6, 3  # A goomba to the right of the picture.
    assert sprites.enemy_boxes(memory)[0] == sprites.NOWHERE
