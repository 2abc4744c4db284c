import numpy as np
import pytest

from workers.factorize import one_sided


def test_two_known_parts_are_found():
    columns = np.array([[3.0, 0], [4, 0], [0, 1], [0, 0]])
    rows = np.array([[1.0, 0, 2, 0], [0, 5, 0, 1]])
    found = one_sided(columns @ rows, 2)
    assert found.explained == pytest.approx(1)
    # The larger product first: 5 * |(1, 0, 2, 0)| against |(0, 5, 0, 1)|.
    assert found.columns == pytest.approx(np.array([[0.6, 0], [0.8, 0], [0, 1], [0, 0]]), abs=1e-5)
    assert found.rows == pytest.approx(np.array([[5.0, 0, 10, 0], [0, 5, 0, 1]]), abs=1e-4)
    assert found.sizes == pytest.approx([125, 26], rel=1e-4)


def test_rows_may_take_the_other_sign_and_columns_may_not():
    values = np.outer([1.0, 2, 2], [1, 2, -2])
    found = one_sided(values, 1)
    assert found.rows[0] == pytest.approx([3, 6, -6])
    assert found.columns[:, 0] == pytest.approx([1 / 3, 2 / 3, 2 / 3])
    assert found.explained == pytest.approx(1)
    opposed = one_sided(np.outer([1.0, -1], [1, 1]), 1)
    assert (opposed.columns >= 0).all()
    assert opposed.explained == pytest.approx(0.5)


def test_the_share_explained_is_that_of_the_best_fit():
    values = np.random.default_rng(0).random((20, 9))
    shares = [one_sided(values, factors).explained for factors in range(1, 7)]
    assert shares == sorted(shares)
    assert shares[0] < 1
    # The best fit of one factor is the first singular vector, whose entries have one sign here.
    singular = np.linalg.svd(values, compute_uv=False)
    assert shares[0] == pytest.approx(singular[0] ** 2 / (singular**2).sum(), abs=1e-6)
    found = one_sided(values, 3)
    error = ((values - found.columns @ found.rows) ** 2).sum()
    assert found.explained == pytest.approx(1 - error / (values**2).sum())


def test_no_more_factors_than_there_are():
    found = one_sided(np.outer([1.0, 2], [1, 1, 1]), 3)
    assert found.explained == pytest.approx(1)
    assert len(found.rows) == 1
    assert one_sided(np.ones((5, 1)), 3).columns.shape == (5, 1)
    nothing = one_sided(np.zeros((4, 9)), 3)
    assert (nothing.columns.shape, nothing.rows.shape, nothing.explained) == ((4, 0), (0, 9), 1)


def test_a_seed_gives_the_same_numbers_and_size_makes_no_difference():
    values = np.random.default_rng(1).random((6, 5))
    one, same = one_sided(values, 2, seed=3), one_sided(values, 2, seed=3)
    assert np.array_equal(one.columns, same.columns)
    assert np.array_equal(one.rows, same.rows)
    small = one_sided(values * 2.0**-20, 2, seed=3)
    assert small.rows * 2.0**20 == pytest.approx(one.rows)
