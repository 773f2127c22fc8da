"""Run and sweep directories as plain values. Knows the files, nothing of pictures.

A run directory holds config.toml, steps.csv, layers.csv, observations.csv and summary.json; a sweep directory holds
sweep.csv, one row per point, and a run directory for every point that was started.
"""

import csv
import json
import math
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

PASSES = ("FWD", "BWD", "GRAD")


class DataError(Exception):
    """A directory or file that cannot be read as narrowmac's; the message names it."""


@dataclass
class Run:
    """One training run, finished or not."""

    directory: Path
    config: dict
    summary: dict | None  # None: not finished
    steps: list[dict] = field(default_factory=list)
    layers: list[dict] = field(default_factory=list)
    observations: list[dict] = field(default_factory=list)
    name: str | None = None  # the sweep's label of this point
    variant: str = ""  # what the sweep varies besides the accumulator
    keys: dict = field(default_factory=dict)  # what the sweep sets in this point

    @property
    def results(self):
        return self.summary.get("results", {}) if self.summary else {}

    @property
    def cost(self):
        """What the MACs cost: the summary's hardware.cost; empty for unfinished runs and those of earlier versions."""
        return (self.summary or {}).get("hardware", {}).get("cost", {})

    @property
    def diverged(self):
        return bool(self.results.get("diverged", False))

    @property
    def accuracy(self):
        """Test accuracy in percent, or None."""
        value = self.results.get("test_accuracy")
        return None if value is None else 100.0 * float(value)

    @property
    def seed(self):
        return self.config.get("run", {}).get("seed")

    @property
    def accumulator(self):
        """Name of the accumulator's format, or None for training without an array."""
        mac = self.config.get("mac")
        if not mac:
            return None
        return mac.get("accumulator") or mac.get("FWD", {}).get("accumulator")

    @property
    def chunk(self):
        """Products per chunk, 0 for sequential accumulation."""
        mac = self.config.get("mac") or {}
        chunk = mac.get("chunk", mac.get("FWD", {}).get("chunk"))
        return int(chunk["length"]) if isinstance(chunk, dict) else 0

    @property
    def label(self):
        """The point in a few words, without the seed."""
        if self.name:
            return self.name
        if self.accumulator is None:
            return "fp32"
        if is_fp32_accumulator(self):
            return "fp32 accumulator"
        order = f"chunk {self.chunk}" if self.chunk else "sequential"
        return f"{self.accumulator} {order}"


def mantissa_bits(accumulator):
    """Mantissa bits of a float format (e6m9 -> 9); None for others and for fp32, which is a baseline."""
    match = re.fullmatch(r"e(\d+)m(\d+)(fn)?", accumulator or "")
    if match is None or accumulator == "e8m23":
        return None
    return int(match.group(2))


def is_fp32_accumulator(run):
    return run.accumulator in ("fp32", "e8m23") and run.chunk == 0


def load_run(directory):
    """Reads a run directory. Files that a run in progress has not written yet are empty here."""
    directory = Path(directory)
    config_path = directory / "config.toml"
    if not config_path.is_file():
        raise DataError(f"{directory}: no config.toml here, so this is no run directory")
    try:
        config = tomllib.loads(config_path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{config_path}: {error}") from error
    summary = None
    summary_path = directory / "summary.json"
    if summary_path.is_file():
        try:
            summary = json.loads(summary_path.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise DataError(f"{summary_path}: {error}") from error
    return Run(directory, config, summary, _read_csv(directory / "steps.csv"), _read_csv(directory / "layers.csv"),
               _read_csv(directory / "observations.csv"))


def load_sweep(directory):
    """The runs of a sweep that were started, in the order of sweep.csv, and the number of points."""
    directory = Path(directory)
    if not directory.is_dir():
        raise DataError(f"{directory}: no such directory; expected a sweep directory of narrowmac")
    table = directory / "sweep.csv"
    if not table.is_file():
        raise DataError(f"{directory}: no sweep.csv here, so this is no sweep directory")
    rows = _read_csv(table)
    if rows and "run" not in rows[0]:
        raise DataError(f"{table}: no column 'run' with each point's directory; found {', '.join(rows[0])}")
    runs = []
    for row in rows:
        if (directory / str(row["run"]) / "config.toml").is_file():
            run = load_run(directory / str(row["run"]))
            run.name, run.variant, run.keys = row.get("label"), _variant(row), _keys(row)
            runs.append(run)
    if not runs:
        raise DataError(f"{table}: none of the {len(rows)} points has been started")
    return runs, len(rows)


def _keys(row):
    """Columns between label and seed are the keys that the sweep sets."""
    names = list(row)[1:list(row).index("seed")] if "seed" in row else []
    return {name: row[name] for name in names if row[name]}


def _variant(row):
    """A change of [mac] as a whole or of the
    accumulator and its chunk is a point's place on the width axis; every other one sets a line apart."""
    accumulator = r"(mac|formats|mac\.chunk)|mac\.(accumulator|chunk\..*)"
    return ", ".join(f"{key}={value}" for key, value in _keys(row).items() if not re.fullmatch(accumulator, key))


def finite(value):
    """The value as a finite float, or None for an empty, missing or non-finite cell."""
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _read_csv(path):
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        return [row for row in csv.DictReader(stream) if None not in row.values()]
