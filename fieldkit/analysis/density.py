"""Density-based groups of weighted points (DBSCAN), by a grid whose cells are too small to need measuring inside."""

from __future__ import annotations

from typing import Any

import numpy as np

from fieldkit.analysis import FloatArray, IntArray

#: A grid cell's side in radii: below 1/√2, so that two points of one cell are always within the radius.
SIDE = 0.7

#: So many cells away lies the furthest cell that may hold a point within the radius.
_REACH = 2

#: Distances are measured in portions of about so many pairs, which bounds the memory.
_PORTION = 2_000_000


def dense_groups(metres: FloatArray, weights: IntArray, radius_m: float, at_least: int) -> IntArray:
    """The group of each point, 0, 1, …, in the order of each group's first dense point; -1 for those in none.

    A point is dense when the *weights* within *radius_m* of it, its own included, come to *at_least*. Dense points
    within the radius of each other are one group; another point belongs to the first group that has a dense point
    within the radius of it. *metres* has the shape (n, 2). The labels are those of plain DBSCAN; the time does not
    grow with the number of points in a neighbourhood, since a cell that holds *at_least* needs no measuring
    (Gan and Tao 2015, Proc. SIGMOD:519-530).
    """
    labels = np.full(len(metres), -1, dtype=np.int64)
    if not len(metres):
        return labels
    cells, cell_of = _lay_grid(metres, radius_m)
    dense = np.bincount(cell_of, weights=weights)[cell_of] >= at_least
    reaching, reached = _measure_the_unsure(metres, weights, dense, radius_m, at_least)
    core = np.flatnonzero(dense)
    if not core.size:
        return labels
    groups = _join(metres[core], cell_of[core], cells, radius_m)
    _, first, numbers = np.unique(groups, return_index=True, return_inverse=True)
    rank = np.empty(first.size, dtype=np.int64)
    rank[np.argsort(first)] = np.arange(first.size)
    labels[core] = rank[numbers]
    beside = dense[reached]
    edge = np.full(len(metres), len(metres), dtype=np.int64)
    np.minimum.at(edge, reaching[beside], labels[reached[beside]])
    on_edge = edge < len(metres)
    labels[on_edge] = edge[on_edge]
    return labels


def _lay_grid(metres: FloatArray, radius_m: float) -> tuple[IntArray, IntArray]:
    """The occupied cells as (column, row), sorted, and the position of each point's cell among them."""
    steps = [_close_gaps(np.floor(axis / (SIDE * radius_m))) for axis in metres.T]
    height = int(steps[1].max()) + 1
    keys, cell_of = np.unique(steps[0] * height + steps[1], return_inverse=True)
    return np.column_stack(np.divmod(keys, height)), cell_of


def _close_gaps(steps: FloatArray) -> IntArray:
    """Whole *steps* along an axis, renumbered so that gaps wider than the reach are as narrow as they may be."""
    known, place = np.unique(steps, return_inverse=True)
    apart = np.minimum(np.diff(known), _REACH + 1).astype(np.int64)
    closed: IntArray = np.concatenate([[0], np.cumsum(apart)])[place]
    return closed


def _measure_the_unsure(
    metres: FloatArray, weights: IntArray, dense: Any, radius_m: float, at_least: int
) -> tuple[IntArray, IntArray]:
    """Find the dense points among those whose cell does not tell, and mark them in *dense*.

    Returns what is within the radius of those that are not dense, as pairs of positions.
    """
    from scipy.spatial import KDTree

    unsure = np.flatnonzero(~dense)
    tree = KDTree(metres)
    pairs = [np.empty((2, 0), dtype=np.int64)]
    size = max(1, _PORTION // (25 * at_least))  # fewer than at_least stand in each of 25 cells, or near it
    for start in range(0, unsure.size, size):
        portion = unsure[start : start + size]
        near = KDTree(metres[portion]).sparse_distance_matrix(tree, radius_m, output_type="ndarray")
        total = np.bincount(near["i"], weights=weights[near["j"]], minlength=portion.size)
        dense[portion[total >= at_least]] = True
        left = near[total[near["i"]] < at_least]
        pairs.append(np.stack([portion[left["i"]], left["j"]]))
    reaching, reached = np.concatenate(pairs, axis=1)
    return reaching, reached


def _join(core: FloatArray, cell_of: IntArray, cells: IntArray, radius_m: float) -> IntArray:
    """The group of each dense point: its cell's, joined with those of cells that have a dense point within reach."""
    held, mine = np.unique(cell_of, return_inverse=True)
    order = np.argsort(mine, kind="stable")
    count = np.bincount(mine)
    start = np.cumsum(count) - count
    points = core[order]
    one, other = _neighbours(cells[held])
    # One point speaks for each cell: in dense quarters this joins nearly all, and the rest is measured.
    middle = points[start + count // 2]
    near = ((middle[one] - middle[other]) ** 2).sum(axis=1) <= radius_m**2
    joined = [np.stack([one[near], other[near]])]
    group = _components(joined, held.size)
    work = count[one] * count[other]
    todo = np.flatnonzero(group[one] != group[other])
    todo = todo[np.argsort(work[todo], kind="stable")]
    while todo.size:
        amount = np.cumsum(work[todo])
        portion = todo[: max(1, int(np.searchsorted(amount, _PORTION, side="right")))]
        todo = todo[portion.size :]
        a, b = one[portion], other[portion]
        touching = _touching(points, start, count, a, b, radius_m)
        joined.append(np.stack([a[touching], b[touching]]))
        group = _components(joined, held.size)
        todo = todo[group[one[todo]] != group[other[todo]]]
    found: IntArray = group[mine]
    return found


def _neighbours(cells: IntArray) -> tuple[IntArray, IntArray]:
    """Each pair of *cells* that are at most the reach apart, once, as positions."""
    height = int(cells[:, 1].max()) + 2 * _REACH + 1
    keys = cells[:, 0] * height + cells[:, 1]
    ones, others = [], []
    steps = [(0, y) for y in range(1, _REACH + 1)]
    steps += [(x, y) for x in range(1, _REACH + 1) for y in range(-_REACH, _REACH + 1)]
    for x, y in steps:
        wanted = keys + x * height + y
        place = np.searchsorted(keys, wanted).clip(max=keys.size - 1)
        there = np.flatnonzero(keys[place] == wanted)
        ones.append(there)
        others.append(place[there])
    return np.concatenate(ones), np.concatenate(others)


def _components(joined: list[IntArray], count: int) -> IntArray:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    one, other = np.concatenate(joined, axis=1)
    graph = coo_array((np.ones(one.size, dtype=bool), (one, other)), shape=(count, count))
    labels: IntArray = connected_components(graph, directed=False)[1].astype(np.int64)
    return labels


def _touching(
    points: FloatArray, start: IntArray, count: IntArray, a: IntArray, b: IntArray, radius_m: float
) -> Any:
    """Whether any point of each cell in *a* is within the radius of any of the one beside it in *b*."""
    if len(a) == 1 and count[a[0]] * count[b[0]] > _PORTION:
        from scipy.spatial import KDTree

        here, there = (points[start[cell] : start[cell] + count[cell]] for cell in (a[0], b[0]))
        return np.array([(KDTree(here).query(there)[0] <= radius_m).any()])
    pairs = count[a] * count[b]
    which = np.repeat(np.arange(len(a)), pairs)
    position = np.arange(pairs.sum()) - np.repeat(np.cumsum(pairs) - pairs, pairs)
    here = start[a][which] + position // count[b][which]
    there = start[b][which] + position % count[b][which]
    near = ((points[here] - points[there]) ** 2).sum(axis=1) <= radius_m**2
    return np.bincount(which[near], minlength=len(a)) > 0
