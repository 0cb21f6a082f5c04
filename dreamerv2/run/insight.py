"""How well a world model sees and foresees: measures on recorded episodes, in NumPy.

An episode is a dict of arrays `[rows, ...]` as its file holds them, row 0 the reset's. A row is
predicted with its image seen (0 steps ahead: the posterior), or open loop from so many steps
before, with the actions taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

Arrays = Mapping[str, np.ndarray]

REGIONS = ('player', 'enemies', 'rest')
STEPS_AHEAD = (0, 5, 15)  # of images; 0 is the row itself
LEAST_CONTRAST = 0.01


def pixels_of(box: np.ndarray, height: int, width: int) -> tuple[slice, slice]:
    """The pixels of a box (top, left, bottom, right), its ends rounded, at least one each way.

    Empty slices where there is no box (no area) or none of it is in the image.
    """
    top, left, bottom, right = (float(value) for value in box)
    if bottom <= top or right <= left:
        return slice(0, 0), slice(0, 0)
    rows = slice(round(top), max(round(bottom), round(top) + 1))
    columns = slice(round(left), max(round(right), round(left) + 1))
    return (
        slice(min(max(rows.start, 0), height), min(max(rows.stop, 0), height)),
        slice(min(max(columns.start, 0), width), min(max(columns.stop, 0), width)),
    )


def blind_drawing(
    image: np.ndarray, player: np.ndarray, enemies: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What would be drawn by one who sees neither Mario nor enemies.

    Each box holds the median color of the ring of one pixel around it; the rest, for comparison,
    that of the whole image.

    Args:
        image: `[height, width, channels]` in [0, 1].
        player, enemies: boxes `[4]` and `[N, 4]` in pixels, without area where there is none.

    Returns:
        The drawing, and by pixel the region as an index into `REGIONS`.
    """
    height, width, _ = image.shape
    drawing = np.broadcast_to(np.median(image, (0, 1)), image.shape).copy()
    region = np.full((height, width), REGIONS.index('rest'))
    # Mario last: pixels in several boxes are his.
    for box, name in [*((enemy, 'enemies') for enemy in enemies), (player, 'player')]:
        rows, columns = pixels_of(box, height, width)
        if rows.start == rows.stop or columns.start == columns.stop:
            continue
        wide = (
            slice(max(rows.start - 1, 0), rows.stop + 1),
            slice(max(columns.start - 1, 0), columns.stop + 1),
        )
        ring = np.zeros((height, width), bool)
        ring[wide] = True
        ring[rows, columns] = False
        drawing[rows, columns] = np.median(image[ring], 0)
        region[rows, columns] = REGIONS.index(name)
    return drawing, region


class SpriteErrors:
    """Sums of squared errors by region and by how an image was predicted."""

    def __init__(self) -> None:
        self._sums = np.zeros((len(STEPS_AHEAD), len(REGIONS), 3))  # error, blind error, values

    def add(
        self,
        image: np.ndarray,
        player: np.ndarray,
        enemies: np.ndarray,
        made: Mapping[int, np.ndarray],
    ) -> None:
        """Counts one frame.

        Args:
            image: the truth, `[height, width, channels]` in [0, 1].
            player, enemies: boxes `[4]` and `[N, 4]`.
            made: by steps ahead (`STEPS_AHEAD`) the predicted image, where there is one.
        """
        drawing, region = blind_drawing(image, player, enemies)
        blind = self._by_region(np.square(drawing - image), region)
        values = self._by_region(np.ones_like(image), region)
        for steps, prediction in made.items():
            error = self._by_region(np.square(prediction - image), region)
            self._sums[STEPS_AHEAD.index(steps)] += np.stack([error, blind, values], -1)

    def metrics(self) -> dict[str, float]:
        """Errors as shares of the blind drawing's, 1 for blind and 0 for perfect.

        `player`, `enemies` and `rest`, with `_5` and `_15` for open loop, and the contrasts: the
        blind drawing's mean squared error. A region of less than `LEAST_CONTRAST` has no share:
        where sprite and background are alike, as in gray, it would say little.
        """
        found = {}
        for region, name in enumerate(REGIONS):
            for index, steps in enumerate(STEPS_AHEAD):
                error, blind, values = self._sums[index, region]
                contrast = blind / values if values else 0.0
                if not steps and values and name != 'rest':
                    found[f'{name}_contrast'] = float(contrast)
                if contrast >= LEAST_CONTRAST or (name == 'rest' and blind):
                    found[f'{name}_{steps}' if steps else name] = float(error / blind)
        return found

    @staticmethod
    def _by_region(values: np.ndarray, region: np.ndarray) -> np.ndarray:
        return np.bincount(region.ravel(), values.sum(-1).ravel(), len(REGIONS))


def windows(rows: int, length: int, overlap: int) -> list[tuple[int, int, int]]:
    """Windows over an episode, as (start, stop, first row that counts), the last row in the last.

    Each row counts in one window; where it does, `overlap` rows before it are in the window too,
    unless the episode begins there.
    """
    found = []
    stop = rows
    while True:
        start = max(stop - length, 0)
        counted = start + overlap if start else 0
        found.append((start, stop, counted))
        if not start:
            return found[::-1]
        stop = counted


def held_out(serials: Sequence[int], every: int = 10) -> list[bool]:
    """Which episodes are kept from training: every tenth by its number; the last if that is none.

    Args:
        serials: numbers of the episodes.
        every: one in how many.
    """
    chosen = [serial % every == every - 1 for serial in serials]
    if chosen and not any(chosen):
        chosen[-1] = True
    return chosen
