"""Dense groups: the labels of plain DBSCAN, whatever the density, the order and the weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import DBSCAN

from fieldkit.analysis import density
from fieldkit.analysis.density import dense_groups


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    points=st.integers(1, 250),
    span=st.sampled_from([40.0, 300.0, 1_000.0, 4_000.0]),
    decimals=st.sampled_from([-1, 0, 3]),
    radius_m=st.sampled_from([0.001, 7.0, 20.0, 75.0, 100.0, 400.0]),
    at_least=st.integers(1, 9),
)
def test_labels_are_those_of_dbscan(seed, points, span, decimals, radius_m, at_least):
    generator = np.random.default_rng(seed)
    metres = np.unique(generator.uniform(-span, span, (points, 2)).round(decimals), axis=0)
    generator.shuffle(metres)
    weights = generator.integers(1, 4, len(metres))
    plain = DBSCAN(eps=radius_m, min_samples=at_least, algorithm="kd_tree").fit(metres, sample_weight=weights)
    assert dense_groups(metres, weights, radius_m, at_least).tolist() == plain.labels_.tolist()


@pytest.mark.parametrize("portion", [1, 60, 5_000])
def test_portions_change_nothing(monkeypatch, portion):
    generator = np.random.default_rng(3)
    metres = generator.normal(0, 150, (600, 2))
    weights = np.ones(600, dtype=np.int64)
    plain = DBSCAN(eps=20, min_samples=4, algorithm="kd_tree").fit(metres)
    monkeypatch.setattr(density, "_PORTION", portion)
    assert dense_groups(metres, weights, 20.0, 4).tolist() == plain.labels_.tolist()


def test_nothing_and_points_far_apart():
    assert dense_groups(np.empty((0, 2)), np.empty(0, dtype=np.int64), 100.0, 5).size == 0
    far = np.array([[-2e7, 0.0], [2e7, 1e7], [2e7, 1e7 + 0.5]])
    assert dense_groups(far, np.array([1, 1, 1]), 0.6, 2).tolist() == [-1, 0, 0]
    assert dense_groups(far, np.array([9, 1, 1]), 1e-9, 9).tolist() == [0, -1, -1]
