"""The episodes in memory, in the order of finishing, with their totals."""

from collections import Counter, deque
from collections.abc import Iterable

from dreamerv2.replay.episode import Episode


class EpisodeIndex:
    """A queue of finished episodes, oldest first.

    `at_least(rows)` gives those long enough for a window; such a view is kept up to date from its
    first use on, so that choosing an episode takes constant time.
    """

    def __init__(self) -> None:
        self.steps = 0
        self.nbytes = 0
        self.level_episodes: Counter[int] = Counter()
        self.level_steps: Counter[int] = Counter()
        self._episodes: deque[Episode] = deque()
        self._views: dict[int, deque[Episode]] = {}

    def __len__(self) -> int:
        return len(self._episodes)

    def __iter__(self):
        return iter(self._episodes)

    def at_least(self, rows: int) -> deque[Episode]:
        """Episodes of at least `rows` rows, oldest first."""
        if rows <= 1:
            return self._episodes
        if rows not in self._views:
            self._views[rows] = deque(e for e in self._episodes if e.rows >= rows)
        return self._views[rows]

    def append(self, episode: Episode) -> None:
        self._episodes.append(episode)
        for rows, view in self._views.items():
            if episode.rows >= rows:
                view.append(episode)
        self._count(episode, 1)

    def pop_oldest(self) -> Episode:
        episode = self._episodes.popleft()
        for view in self._views.values():
            if view and view[0] is episode:
                view.popleft()
        self._count(episode, -1)
        return episode

    def replace(self, episodes: Iterable[Episode]) -> None:
        """Replace all episodes by these, sorted by serial number."""
        while self._episodes:
            self.pop_oldest()
        for episode in sorted(episodes, key=lambda episode: episode.serial):
            self.append(episode)

    def _count(self, episode, sign):
        self.steps += sign * episode.steps
        self.nbytes += sign * episode.nbytes
        self.level_episodes[episode.level] += sign
        self.level_steps[episode.level] += sign * episode.steps
