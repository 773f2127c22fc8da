"""The pictures of sweeps over gradient quantizers."""

import statistics

from .style import COLUMN, GREY, MARKERS, SERIES, note, plt


def accuracy_against_bits(points):
    """Test accuracy against the bits of BWD's gradient, a line per quantizer, QAT as a level."""
    lines, levels = {}, []
    for point in points:
        table = point.runs[0].config.get("quantization")
        if table is None or not point.accuracies:
            continue
        if table["gradient"] == "none":
            levels += point.accuracies
        else:
            lines.setdefault(table["gradient"], []).append((table["gradient_bits"], point.accuracies))
    if not lines:
        return None
    figure, axis = plt.subplots(figsize=(COLUMN, 2.8))
    for index, (scheme, line) in enumerate(sorted(lines.items())):
        line.sort()
        means = [statistics.fmean(accuracies) for _, accuracies in line]
        low = [mean - min(accuracies) for mean, (_, accuracies) in zip(means, line)]
        high = [max(accuracies) - mean for mean, (_, accuracies) in zip(means, line)]
        places = [bits + 0.06 * (index - 1) for bits, _ in line]
        axis.errorbar(places, means, yerr=[low, high], color=SERIES[index], marker=MARKERS[index], capsize=2,
                      elinewidth=0.8, label=scheme.upper())
    if levels:
        axis.axhline(statistics.fmean(levels), color=GREY, linestyle="--", linewidth=1.0, label="QAT")
    axis.set_xlabel("bits of the gradient in BWD")
    axis.set_ylabel("test accuracy (%)")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.legend()
    note(figure, "mean of the seeds, bars: smallest to largest")
    return figure
