"""Where Mario and the enemies are drawn, read from the game's memory.

The game draws its objects from positions in variables. Its sprite table at 0x0200 is less reliable:
the emulator may stop while the game is clearing it. Only the numbers of Mario's tiles, which are
kept, are read there. The picture of a frame is drawn from the memory of the frame before: pass the
memory before the last frame. Addresses and numbers of objects are those of doppelganger's
disassembly of the game.
"""

SLOTS = 5
Box = tuple[int, int, int, int]
NOWHERE: Box = (0, 0, 0, 0)

_HEIGHT, _WIDTH = 240, 256  # of the picture
_SCREEN_PAGE, _SCREEN_X = 0x071A, 0x071C  # of the picture's left edge
_PLAYER_X, _PLAYER_Y, _PLAYER_PAGE = 0x03AD, 0x03B8, 0xB5
_PLAYER_TILES = range(0x0205, 0x0225, 4)  # Four rows of two.
_INJURED, _FRAME = 0x079E, 0x09
_BLANK = 0xFC
_ACTIVE, _KIND = 0x0F, 0x16
_PAGE_X, _X, _PAGE_Y, _Y = 0x6E, 0x87, 0xB6, 0xCF
_PIRANHA, _PIRANHA_SPEED, _FRAME_TIMER = 0x0D, 0x58, 0x078A

# Harmful objects by the empty pixels above them in a box of 24. Left out are lifts, mushrooms,
# vines, springs, flags and fireworks, which use the same slots, invisible spawners, and bars of
# fire, whose boxes would be mostly background.
_TALL = {
    *(0x00, 0x01, 0x03, 0x04),  # koopas
    *(0x09, 0x0E, 0x0F, 0x10),  # paratroopas
    *(0x05, 0x07, 0x0D, 0x11),  # hammer brother, blooper, piranha plant, lakitu
    0x2D,  # half of Bowser
}
_LOW = {
    *(0x0A, 0x0B, 0x14),  # cheep-cheeps
    *(0x02, 0x06, 0x12),  # buzzy beetle, goomba, spiny
    *(0x08, 0x33, 0x0C, 0x15),  # bullets, podoboo, flame
}
_EMPTY_ABOVE = {**dict.fromkeys(_TALL, 0), **dict.fromkeys(_LOW, 8)}


def player_box(ram: bytes) -> Box:
    """The smallest box around Mario's tiles of 8 x 8; zeros where he is not drawn.

    Args:
        ram: the 2 KiB of memory from which the picture is drawn.

    Returns:
        top, left, bottom, right in pixels of the screen, ends exclusive.
    """
    if ram[_INJURED] and ram[_FRAME] & 1:  # He blinks.
        return NOWHERE
    shown = [i for i, address in enumerate(_PLAYER_TILES) if ram[address] != _BLANK]
    if not shown:
        return NOWHERE
    top = ram[_PLAYER_Y] + 256 * (ram[_PLAYER_PAGE] - 1) + 1
    left = ram[_PLAYER_X]
    columns = {i % 2 for i in shown}
    return _inside(
        top + 8 * (shown[0] // 2),
        left + 8 * min(columns),
        top + 8 * (shown[-1] // 2) + 8,
        left + 8 * max(columns) + 8,
    )


def enemy_boxes(ram: bytes) -> list[Box]:
    """The boxes of five enemies, as `player_box`; zeros for slots without a visible enemy.

    Walking enemies are drawn within a pixel of their box; jumping ones, which are drawn before they
    move, within six.
    """
    edge = 256 * ram[_SCREEN_PAGE] + ram[_SCREEN_X]
    boxes = []
    for slot in range(SLOTS):
        active = ram[_ACTIVE + slot]
        # The second half of a large enemy has the slot of the first in its lower bits.
        kind = ram[_KIND + (active & 0x0F if active & 0x80 else slot)]
        waits = kind == _PIRANHA and ram[_PIRANHA_SPEED + slot] < 0x80 and ram[_FRAME_TIMER + slot]
        if not active or waits or kind not in _EMPTY_ABOVE:
            boxes.append(NOWHERE)
            continue
        left = 256 * ram[_PAGE_X + slot] + ram[_X + slot] - edge
        top = 256 * (ram[_PAGE_Y + slot] - 1) + ram[_Y + slot] + 1
        boxes.append(_inside(top + _EMPTY_ABOVE[kind], left, top + 24, left + 16))
    return boxes


def _inside(top: int, left: int, bottom: int, right: int) -> Box:
    """The part of a box that is in the picture."""
    box = max(top, 0), max(left, 0), min(bottom, _HEIGHT), min(right, _WIDTH)
    return box if box[0] < box[2] and box[1] < box[3] else NOWHERE
