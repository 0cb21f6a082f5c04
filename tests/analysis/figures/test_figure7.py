import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from dreamerv2.analysis.figures import figure7
from dreamerv2.studies.definition import STAGES


@hypothesis.given(st.integers(2, 100), st.integers(1, 32), st.integers(1, 10**7))
def test_everything_ends_at_the_cost_of_the_baselines(bins, levels, total):
    ends = {}
    for stage in ('baseline', 'pretrain', 'finetune'):
        grid = figure7.stage_grid(stage, total, levels, bins)
        cost = STAGES[stage].cost(grid, total, levels)
        expected = {'baseline': levels * grid, 'pretrain': grid, 'finetune': total + levels * grid}
        np.testing.assert_allclose(cost, expected[stage])
        assert len(cost) <= bins and (cost <= levels * total * (1 + 1e-9)).all()
        ends[stage] = cost[-1] if len(cost) else None
    assert ends['baseline'] == pytest.approx(levels * total)
    assert ends['pretrain'] == pytest.approx(total)
    # A single fine-tuned agent has cost as much as its baseline before it begins.
    assert ends['finetune'] == (pytest.approx(levels * total) if levels > 1 else None)


def test_the_axis_of_the_thesis_ends_together():
    grid = figure7.stage_grid('finetune', 1e7, 4, 40)
    assert STAGES['finetune'].cost(grid, 1e7, 4)[-1] == 4e7 and len(grid) == 30


def test_mean_over_levels_never_averages_what_is_not_there():
    stack = np.array([[[1.0, 2.0], [3.0, np.nan]]])
    np.testing.assert_array_equal(figure7.mean_over_levels(stack), [[2.0, np.nan]])
    assert figure7.mean_over_levels(np.zeros((2, 0, 3))).shape == (2, 3)
