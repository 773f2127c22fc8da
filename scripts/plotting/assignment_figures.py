"""The pictures of sweeps that take bits from an assignment, class of tensors by class."""

import statistics

from .report import paired_loss
from .style import GREY, MARKERS, PAGE, SERIES, note, plt

PREFIX = "formats.extra_bits."
ACCUMULATORS = "mac.accumulator_extra_bits"


def _keys(point):
    """What the sweep sets in the point."""
    return {key: value for key, value in point.runs[0].keys.items() if value not in ("", None)}


def _change(point):
    """(class, bits) that a point sets, or None; the assignment itself sets nothing."""
    keys = _keys(point)
    if len(keys) != 1:
        return None
    for key, value in keys.items():
        if key.startswith(PREFIX):
            name = key[len(PREFIX):].replace("_", " ")
            return "activation gradient" if name == "gradient" else name, int(value)
        if key == ACCUMULATORS:
            return "accumulator", int(value)
    return None


def loss_against_extra_bits(points):
    """Points of accuracy below the assignment against the bits that a class has more or fewer: a panel per class."""
    base = next((point for point in points if not _keys(point) and point.accuracies), None)
    if base is None:
        return None
    changes = [(change, point) for point in points
               if (change := _change(point)) is not None and paired_loss(base, point) is not None]
    if not changes:
        return None
    classes = list(dict.fromkeys(change[0] for change, _ in changes))
    figure, axes = plt.subplots(1, len(classes), sharey=True, squeeze=False, figsize=(PAGE, 2.4))
    for index, name in enumerate(classes):
        axis = axes[0, index]
        line = sorted([(bits, *paired_loss(base, point)) for (own, bits), point in changes if own == name]
                      + [(0, 0.0, 0.0)])
        axis.errorbar([bits for bits, _, _ in line], [mean for _, mean, _ in line],
                      yerr=None if any(error is None for _, _, error in line) else [error for _, _, error in line], color=SERIES[index % len(SERIES)],
                      marker=MARKERS[index % len(MARKERS)], capsize=2, elinewidth=0.8)
        axis.axhline(0, color=GREY, linestyle=":", linewidth=0.8)
        axis.set_title(name)
        axis.set_xticks(sorted({bits for bits, _, _ in line}), [f"{bits:+d}" if bits else "0"
                                                               for bits in sorted({b for b, _, _ in line})])
    axes[0, 0].set_ylabel("points below the assignment")
    seeds = statistics.fmean(len(point.accuracies) for _, point in changes)
    note(figure, f"across: bits more or fewer in every layer; mean of {seeds:.0f} seeds, paired; bars: standard error")
    return figure
