"""The pictures of a prediction sweep and of predictions in one run."""

from matplotlib.ticker import FixedLocator

from . import prediction
from .data import PASSES, finite
from .style import BLUE, GREY, MARKERS, PAGE, PASS_COLOURS, VERMILION, note, plt

LINE_COLOURS = {"all": VERMILION, **PASS_COLOURS}


def accuracy(points):
    """Test accuracy against bits above the prediction: a panel per order, a line for all passes and for each."""
    lines, wide = prediction.lines_of(points)
    chunks = list(dict.fromkeys(chunk for _, chunk in lines))
    if wide is None or not wide.accuracies:
        return None
    figure, axes = plt.subplots(1, len(chunks), sharey=True, squeeze=False, figsize=(PAGE, 2.9))
    level, error = prediction.mean_and_error(wide.accuracies)
    for axis, chunk in zip(axes[0], chunks):
        axis.axhline(level, color=GREY, linestyle=":", label=wide.label)
        axis.axhspan(level - error, level + error, color=GREY, alpha=0.2, linewidth=0)
        axis.axvline(0, color=GREY, linewidth=0.8)
        shown = [(passes, line) for (passes, its_chunk), line in lines.items() if its_chunk == chunk]
        for index, (passes, line) in enumerate(shown):
            _line(axis, passes, line, index, len(shown))
        axis.set_title(prediction.order_name(chunk))
        axis.set_xlabel("mantissa bits above the predicted ones")
        axis.xaxis.set_major_locator(FixedLocator(sorted({o for _, line in shown for o in line})))
    axes[0, 0].set_ylabel("test accuracy (%)")
    axes[0, -1].legend(loc="lower right", title="narrow in")
    note(figure, "mean over seeds, bars: standard error; vertical line: what theory asks for; other passes in fp32 "
                 "accumulators")
    return figure


def _line(axis, passes, line, index, count):
    shown = {offset: point.accuracies for offset, point in line.items() if point.accuracies}
    if not shown:
        return
    pairs = [prediction.mean_and_error(values) for values in shown.values()]
    places = [offset + 0.08 * (index - (count - 1) / 2) for offset in shown]
    axis.errorbar(places, [mean for mean, _ in pairs], yerr=[error for _, error in pairs], capsize=2, elinewidth=0.8,
                  color=LINE_COLOURS[passes], marker=MARKERS[index], label=passes)


def predicted_and_measured(run):
    """VRR of every layer, predicted and measured: a column per pass; below, what is lost, on a logarithmic axis."""
    rows = [row for row in run.layers if finite(row.get("vrr_predicted")) is not None]
    if not rows:
        return None
    names = list(dict.fromkeys(row["layer"] for row in run.layers))
    figure, axes = plt.subplots(2, len(PASSES), sharex=True, sharey="row", figsize=(PAGE, 3.8))
    for column, name in enumerate(PASSES):
        values = {row["layer"]: (finite(row["vrr_predicted"]), finite(row.get("vrr")))
                  for row in rows if row["pass"] == name}
        for which, (label, marker, colour) in enumerate((("predicted", "o", BLUE), ("measured", "x", VERMILION))):
            found = [(i, values[layer][which]) for i, layer in enumerate(names)
                     if layer in values and values[layer][which] is not None]
            axes[0, column].plot([i for i, _ in found], [v for _, v in found], marker, color=colour, label=label,
                                 fillstyle="none")
            lost = [(i, 1 - v) for i, v in found if 1 - v > 1e-12]
            axes[1, column].plot([i for i, _ in lost], [v for _, v in lost], marker, color=colour, fillstyle="none")
        axes[0, column].set_title(name)
        axes[1, column].set_xticks(range(len(names)), names, rotation=0 if len(names) <= 4 else 75)
    axes[0, 0].set_ylabel("VRR")
    axes[1, 0].set_ylabel("1 - VRR")
    axes[1, 0].set_yscale("log")
    axes[0, 0].legend()
    figure.suptitle(f"{run.label}: theory and measurement")
    note(figure, "theory at each layer's own length, mantissa and measured share of non-zero products; below, losses "
                 "of at most 1e-12 (and gains) are not drawn")
    return figure


FIGURES = {"prediction": accuracy}
