"""How well a world model sees and foresees: measures on recorded episodes, in NumPy.

An episode is a dict of arrays `[rows, ...]` as its file holds them, row 0 the reset's. A row is
predicted from its own image (0 steps ahead: the posterior), or open loop from a number of steps
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
    """The pixels of a box (top, left, bottom, right), rounded, at least one by one.

    Empty slices for an empty box, or one outside the image.
    """
    top, left, bottom, right = (float(value) for value in box)
    if bottom <= top or right <= left:
        return slice(0, 0), slice(0, 0)

    def pixels(first: float, last: float, size: int) -> slice:
        start, stop = round(first), max(round(last), round(first) + 1)
        return slice(min(max(start, 0), size), min(max(stop, 0), size))

    return pixels(top, bottom, height), pixels(left, right, width)


def blind_drawing(
    image: np.ndarray, player: np.ndarray, enemies: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What a model that sees neither Mario nor enemies would draw.

    Each box holds the median color of the ring of one pixel around it; the rest, for comparison,
    the median of every fourth row and column of the image.

    Args:
        image: `[height, width, channels]` in [0, 1].
        player, enemies: boxes `[4]` and `[N, 4]` in pixels, empty where there is none.

    Returns:
        The drawing, and by pixel the region as an index into `REGIONS`.
    """
    height, width, _ = image.shape
    drawing = np.broadcast_to(np.median(image[::4, ::4], (0, 1)), image.shape).copy()
    region = np.full((height, width), REGIONS.index('rest'))
    # Mario last: pixels in several boxes are his.
    for box, name in [*((enemy, 'enemies') for enemy in enemies), (player, 'player')]:
        rows, columns = pixels_of(box, height, width)
        if rows.start == rows.stop or columns.start == columns.stop:
            continue
        ring = np.zeros((height, width), bool)
        top, left = max(rows.start - 1, 0), max(columns.start - 1, 0)
        ring[top : rows.stop + 1, left : columns.stop + 1] = True
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
        """Errors relative to the blind drawing's: 1 is blind and 0 perfect.

        `player`, `enemies` and `rest`, with `_5` and `_15` for open loop, and the contrasts: the
        blind drawing's mean squared error. A region with less than `LEAST_CONTRAST` is left out:
        where sprite and background look alike, as in gray, the ratio says little.
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
    """Windows over an episode, as (start, stop, first row that counts); the last ends with it.

    Each row counts in one window, which also holds the `overlap` rows before it, unless the episode
    begins there.
    """
    found = []
    stop = rows
    while stop:
        start = max(stop - length, 0)
        counted = start + overlap if start else 0
        found.append((start, stop, counted))
        stop = counted
    return found[::-1]


def held_out(serials: Sequence[int]) -> list[bool]:
    """Which episodes, of these numbers, are held out from training: every tenth, or the last."""
    chosen = [serial % 10 == 9 for serial in serials]
    if chosen and not any(chosen):
        chosen[-1] = True
    return chosen


# Deaths

AHEAD = (0, 4, 8)  # Steps before a death.
SURVIVED = 16  # Steps after a row that were survived.
NEAR = 16.0  # Distance in the level, in pixels, that counts as the same place.
FALSE_ALARMS = 0.05


def deaths_within(episode: Arrays, steps: int) -> np.ndarray:
    """Whether a death follows within `steps` steps, by row; with 0, whether the row is one.

    NaN where it is unknown, near the end of an episode that was cut off. Reaching the flag is no
    death.

    Returns:
        float64 `[rows]`: 1, 0 or NaN.
    """
    left = _steps_left(episode)
    if _died(episode):
        return (left <= steps).astype(float)
    return np.where((left >= steps) | bool(episode['is_terminal'][-1]), 0.0, np.nan)


def deaths_foreseen(
    episodes: Sequence[Arrays], predicted: Sequence[Mapping[int, np.ndarray]]
) -> dict[str, float]:
    """How well deaths are distinguished from survived rows at the same place.

    Each row a number of steps before a death is compared with all rows of its level within `NEAR`
    pixels of its `log_x` after which at least `SURVIVED` steps were survived: compared with
    arbitrary rows, a model that only knows dangerous places would look good.

    Args:
        episodes: with `is_terminal`, `level`, `log_x` and `log_completed`.
        predicted: of each episode by steps ahead (`AHEAD`) the predicted probability of dying
            within them, `[rows]`, NaN where there is none.

    Returns:
        By name with the steps appended, such as `auc_4`: `auc`, the share of correctly ordered
        pairs (ties count half); `recall`, the share of deaths rated above all but `FALSE_ALARMS` of
        their rows; `brier_skill` over all rows, 1 - squared error / that of always predicting the
        base rate; `mean`, the mean prediction before deaths; and `deaths`, how many were compared.
    """
    found = {}
    x = np.concatenate([episode['log_x'] for episode in episodes])
    level = np.concatenate([episode['level'] for episode in episodes])
    safe = np.concatenate([deaths_within(episode, SURVIVED) == 0 for episode in episodes])
    for steps in AHEAD:
        score = np.concatenate([prediction[steps] for prediction in predicted])
        outcome = np.concatenate([deaths_within(episode, steps) for episode in episodes])
        chosen = np.concatenate([_died(e) & (_steps_left(e) == steps) for e in episodes])
        known = np.isfinite(score)
        orders, recalls, means = [], [], []
        for row in np.nonzero(chosen & known)[0]:
            same = safe & known & (level == level[row]) & (np.abs(x - x[row]) <= NEAR)
            if not same.any():
                continue
            above = score[same] > score[row]
            ties = score[same] == score[row]
            orders.append(1 - (above.mean() + ties.mean() / 2))
            recalls.append((above | ties).mean() <= FALSE_ALARMS)
            means.append(score[row])
        for name, values in ('auc', orders), ('recall', recalls), ('mean', means):
            if values:
                found[f'{name}_{steps}'] = float(np.mean(values))
        found[f'deaths_{steps}'] = float(len(orders))
        rows = known & np.isfinite(outcome)
        if rows.any() and 0 < outcome[rows].mean() < 1:
            spread = np.var(outcome[rows])
            error = np.mean(np.square(np.clip(score[rows], 0, 1) - outcome[rows]))
            found[f'brier_skill_{steps}'] = float(1 - error / spread)
    return found


def _died(episode: Arrays) -> bool:
    return bool(episode['is_terminal'][-1] and not episode['log_completed'][-1])


def _steps_left(episode: Arrays) -> np.ndarray:
    return np.arange(len(episode['is_terminal']))[::-1]


# Rewards

EVENTS = ('hit', 'fall', 'flag', 'standing')
_LOW = 0.85  # Share of the image's height: below the ground, whose top is at 0.87.


def events(episode: Arrays) -> dict[str, np.ndarray]:
    """The rows of each event, bool `[rows]` by name.

    `hit` and `fall` are deaths, distinguished by Mario's box: he fell if its top was last drawn
    below its place when he stands on the ground. `flag` is a completed level, `standing` a step
    without moving.
    """
    rows = len(episode['is_terminal'])
    found = {name: np.zeros(rows, bool) for name in EVENTS}
    if _died(episode):
        boxes = episode['log_player']
        drawn = boxes[boxes[:, 2] > boxes[:, 0]]
        low = len(drawn) and drawn[-1, 0] >= _LOW * episode['image'].shape[1]
        found['fall' if low else 'hit'][-1] = True
    found['flag'][-1] = bool(episode['log_completed'][-1])
    ended = found['hit'] | found['fall'] | found['flag']
    found['standing'][1:] = (np.diff(episode['log_x']) == 0) & ~ended[1:]
    return found


def reward_accuracy(
    episodes: Sequence[Arrays], predicted: Sequence[np.ndarray], learned: Sequence[np.ndarray]
) -> dict[str, float]:
    """How well rewards are predicted: correlation over all rows, and mean error by event.

    Args:
        episodes: for their events.
        predicted: of each episode, `[rows]`, NaN where there is none.
        learned: the rewards as the model learns them, clipped.

    Returns:
        `correlation`, `error` (root mean square), `error_EVENT` (the mean of predicted
        minus true) and `rows_EVENT`.
    """
    guess, truth = np.concatenate(predicted), np.concatenate(learned)
    known = np.isfinite(guess)
    found = {'correlation': correlation(guess[known], truth[known])}
    found['error'] = float(np.sqrt(np.mean(np.square(guess - truth)[known])))
    happened = [events(episode) for episode in episodes]
    for name in EVENTS:
        rows = known & np.concatenate([one[name] for one in happened])
        found[f'rows_{name}'] = float(rows.sum())
        if rows.any():
            found[f'error_{name}'] = float((guess - truth)[rows].mean())
    return {name: value for name, value in found.items() if np.isfinite(value)}


# Critic


def discounted_returns(reward: np.ndarray, discount: float, terminal: bool) -> np.ndarray:
    """Discounted return from each row, its own reward included, as the critic predicts it.

    Args:
        reward: as learned from, `[rows]`.
        discount: per step.
        terminal: whether the episode truly ended.

    Returns:
        float64 `[rows]`; NaN where the episode was cut off, since the rest is unknown.
    """
    found = np.full(len(reward), np.nan)
    following = 0.0 if terminal else np.nan
    for row in reversed(range(len(reward))):
        following = found[row] = float(reward[row]) + discount * following
    return found


def critic_accuracy(
    value: np.ndarray, followed: np.ndarray, imagined: np.ndarray
) -> dict[str, float]:
    """The critic against the discounted returns that followed; rows with NaN do not count.

    Args:
        value, followed, imagined: for every row the critic's value, `discounted_returns`, and the
        lambda-return of a rollout imagined from there.

    Returns:
        `mean`, `followed` (means), `bias` (their difference relative to the latter's magnitude),
        `correlation`, and `imagined`, its mean.
    """
    known = np.isfinite(value) & np.isfinite(followed)
    if not known.any():
        return {}
    mean, truth = float(value[known].mean()), float(followed[known].mean())
    found = {
        'mean': mean,
        'followed': truth,
        'bias': (mean - truth) / abs(truth) if truth else np.nan,
        'correlation': correlation(value[known], followed[known]),
        'imagined': float(imagined[known].mean()),
    }
    return {name: number for name, number in found.items() if np.isfinite(number)}


def correlation(left: np.ndarray, right: np.ndarray) -> float:
    """Pearson correlation; NaN where either is constant."""
    if len(left) < 2 or not np.std(left) or not np.std(right):
        return float('nan')
    return float(np.corrcoef(left, right)[0, 1])
