"""Hot spots against esda and clusters against scikit-learn, on the same points in the same run.

Each contender works in a process of its own, three times or more, in turns. The clock starts when libraries are
imported and the points are made; the first call and the fourth ("warm") are told apart, since a compiler may run in
the first. Usage: python benchmarks/hotspots.py [ROUNDS] [POINTS]
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable

from measure import call

SEED = 20251123
WARM = 3


def points(n):
    """20 % all over 30 × 30 km, 80 % in 200 neighbourhoods, 30 % of all at an address that another one has."""
    import numpy as np

    generator = np.random.default_rng(SEED)
    centres = generator.uniform(0, 30_000, (200, 2))
    metres = centres[generator.integers(200, size=n)] + generator.normal(0, 400, (n, 2))
    uniform = generator.random(n) < 0.2
    metres[uniform] = generator.uniform(0, 30_000, (int(uniform.sum()), 2))
    again = generator.random(n) < 0.3
    metres[again] = metres[generator.integers(n, size=int(again.sum()))]
    return 105.7 + metres[:, 0] / 93_900, 32.3 + metres[:, 1] / 111_195


def clocked(work: Callable[[], object]) -> None:
    """Print the CPU and wall seconds of the first call of *work* and the median of the later ones, as JSON."""
    taken = []
    for _ in range(1 + WARM):
        cpu, wall = time.process_time(), time.perf_counter()
        answer = work()
        taken.append((time.process_time() - cpu, time.perf_counter() - wall))
    later = [statistics.median(values) for values in zip(*taken[1:], strict=True)]
    print(json.dumps({"first": taken[0], "warm": later, "answer": answer}))


def frame_of(n):
    import geopandas as gpd

    lon, lat = points(n)
    return gpd.GeoDataFrame({"lon": lon, "lat": lat}, geometry=gpd.points_from_xy(lon, lat), crs="EPSG:4326")


def counted(n):
    from fieldkit.analysis import located
    from fieldkit.analysis.study_area import cells_at

    frame = frame_of(n)
    clocked(lambda: len(set(cells_at(located(frame), 9).tolist())))


def counted_plainly(n):
    import h3
    import pandas as pd

    lon, lat = (values.tolist() for values in points(n))
    clocked(
        lambda: len(
            pd.Series([h3.latlng_to_cell(y, x, 9) for x, y in zip(lon, lat, strict=True)]).value_counts()
        )
    )


def whole_analysis(n, permutations):
    from fieldkit.analysis.hotspots import find_hotspots

    frame = frame_of(n)
    clocked(lambda: len(find_hotspots(frame, resolution=9, permutations=permutations)))


def study(n):
    import numpy as np

    from fieldkit.analysis import located
    from fieldkit.analysis.study_area import StudyArea, cells_around, cells_at, positions

    bins = cells_at(located(frame_of(n)), 9)
    area = StudyArea.of(cells_around(np.unique(bins), 1), 1)
    return area, np.bincount(positions(area.cells, bins)[0], minlength=len(area.cells)).astype(float)


def test_alone(n, permutations):
    from fieldkit.analysis.hotspots import p_values, q_values, z_scores

    area, counts = study(n)

    def work():
        z = z_scores(area, counts)
        q = q_values(p_values(area, counts, permutations=permutations, seed=0))
        return int(((q <= 0.05) & (z > 0)).sum())

    clocked(work)


def esda(n, permutations):
    from esda.getisord import G_Local
    from libpysal.weights import W

    area, counts = study(n)
    warnings.simplefilter("ignore")
    neighbours: dict[int, list[int]] = {cell: [] for cell in range(len(counts))}
    for row, column in zip(area.rows.tolist(), area.columns.tolist(), strict=True):
        neighbours[row].append(column)
    weights = W(neighbours, silence_warnings=True)
    clocked(
        lambda: len(
            G_Local(
                counts, weights, transform="B", star=True, permutations=permutations, seed=0, n_jobs=1
            ).p_sim
        )
    )


def clusters(n):
    import sklearn.cluster  # noqa: F401 - its import, two seconds, would count for one of the two only

    from fieldkit.analysis.clusters import find_clusters

    frame = frame_of(n)
    clocked(lambda: len(find_clusters(frame, radius_m=50, at_least=5)))


def scikit_learn(n):
    import numpy as np
    from sklearn.cluster import DBSCAN

    from fieldkit.places import to_metres

    lon, lat = points(n)
    metres = to_metres(lon, lat)
    clocked(lambda: int(np.max(DBSCAN(eps=50, min_samples=5, algorithm="kd_tree").fit(metres).labels_)) + 1)


def main(rounds: int, n: int) -> None:
    contests = {
        f"H3 cells of {n:,} points": [("plain loop", counted_plainly, (n,)), ("fieldkit", counted, (n,))],
        f"Gi* on the cells of {n:,} points": [
            ("esda, 999 permutations", esda, (n, 999)),
            ("fieldkit, 999", test_alone, (n, 999)),
            ("fieldkit, 99,999 and FDR", test_alone, (n, 99_999)),
            ("fieldkit, all of it from the frame on, 99,999", whole_analysis, (n, 99_999)),
        ],
        f"clusters of {n:,} points, 50 m, 5": [
            ("scikit-learn, labels only", scikit_learn, (n,)),
            ("fieldkit, with names and outlines", clusters, (n,)),
        ],
    }
    for title, contenders in contests.items():
        runs: dict[str, list[dict]] = {name: [] for name, _, _ in contenders}
        for _ in range(rounds):
            for name, function, arguments in contenders:
                done = subprocess.run(call(function, *arguments), check=True, capture_output=True, text=True)
                runs[name].append(json.loads(done.stdout.splitlines()[-1]))
        print(f"\n{title} (medians of {rounds})")
        print(
            f"{'':46}{'first CPU':>10}{'wall':>10}{'warm CPU':>10}{'wall':>10}{'x peer first':>14}{'warm':>8}  result"
        )
        peer = None
        for name, taken in runs.items():
            figures = [
                statistics.median(run[k][i] for run in taken) for k in ("first", "warm") for i in (0, 1)
            ]
            peer = peer or figures
            numbers = "".join(f"{figure:10.3f}" for figure in figures)
            ratios = f"{figures[0] / peer[0]:>14.3f}{figures[2] / peer[2]:>8.3f}"
            print(f"{name:46}{numbers}{ratios}  {taken[0]['answer']}")


if __name__ == "__main__":
    main(
        max(3, int(sys.argv[1])) if len(sys.argv) > 1 else 3,
        int(sys.argv[2]) if len(sys.argv) > 2 else 100_000,
    )
