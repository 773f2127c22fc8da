"""Pictures of a table of `narrowmac measure --format csv`: what was measured, and what the theory says."""

import csv
from dataclasses import dataclass

import numpy as np

from .data import DataError, finite
from .style import GREY, METRIC_LABELS, PAGE, PASS_COLOURS, note, plt

METRICS = ("vrr", "nmse")
REQUIRED = ("length", "mantissa", "vrr", "nmse", "vrr_theory")


@dataclass
class Curve:
    """One line: places on the horizontal axis in ascending order, with the rows that belong there."""

    name: str
    places: list
    rows: list
    group: str = ""  # the pass, of operands of a run

    def values(self, column):
        return np.array([np.nan if finite(row.get(column)) is None else finite(row[column]) for row in self.rows])


def load_measure(path):
    """The rows of a table; throws DataError if it is not one of measure's."""
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    missing = [name for name in REQUIRED if not rows or name not in rows[0]]
    if missing:
        raise DataError(f"{path}: no rows with {', '.join(missing)}; expected the output of narrowmac measure "
                        "--format csv, without --find")
    return rows


def curves(rows):
    """A curve per mantissa over length, or, of operands of a run, per layer and pass over mantissa."""
    of_run = "layer" in rows[0]
    found = {}
    for row in rows:
        key = (row["layer"], row["pass"], row["length"]) if of_run else row["mantissa"]
        place = finite(row["mantissa"] if of_run else row["length"])
        if place is not None:
            found.setdefault(key, []).append((place, row))
    result = []
    for key, points in found.items():
        points.sort(key=lambda point: point[0])
        name = f"{key[0]} {key[1]}" if of_run else (key or "as it is")
        result.append(Curve(name, [place for place, _ in points], [row for _, row in points],
                            key[1] if of_run else ""))
    return sorted(result, key=lambda curve: (not of_run) * (finite(curve.name) or 0))


def measured(rows):
    """VRR and NMSE with their intervals; VRR with the theory's."""
    lines = curves(rows)
    if not lines:
        return None
    of_run = "layer" in rows[0]
    figure, axes = plt.subplots(1, 2, figsize=(PAGE, 3.4))
    shades = plt.get_cmap("viridis")(np.linspace(0, 0.92, len(lines)))
    for curve, shade in zip(lines, shades):
        colour = PASS_COLOURS.get(curve.group, shade)
        for axis, metric in zip(axes, METRICS):
            _draw(axis, curve, metric, colour)
        axes[0].plot(curve.places, curve.values("vrr_theory"), "--", color=colour, linewidth=0.9)
    for axis, metric in zip(axes, METRICS):
        axis.set_xlabel("accumulator mantissa (bits)" if of_run else "products in the sum")
        axis.set_ylabel(METRIC_LABELS[metric])
        if not of_run:
            axis.set_xscale("log", base=2)
    axes[0].axhline(1, color=GREY, linewidth=0.6)
    axes[0].set_ylim(bottom=0)
    if any((curve.values("nmse") > 0).any() for curve in lines):
        axes[1].set_yscale("log")
    if of_run:
        for name, colour in PASS_COLOURS.items():
            axes[1].plot([], [], color=colour, label=name)
        axes[1].legend()
    else:
        axes[1].legend(loc="center left", bbox_to_anchor=(1.02, 0.5), title="mantissa")
    note(figure, "points with 95 % intervals: measured; dashed: theory, where it says something")
    return figure


def _draw(axis, curve, metric, colour):
    values, low, high = (curve.values(metric + end) for end in ("", "_low", "_high"))
    values = np.where((metric == "nmse") & (values <= 0), np.nan, values)
    errors = np.nan_to_num(np.vstack([values - low, high - values])).clip(min=0)
    axis.errorbar(curve.places, values, yerr=errors, color=colour, marker="o", markersize=2.5, elinewidth=0.7,
                  label=curve.name)


FIGURES = {"measure": measured}
