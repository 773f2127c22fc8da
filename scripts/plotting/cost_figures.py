"""Accuracy against what it costs: MAC area and energy per training step, with the Pareto front."""

import numpy as np

from . import points as sweep
from .style import GREY, MARKERS, PAGE, SERIES, note, plt

COSTS = {
    "area_relative": "MAC area",
    "energy_relative": "energy per training step",
}


DETAIL = 10  # points of accuracy below the best that are drawn to scale; what lies below is named at the lower edge
CROWD = 8  # points told apart by their labels: of more only those on the front are named


def accuracy_against_cost(points):
    """A panel per cost, relative to MACs of the same operands that accumulate in fp32. None without costs."""
    shown = [p for p in points if p.accuracy is not None and all(p.cost(cost) is not None for cost in COSTS)]
    if not shown:
        return None
    crowded = not sweep.width_series(points) and len(shown) > CROWD
    names = [] if crowded else list(dict.fromkeys(_order(p) for p in shown))
    best = max(p.accuracy for p in shown)
    floor = max(min(p.accuracy for p in shown), best - DETAIL) - 1.5
    figure, axes = plt.subplots(1, len(COSTS), sharey=True, figsize=(PAGE, 3.6))
    for axis, (cost, label) in zip(axes, COSTS.items()):
        _front(axis, shown, cost)
        for index, name in enumerate(names):
            _series(axis, index, name, [p for p in shown if _order(p) == name], cost)
        if crowded:
            _series(axis, 0, "points of the sweep", shown, cost)
            _label_front(axis, shown, cost)
        else:
            _labels(axis, shown, cost, floor)
        axis.set_xlabel(f"{label}\nrelative to fp32-accumulating MACs")
        costs = [p.cost(cost) for p in shown]
        axis.set_xlim(min(costs) - 0.1, max(costs) + 0.1)  # with room for names
    axes[0].set_ylabel("test accuracy (%)")
    axes[0].set_ylim(floor, best + 0.15 * (best - floor))
    plain, _ = sweep.baselines(points)
    if plain is not None and plain.accuracy is not None:
        for axis in axes:
            axis.axhline(plain.accuracy, color=GREY, linestyle="--", linewidth=1.0, label="fp32 training")
    axes[0].legend(loc="lower right")
    note(figure, _source(shown) + "; line: Pareto front, nothing is both cheaper and more accurate; "
         + ("one seed" if sweep.seeds(points) == 1 else f"mean of {sweep.seeds(points)} seeds, bars: smallest to largest"))
    return figure


def pareto_front(pairs):
    """Of (cost, accuracy), those that no other beats in one without losing in the other; costs rising."""
    front = []
    for cost, accuracy in sorted(set(pairs), key=lambda pair: (pair[0], -pair[1])):
        if not front or accuracy > front[-1][1]:
            front.append((cost, accuracy))
    return front


def _order(point):
    name = f"chunk {point.chunk}" if point.chunk else "sequential"
    return f"{name}, {point.variant}" if point.variant else name


def _front(axis, points, cost):
    x, y = zip(*pareto_front([(p.cost(cost), p.accuracy) for p in points]))
    right = max(p.cost(cost) for p in points)
    axis.step([*x, max(right, x[-1])], [*y, y[-1]], where="post", color=GREY, linewidth=0.8, label="Pareto front")


def _series(axis, index, name, line, cost):
    line = sorted(line, key=lambda p: p.cost(cost))
    y = np.array([p.accuracy for p in line])
    spread = None
    if any(len(p.accuracies) > 1 for p in line):
        spread = [y - [min(p.accuracies) for p in line], [max(p.accuracies) for p in line] - y]
    axis.errorbar([p.cost(cost) for p in line], y, yerr=spread, linestyle="none", capsize=2, elinewidth=0.8,
                  color=SERIES[index % len(SERIES)], marker=MARKERS[index % len(MARKERS)], label=name)


def _labels(axis, points, cost, floor):
    """Names beside the points: of sequential ones slanting down, of others up, so that neighbours do not hide each
    other. Designs below the floor stand at it, with their accuracy."""
    for point in points:
        name = "fp32" if point.accumulator == "e8m23" else point.accumulator
        x = point.cost(cost)
        if point.accuracy < floor:
            axis.plot([x], [floor], marker="v", color=GREY, markersize=4, clip_on=False)
            axis.annotate(f"{name}: {point.accuracy:.0f} %", (x, floor), textcoords="offset points", xytext=(3, 4),
                          fontsize=6, color=GREY)
            continue
        up = bool(point.chunk)
        axis.annotate(name, (x, point.accuracy), textcoords="offset points", xytext=(2, 3 if up else -3), fontsize=6,
                      color=GREY, rotation=45 if up else -45, rotation_mode="anchor", ha="left",
                      va="bottom" if up else "top")


def _label_front(axis, points, cost):
    front = pareto_front([(p.cost(cost), p.accuracy) for p in points])
    for point in points:
        if (point.cost(cost), point.accuracy) in front:
            axis.annotate(point.label, (point.cost(cost), point.accuracy), textcoords="offset points", xytext=(3, -4),
                          fontsize=6, color=GREY, rotation=-30, rotation_mode="anchor", ha="left", va="top")


def _source(points):
    costs = next(run.cost for p in points for run in p.runs if run.cost)
    return f"{costs.get('backend', '?')} on {costs.get('library', '?')}"
