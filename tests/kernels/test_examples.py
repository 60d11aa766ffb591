"""The examples from the first cell to the last, on simulated slices of a real server, in real
kernels; and what they say is right: computed once more here, without any cluster.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from tests.support import quickstart
from tests.support.lab import REPOSITORY, LabServer
from tests.support.waiting import wait_for

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(autouse=True)
def flights_are_here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`import flights`, as a notebook in examples/ does it."""
    monkeypatch.syspath_prepend(str(REPOSITORY / "examples"))
    yield
    sys.modules.pop("flights", None)


def nothing_is_left(server: LabServer) -> None:
    wait_for(lambda: quickstart.nothing_is_held(server), what="every slice free again")
    wait_for(lambda: not quickstart.left_over(server), what="no process is left")


def test_an_etl_over_more_flights_than_fit(workbench: LabServer) -> None:
    told = quickstart.texts(quickstart.run(workbench, "02-dask-etl.ipynb"))
    spilled = re.search(r"([\d,]+) MB of results were spilled", told)
    assert spilled and int(spilled[1].replace(",", "")) > 200
    years = re.search(r"(\d+) years of", told)
    assert years and int(years[1]) > 15
    nothing_is_left(workbench)

    import flights

    alone = flights.load().dropna(subset=["arr_delay"])
    alone["late"] = (alone["arr_delay"] > 15).astype(float)
    keys = ["month", "day", "origin"]
    days = alone.groupby(keys).agg({"flight": "count", "late": "mean", "arr_delay": "mean"})
    written = pd.read_parquet(workbench.notebooks / "days")
    assert set(written["year"]) == set(range(2013, 2013 + int(years[1])))
    for _, year in written.groupby("year"):
        found = year.drop(columns="year").set_index(keys).sort_index()
        pd.testing.assert_frame_equal(
            found, days, rtol=1e-9, check_dtype=False, check_index_type=False
        )


def test_boosted_trees_on_two_workers(workbench: LabServer) -> None:
    told = quickstart.texts(quickstart.run(workbench, "03-xgboost.ipynb"))
    assert "scikit-learn" in told
    nothing_is_left(workbench)

    import flights
    import xgboost
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score

    table = flights.for_trees(flights.load())
    aside = np.random.default_rng(0).random(len(table)) < 0.2
    train, test = table[~aside], table[aside]
    columns = [name for name in table if name != "late"]
    model = xgboost.Booster(model_file=workbench.notebooks / "late.json")
    ours = roc_auc_score(test["late"], model.predict(xgboost.DMatrix(test[columns])))
    peer = HistGradientBoostingClassifier(
        max_iter=60, learning_rate=0.2, max_leaf_nodes=63, early_stopping=False, random_state=0
    ).fit(train[columns], train["late"])
    theirs = roc_auc_score(test["late"], peer.predict_proba(test[columns])[:, 1])
    assert ours == pytest.approx(theirs, abs=0.01) and ours > 0.75
