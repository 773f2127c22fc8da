"""The pictures of one run. Each function returns a figure, or None if the run has nothing to show in it."""

import numpy as np

from .data import PASSES, finite
from .points import METRICS
from .prediction_figures import predicted_and_measured
from .style import BLUE, COLUMN, METRIC_LABELS, PAGE, PASS_COLOURS, PERCENT, PURPLE, VERMILION, note, plt
from .sweep_figures import running_mean


def loss(run):
    pairs = [(finite(row.get("step")), finite(row.get("loss"))) for row in run.steps]
    pairs = [(step, value) for step, value in pairs if step is not None and value is not None]
    if not pairs:
        return None
    steps, losses = map(np.array, zip(*pairs))
    figure, axis = plt.subplots(figsize=(COLUMN, 2.4))
    axis.plot(steps, losses, color=BLUE, alpha=0.3, linewidth=0.6, label="each step")
    axis.plot(steps, running_mean(losses, 15), color=BLUE, label="mean over 15 steps")
    axis.set_xlabel("training step")
    axis.set_ylabel("training loss")
    axis.set_ylim(bottom=0)
    axis.legend()
    if run.accuracy is not None:
        outcome = "diverged" if run.diverged else f"test accuracy {run.accuracy:.2f} %"
        axis.set_title(f"{run.label}: {outcome}")
    return figure


def layers(run):
    """VRR, NMSE and swamping per layer, a bar per pass, from layers.csv."""
    values = {(row["layer"], row["pass"], metric): finite(row.get(metric))
              for row in run.layers if row.get("pass") in PASSES for metric in METRICS}
    values = {key: value for key, value in values.items() if value is not None}
    if not values:
        return None
    names = list(dict.fromkeys(row["layer"] for row in run.layers))
    figure, axes = plt.subplots(2, 2, sharex=True, figsize=(PAGE, 3.8))
    for axis, metric in zip(axes.flat, METRICS):
        factor = 100 if metric in PERCENT else 1
        for index, name in enumerate(PASSES):
            heights = [values.get((layer, name, metric)) for layer in names]
            places = [i + 0.26 * (index - 1) for i, height in enumerate(heights) if height is not None]
            axis.bar(places, [factor * height for height in heights if height is not None], width=0.24,
                     color=PASS_COLOURS[name], label=name)
        axis.set_ylabel(METRIC_LABELS[metric])
        axis.set_xticks(range(len(names)), names, rotation=0 if len(names) <= 8 else 60)
        axis.grid(axis="x", visible=False)
    errors = [value for (_, _, metric), value in values.items() if metric == "nmse" and value > 0]
    if errors:
        axis = axes.flat[METRICS.index("nmse")]
        axis.set_yscale("log")
        # Bars on a logarithmic axis have no zero to stand on: whole decades below the smallest.
        axis.set_ylim(10 ** np.floor(np.log10(min(errors)) - 0.3), 10 ** np.ceil(np.log10(max(errors)) + 0.1))
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper right", ncol=3)
    figure.suptitle(run.label)
    note(figure, "all sampled training steps together; no bar: not computed on the array")
    return figure


def gradients(run):
    """Measured variance of each layer's quantised gradients and their bound; where all three quantizers saw the same
    gradient, their variances."""
    rows = {(row["layer"], row["pass"]): row for row in run.layers if finite(row.get("gradient_variance")) is not None}
    if not rows:
        return None
    names = list(dict.fromkeys(row["layer"] for row in run.layers))
    figure, axes = plt.subplots(1, 2, sharey=True, figsize=(PAGE, 3.0))
    for axis, (name, title) in zip(axes, (("BWD", "for BWD"), ("GRAD", "for GRAD, per tensor"))):
        def line(column, style, colour, label):
            points = [(i, finite(rows[layer, name].get(column))) for i, layer in enumerate(names) if (layer, name) in rows]
            points = [(i, value) for i, value in points if value]
            if points:
                axis.plot(*zip(*points), style, color=colour, markersize=5, label=label)
        line("gradient_bound", "_", "black", "bound")
        line("gradient_variance", "o", PASS_COLOURS[name], "measured")
        for scheme, marker, colour in (("ptq", "1", VERMILION), ("psq", "2", PURPLE), ("bhq", "3", BLUE)):
            line(f"variance_{scheme}", marker, colour, f"by {scheme.upper()}")
        axis.set_yscale("log")
        slant = {} if len(names) <= 4 else {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
        axis.set_xticks(range(len(names)), names, **slant)
        axis.set_title(title)
        axis.legend()
    axes[0].set_ylabel("variance of the quantised gradient")
    figure.suptitle(run.label)
    note(figure, "means over the sampled steps")
    return figure


FIGURES = {"loss": loss, "layers": layers, "gradients": gradients, "prediction": predicted_and_measured}
