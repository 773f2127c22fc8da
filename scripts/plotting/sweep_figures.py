"""The pictures of a sweep. Each function returns a figure, or None if the sweep has nothing to show in it."""

import numpy as np
from matplotlib.ticker import FixedLocator

from . import points as sweep
from .assignment_figures import loss_against_extra_bits
from .cost_figures import accuracy_against_cost
from .data import PASSES, finite
from .quantization_figures import accuracy_against_bits
from .report import paired_loss
from .style import (COLUMN, GREY, MARKERS, METRIC_LABELS, PAGE, PERCENT, SERIES, note, plt)

ZOOM_POINTS = 10  # the detail panel shows this many points of accuracy below the best
VRR_CEILING = 1.4  # accumulators that fail altogether give any VRR; the others should stay readable


def _spread_note(points):
    count = sweep.seeds(points)
    return "one seed" if count == 1 else f"mean of {count} seeds, bars: smallest to largest"


def _mantissa_axis(axis, series):
    widths = sorted({p.mantissa for line in series.values() for p in line})
    axis.xaxis.set_major_locator(FixedLocator(widths))
    axis.set_xlim(widths[0] - 0.4, widths[-1] + 0.4)


def _mantissa_label(series):
    names = {p.accumulator.split("m")[0] for line in series.values() for p in line}
    family = f", {names.pop()}mY" if len(names) == 1 else ""
    return f"accumulator mantissa (bits{family})"


def _baseline_lines(axis, points):
    plain, wide = sweep.baselines(points)
    for point, style, text in ((plain, "--", "fp32"), (wide, ":", "fp32 accumulator")):
        if point is not None and point.accuracy is not None:
            axis.axhline(point.accuracy, color=GREY, linestyle=style, linewidth=1.0, label=text)


def _accuracy_lines(axis, series):
    # Lines are set apart a little, so that bars do not hide each other.
    for index, (name, line) in enumerate(series.items()):
        shown = [p for p in line if p.accuracy is not None]
        if not shown:
            continue
        offset = 0.08 * (index - (len(series) - 1) / 2)
        x = [p.mantissa + offset for p in shown]
        y = np.array([p.accuracy for p in shown])
        spread = None
        if any(len(p.accuracies) > 1 for p in shown):
            spread = [y - [min(p.accuracies) for p in shown], [max(p.accuracies) for p in shown] - y]
        axis.errorbar(x, y, yerr=spread, color=SERIES[index % len(SERIES)], capsize=2, elinewidth=0.8,
                      marker=MARKERS[index % len(MARKERS)], label=name)
        lost = [(px, py) for px, py, p in zip(x, y, shown) if p.diverged]
        if lost:
            axis.plot([px for px, _ in lost], [py for _, py in lost], "x", color="black", markersize=7,
                      label="diverged")


def accuracy(points):
    """Test accuracy against accumulator mantissa width; a second panel shows the top in detail."""
    series = sweep.width_series(points)
    values = [p.accuracy for p in points if p.accuracy is not None]
    if not values:
        return None
    if not series:
        return _accuracy_by_label(points)
    detail = max(values) - min(values) > 2 * ZOOM_POINTS
    figure, axes = plt.subplots(2 if detail else 1, 1, sharex=True, squeeze=False,
                                figsize=(COLUMN, 3.9 if detail else 2.6))
    for axis in axes[:, 0]:
        _baseline_lines(axis, points)
        _accuracy_lines(axis, series)
        _mantissa_axis(axis, series)
        axis.set_ylabel("test accuracy (%)")
    top = axes[0, 0]
    top.set_ylim(bottom=max(0, min(values) - 8), top=min(100, max(values) + 5))
    if detail:
        axes[1, 0].set_ylim(max(values) - ZOOM_POINTS, max(values) + 1)
        axes[1, 0].set_title(f"top {ZOOM_POINTS} points in detail", loc="left", color=GREY, fontsize=7)
    handles = dict(zip(*reversed(top.get_legend_handles_labels())))  # "diverged" once
    top.legend(handles.values(), handles.keys(), loc="lower right")
    axes[-1, 0].set_xlabel(_mantissa_label(series))
    note(figure, _spread_note(points))
    return figure


def _accuracy_by_label(points):
    shown = [p for p in points if p.accuracy is not None]
    figure, axis = plt.subplots(figsize=(COLUMN, 0.8 + 0.22 * len(shown)))
    rows = range(len(shown))
    y = np.array([p.accuracy for p in shown])
    axis.errorbar(y, rows, xerr=[y - [min(p.accuracies) for p in shown], [max(p.accuracies) for p in shown] - y],
                  fmt="o", color=SERIES[0], capsize=2, elinewidth=0.8)
    axis.set_yticks(list(rows), [p.label + (" (diverged)" if p.diverged else "") for p in shown])
    axis.invert_yaxis()
    axis.set_xlabel("test accuracy (%)")
    note(figure, _spread_note(points))
    return figure


def losses_per_pass(points):
    """VRR, NMSE and swamping against width, a column per pass."""
    series = sweep.width_series(points)
    found = {(metric, name): _metric_lines(series, name, metric) for metric in sweep.METRICS for name in PASSES}
    if not any(found.values()):
        return None
    figure, axes = plt.subplots(len(sweep.METRICS), len(PASSES), sharex=True, sharey="row",
                                figsize=(PAGE, 1.5 * len(sweep.METRICS) + 0.6))
    for row, metric in enumerate(sweep.METRICS):
        for column, name in enumerate(PASSES):
            axis = axes[row, column]
            for index, (label, widths, bounds) in enumerate(found[(metric, name)]):
                _band(axis, index, label, widths, bounds, 100 if metric in PERCENT else 1)
            _mantissa_axis(axis, series)
            if row == 0:
                axis.set_title(name)
            if column == 0:
                axis.set_ylabel(METRIC_LABELS[metric])
        _metric_scale(axes[row, 0], metric, found)
    for axis in axes[-1]:
        axis.set_xlabel(_mantissa_label(series))
    next(a for a in axes.flat if a.get_legend_handles_labels()[0]).legend(loc="lower right")
    note(figure, "line: median over sampled training steps; band: middle 80 % of these steps"
         + ("" if sweep.seeds(points) == 1 else " of all seeds") +
         "\nswamping: share of the pass's accumulations; VRR and NMSE: mean over layers")
    return figure


def _metric_lines(series, name, metric):
    lines = []
    for label, line in series.items():
        pairs = [(p.mantissa, sweep.pass_interval(p, name, metric)) for p in line]
        pairs = [(width, bounds) for width, bounds in pairs if bounds is not None]
        if pairs:
            lines.append((label, [w for w, _ in pairs], [b for _, b in pairs]))
    return lines


def _band(axis, index, label, widths, bounds, factor):
    colour = SERIES[index % len(SERIES)]
    axis.fill_between(widths, [factor * b.low for b in bounds], [factor * b.high for b in bounds], color=colour,
                      alpha=0.2, linewidth=0)
    axis.plot(widths, [factor * b.middle for b in bounds], color=colour, marker=MARKERS[index % len(MARKERS)],
              label=label)


def _metric_scale(axis, metric, found):
    """Shared along a row: zero is a bound for rates; NMSE spans decades; one is no loss for VRR."""
    if metric == "nmse":
        if any(b.low > 0 for name in PASSES for _, _, bounds in found[(metric, name)] for b in bounds):
            axis.set_yscale("log")
    elif metric in PERCENT:
        axis.set_ylim(bottom=0)
    else:
        axis.set_ylim(0, min(axis.get_ylim()[1], VRR_CEILING))
        for other in axis.figure.axes:
            if other.get_subplotspec().rowspan == axis.get_subplotspec().rowspan:
                other.axhline(1.0, color=GREY, linewidth=0.8, linestyle=":")


MOST_CURVES = 8  # curves told apart by labels: of more points the first and those that lose most are drawn
MOST_COLUMNS = 16


def _most_different(points):
    """The first point and those that lose most against it, in the sweep's order."""
    if len(points) <= MOST_CURVES:
        return points
    losses = {id(p): paired_loss(points[0], p) for p in points[1:]}
    worst = sorted((p for p in points[1:] if losses[id(p)]), key=lambda p: -losses[id(p)][0])[:MOST_CURVES - 1]
    return [p for p in points if p is points[0] or any(p is other for other in worst)]


def loss_curves(points):
    """Training loss against step: a panel per order of accumulation, the baselines in each."""
    series = sweep.width_series(points)
    if not series:
        points = _most_different(points)
    panels = series or {"": points}
    fixed = [p for p in sweep.baselines(points) if p is not None] if series else []
    if not any(run.steps for p in points for run in p.runs):
        return None
    figure, axes = plt.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False,
                                figsize=(COLUMN if len(panels) == 1 and series else PAGE, 2.6))
    for axis, (name, line) in zip(axes[0], panels.items()):
        for point, style in zip(fixed, ("--", ":")):
            _loss_line(axis, point, GREY, style, point.label if point.mantissa is None else point.accumulator)
        colours = plt.cm.viridis(np.linspace(0.9, 0.0, max(len(line), 2)))
        for point, colour in zip(line, colours):
            _loss_line(axis, point, colour, "-", point.accumulator if series else point.label)
        axis.set_title(name)
        axis.set_xlabel("training step")
        if series:
            axis.legend(ncol=2, handlelength=1.5)
        else:
            axis.legend(handlelength=1.5, loc="center left", bbox_to_anchor=(1, 0.5))
    axes[0, 0].set_ylabel("training loss")
    axes[0, 0].set_ylim(bottom=0, top=_loss_ceiling(points))
    note(figure, "cross-entropy of the first seed, mean over 15 steps; x: diverged, not finite from there")
    return figure


def _loss_line(axis, point, colour, style, label):
    run = point.runs[0]
    pairs = [(finite(row.get("step")), finite(row.get("loss"))) for row in run.steps]
    pairs = [(step, loss) for step, loss in pairs if step is not None and loss is not None]
    if not pairs:
        return
    steps, losses = map(np.array, zip(*pairs))
    smooth = running_mean(losses, 15)
    axis.plot(steps, smooth, color=colour, linestyle=style, label=label, linewidth=1.0)
    if run.diverged or len(pairs) < len(run.steps):
        axis.plot(steps[-1], smooth[-1], "x", color=colour, markersize=6)


def running_mean(values, window):
    """Mean over `window` values around each; near the start fewer, as many on either side, so that the first value is
    the first; near the end the last `window`."""
    total = np.cumsum(np.insert(values, 0, 0.0))
    places = np.arange(len(values))
    half = np.minimum(window // 2, places)
    ends = np.minimum(places + half + 1, len(values))
    starts = np.maximum(ends - 2 * half - 1, 0)
    return (total[ends] - total[starts]) / (ends - starts)


def _loss_ceiling(points):
    """A run that explodes must not flatten the others: a little above the usual start."""
    starts = [finite(run.steps[0].get("loss")) for p in points for run in p.runs if run.steps]
    starts = [value for value in starts if value is not None]
    return 1.25 * float(np.median(starts)) if starts else None


def swamping_map(points):
    """Full swamping per layer and pass against width, a panel per order of accumulation; without widths against the
    points of the sweep."""
    widths = sweep.width_series(points)
    series = widths or {"": points}
    tables = {name: [(p, sweep.layer_values(p, "full_swamping")) for p in line] for name, line in series.items()}
    tables = {name: [(p, v) for p, v in table if v] for name, table in tables.items()}
    tables = {name: table for name, table in tables.items() if table}
    if not tables or max(len(table) for table in tables.values()) > MOST_COLUMNS:
        return None
    keys = list(dict.fromkeys(key for table in tables.values() for _, values in table for key in values))
    layers = list(dict.fromkeys(layer for layer, _ in keys))
    rows = [(layer, name) for name in PASSES for layer in layers if (layer, name) in keys]
    figure, axes = plt.subplots(1, len(tables), squeeze=False, sharey=True,
                                figsize=(COLUMN if len(tables) == 1 and widths else PAGE,
                                         (0.9 if widths else 2.4) + 0.19 * len(rows)))
    top = max(value for table in tables.values() for _, values in table for value in values.values())
    for axis, (name, table) in zip(axes[0], tables.items()):
        grid = np.array([[values.get(key, np.nan) for _, values in table] for key in rows]) * 100
        image = axis.imshow(grid, aspect="auto", cmap="cividis", vmin=0, vmax=max(100 * top, 1e-9))
        _write_cells(axis, grid, 100 * top)
        axis.set_title(name)
        if widths:
            axis.set_xticks(range(len(table)), [p.accumulator for p, _ in table])
            axis.set_xlabel("accumulator")
        else:
            axis.set_xticks(range(len(table)), [p.label for p, _ in table], rotation=35, ha="right")
        axis.grid(False)
    axes[0, 0].set_yticks(range(len(rows)), [f"{layer} {name}" for layer, name in rows])
    figure.colorbar(image, ax=list(axes[0]), label=METRIC_LABELS["full_swamping"], pad=0.01)
    note(figure, "share of accumulations that a non-zero product left unchanged, over all sampled training steps")
    return figure


def _write_cells(axis, grid, top):
    for (row, column), value in np.ndenumerate(grid):
        text = "-" if np.isnan(value) else f"{value:.1f}" if value >= 0.05 or value == 0 else "<0.1"
        axis.text(column, row, text, ha="center", va="center", fontsize=6,
                  color="black" if value > 0.55 * top else "white")


FIGURES = {
    "gradient_bits": accuracy_against_bits,
    "extra_bits": loss_against_extra_bits,
    "accuracy": accuracy,
    "losses": losses_per_pass,
    "training-loss": loss_curves,
    "swamping": swamping_map,
    "cost": accuracy_against_cost,
}
