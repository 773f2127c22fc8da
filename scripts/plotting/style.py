"""How the pictures look: for a column of print (86 mm) or two (178 mm), colours that colour-blind readers tell apart."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  (the backend is chosen first)

COLUMN = 3.4  # inches
PAGE = 7.0

# Okabe and Ito, "Color universal design" (2008).
BLUE, ORANGE, GREEN, VERMILION, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#666666"
PURPLE, SKY = "#CC79A7", "#56B4E9"
SERIES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P")
PASS_COLOURS = {"FWD": BLUE, "BWD": ORANGE, "GRAD": GREEN}

METRIC_LABELS = {
    "vrr": "VRR",
    "nmse": "NMSE",
    "full_swamping": "full swamping (%)",
    "partial_swamping": "partial swamping (%)",
}
PERCENT = ("full_swamping", "partial_swamping")

plt.rcParams.update({
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "grid.linewidth": 0.4,
    "grid.color": "#dddddd",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "narrowmac",
    "savefig.dpi": 200,
    "figure.constrained_layout.use": True,
})


def note(figure, text):
    """What lines and bands mean, under the figure."""
    figure.supxlabel(text, fontsize=6.5, color=GREY, x=0.5)


def save(figure, directory, name):
    """Writes NAME.svg and NAME.png; returns their paths."""
    paths = [directory / f"{name}.svg", directory / f"{name}.png"]
    figure.savefig(paths[0], metadata={"Date": None})
    figure.savefig(paths[1])
    plt.close(figure)
    return paths
