"""Evaluation: levels in turn, own environments, intervals, table."""

import json
import math

import numpy as np
import pytest
from run_fakes import CountingEnv, NumpyAgent

from dreamerv2.run import evaluation
from dreamerv2.run.metrics.episode_summary import EpisodeSummary


def policy(obs, state):
    return np.eye(3, dtype=np.float32)[[1]], state


def episode(level, score, completed=None):
    return EpisodeSummary(level, score, 10, 0.5, completed, 3.0)


def test_every_level_is_played_in_turn():
    made = []

    def maker(level):
        def make():
            made.append(level)
            return CountingEnv(4, [level], seed=len(made))

        return make

    evaluator = evaluation.Evaluator({level: maker(level) for level in ('b', 'a', 'c')})
    assert made == []
    for _ in range(2):
        episodes = evaluator.evaluate(policy, 2)
        assert [episode.level for episode in episodes] == ['b', 'b', 'a', 'a', 'c', 'c']
    assert made == ['b', 'a', 'c']
    assert evaluator.env('a').resets == 4
    evaluator.close()


def test_state_gives_the_same_episodes_again():
    def make(seed):
        return evaluation.Evaluator({'a': lambda: CountingEnv(4, ['a'], seed)})

    first, second = make(0), make(1)
    first.evaluate(policy, 3)
    state = json.loads(json.dumps(first.get_state()))
    expected = [episode.score for episode in first.evaluate(policy, 3)]
    second.set_state(state)
    assert second.get_state() == state
    assert [episode.score for episode in second.evaluate(policy, 3)] == expected
    second.set_state(state)
    assert [episode.score for episode in second.evaluate(policy, 3)] == expected


def test_stopped_evaluation_gives_nothing():
    env = CountingEnv(4, ['a'])
    evaluator = evaluation.Evaluator({'a': lambda: env})
    assert evaluator.evaluate(policy, 5, should_stop=lambda: len(env.actions) >= 6) is None
    assert len(env.actions) == 6


def test_results_metrics_and_table():
    episodes = [episode('3-1', 10, 0.0), episode('3-1', 20, 1.0), episode('3-2', 5)]
    results = evaluation.level_results(episodes)
    assert results['3-1']['episodes'] == 2
    assert results['3-1']['return']['mean'] == 15
    assert results['3-1']['return']['low'] == pytest.approx(15 - 12.706 * 5, abs=0.01)
    assert results['3-1']['completed']['mean'] == 0.5 and results['3-1']['completed']['count'] == 1
    assert results['3-2']['return'] == {'mean': 5, 'low': None, 'high': None}
    assert 'completed' not in results['3-2']
    json.dumps(results, allow_nan=False)
    metrics = evaluation.evaluation_metrics(episodes)
    assert metrics['eval_return'] == pytest.approx(35 / 3)
    assert metrics['eval_return/3-1'] == 15 and metrics['eval_return/3-2'] == 5
    assert metrics['eval_completed/3-1'] == 0.5 and 'eval_completed/3-2' not in metrics
    assert metrics['eval_progress/3-2'] == 0.5 and metrics['eval_length/3-1'] == 10
    assert all(math.isfinite(value) for value in metrics.values())
    header, first, second = evaluation.table(results).splitlines()
    assert header.split() == ['level', 'n', 'return', 'length', 'progress', 'completed']
    assert first.split()[:5] == ['3-1', '2', '15.0', '[-48.5,', '78.5]']
    assert second.split() == ['3-2', '1', '5.0', '10.0', '0.500', '-']
    assert first.endswith('1 of 2 [0.01, 0.99]')
    assert evaluation.summary_line(episodes, 8000) == (
        'Evaluation at 8000 frames: 3-1 return 15.0 [-48.5, 78.5] (n=2), 1 of 2 completed; '
        '3-2 return 5.0 (n=1)'
    )


@pytest.mark.parametrize('completed', [0.0, 1.0])
def test_intervals_stay_within_what_is_possible(completed):
    spread = [(0.02, 1), (0.9, 100), (1.0, 99), (0.99, 100)]
    episodes = [EpisodeSummary('3-1', 5, n, x, completed, 3000 * x) for x, n in spread]
    found = evaluation.level_results(episodes, time_limit=100)['3-1']
    assert (found['progress']['low'], found['progress']['high']) == (0, 1)
    assert found['length']['high'] == 100 and found['length']['low'] >= 1
    assert found['furthest_x']['low'] >= 0
    assert evaluation.level_results(episodes[:2])['3-1']['length']['low'] == 1
    # All returns are the same, which says nothing of their spread; nor are no flags, or flags
    # alone, the whole truth.
    assert found['return'] == {'mean': 5, 'low': None, 'high': None}
    share = found['completed']
    assert share['count'] == 4 * completed and 0.6 < share['high'] - share['low'] < 0.61
    assert (share['high'] if completed else share['low']) == completed
    (_, row) = evaluation.table({'3-1': found}).splitlines()
    assert row.endswith(f'{share["count"]} of 4 [{share["low"]:.2f}, {share["high"]:.2f}]')


def test_one_episode_has_no_interval():
    (entry,) = evaluation.level_results([episode('3-1', 10, 1.0)]).values()
    assert entry['completed'] == {'mean': 1, 'low': None, 'high': None, 'count': 1}
    (_, row) = evaluation.table({'3-1': entry}).splitlines()
    assert row.split() == ['3-1', '1', '10.0', '10.0', '0.500', '1', 'of', '1']


def test_progress_of_an_evaluation_is_told():
    told = []
    evaluator = evaluation.Evaluator({x: lambda: CountingEnv(4, ['a']) for x in ('a', 'b')})
    evaluator.evaluate(policy, 2, progress=lambda *now: told.append(now))
    assert told[0] == ('a', 0, 1) and told[-1] == ('b', 4, 0)
    assert [played for _, played, _ in told] == sorted(played for _, played, _ in told)
    assert max(steps for _, _, steps in told) >= 2


def test_modes_are_the_agents():
    agent = NumpyAgent(None, CountingEnv().act_space)
    obs = {'is_first': np.ones(1, bool)}
    for mode in evaluation.POLICY_MODES.values():
        agent.policy(obs, mode=mode)
    assert agent.modes == ['eval', 'eval_sample', 'train']


def test_intervals_cover_the_mean():
    rng = np.random.default_rng(0)
    for count in (2, 5, 20, 60):
        hits = 0
        for _ in range(1000):
            _, low, high = evaluation.mean_interval(list(rng.normal(3, 2, count)))
            hits += low <= 3 <= high
        assert 0.93 < hits / 1000 < 0.97
    mean, low, high = evaluation.mean_interval([4.0])
    assert mean == 4 and np.isnan(low) and np.isnan(high)
    assert np.isnan(evaluation.mean_interval([])[0])


def test_means_and_intervals_stay_in_bounds():
    mean, low, high = evaluation.mean_interval([0.2, 1.0, 1.0], 0, 1)
    # Quantile of Student's t for 2 degrees of freedom: NIST/SEMATECH, table 1.3.6.7.2.
    half = 4.3027 * np.std([0.2, 1, 1], ddof=1) / 3**0.5
    assert (mean, low, high) == (pytest.approx(2.2 / 3), max(0, 2.2 / 3 - half), 1)
    assert evaluation.mean_interval([0.2, 1.0, 1.0])[2] == pytest.approx(2.2 / 3 + half, rel=1e-4)
    mean, low, high = evaluation.mean_interval([3.0, 3.0])
    assert mean == 3 and np.isnan(low) and np.isnan(high)


@pytest.mark.parametrize(
    'ones, n, low, high',
    # Clopper and Pearson: 1 - 0.025 ** (1 / 10) for none of 10, and so on.
    [(0, 10, 0, 0.3085), (10, 10, 0.6915, 1), (5, 10, 0.1871, 0.8129), (1, 2, 0.0126, 0.9874)],
)
def test_share_interval(ones, n, low, high):
    found = evaluation.share_interval([1.0] * ones + [0.0] * (n - ones))
    assert found == (ones / n, pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_share_interval_of_hardly_anything():
    share, low, high = evaluation.share_interval([1.0])
    assert share == 1 and np.isnan(low) and np.isnan(high)
    assert np.isnan(evaluation.share_interval([])[0])


def test_a_score_asks_for_completion_first_and_elsewhere_for_return():
    metrics = {
        'eval_return': 800.0,
        'eval_return/1-1': 1000.0,
        'eval_return/4-4': 600.0,
        'eval_progress/1-1': 0.5,
        'eval_progress/4-4': 0.25,
        'eval_completed/1-1': 0.5,
        'eval_completed/4-4': 0.0,
    }
    assert evaluation.score(metrics) == (0.25, 0.375, 800.0)
    shown = evaluation.shown_score(evaluation.score(metrics))
    assert shown == 'completed 25 %, progress 0.375, return 800.0'
    game = {'eval_return': 21.0, 'eval_return/pong': 21.0}
    assert evaluation.score(game) == 21.0
    assert evaluation.shown_score(21.0) == 'a return of 21.0'
