import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from dreamerv2.analysis import curves
from dreamerv2.analysis.figures import figure7


@hypothesis.given(st.integers(1, 12), st.integers(1, 8), st.integers(1, 10**7))
def test_cost_axis(bins, levels, total):
    grid = curves.frame_grid(total, bins)
    baseline = figure7.cost_axis('baseline', grid, total, levels)
    pretrain = figure7.cost_axis('pretrain', grid, total, levels)
    finetune = figure7.cost_axis('finetune', grid, total, levels)
    np.testing.assert_allclose(baseline, levels * grid)
    np.testing.assert_array_equal(pretrain, grid)
    for t, cost in zip(grid, finetune, strict=True):
        if t <= total * (levels - 1) / levels * (1 - 1e-6):
            assert abs(cost - (total + levels * t)) < 1e-6 * total
        if np.isfinite(cost):
            assert total < cost <= levels * total * (1 + 1e-6)


def test_cost_axis_of_the_thesis_ends_together():
    grid = curves.frame_grid(1e7, 40)
    finetune = figure7.cost_axis('finetune', grid, 1e7, 4)
    assert np.nanmax(finetune) == figure7.cost_axis('baseline', grid, 1e7, 4)[-1] == 4e7
    assert np.isfinite(finetune).sum() == 30


@hypothesis.given(st.integers(2, 100), st.integers(1, 32), st.integers(1, 10**7))
def test_everything_ends_at_the_cost_of_the_baselines(bins, levels, total):
    ends = {}
    for stage in ('baseline', 'pretrain', 'finetune'):
        grid = figure7.stage_grid(stage, total, levels, bins)
        cost = figure7.cost_axis(stage, grid, total, levels)
        assert np.isfinite(cost).all() and len(cost) <= bins
        ends[stage] = cost[-1] if len(cost) else None
    assert ends['baseline'] == pytest.approx(levels * total)
    assert ends['pretrain'] == pytest.approx(total)
    # A single fine-tuned agent has cost as much as its baseline before it begins.
    assert ends['finetune'] == (pytest.approx(levels * total) if levels > 1 else None)


def test_mean_over_levels_never_averages_what_is_not_there():
    stack = np.array([[[1.0, 2.0], [3.0, np.nan]]])
    np.testing.assert_array_equal(figure7.mean_over_levels(stack), [[2.0, np.nan]])
    assert figure7.mean_over_levels(np.zeros((2, 0, 3))).shape == (2, 3)
