#!/usr/bin/python3
"""Draws a sweep directory, a run directory or a table of narrowmac measure as SVG and PNG.

From a sweep: test accuracy against accumulator width, what each pass lost, loss curves, swamping per layer.
From a sweep around predicted widths: test accuracy against bits above the prediction.
From a sweep over gradient quantizers: test accuracy against bits.
From a run: its loss, what each layer lost, what theory predicts of it, variance of quantised gradients beside its bound. Unfinished sweeps are drawn as far as they are.
From a CSV file of `narrowmac measure`: VRR and NMSE over length, a curve per mantissa, with the theory's VRR.
"""

import argparse
import sys
from pathlib import Path

from plotting.data import DataError, load_run, load_sweep


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", metavar="DIR", type=Path,
                        help="sweep or run directory, or a CSV file of narrowmac measure")
    parser.add_argument("--out", type=Path, help="where pictures go (default: DIR/plots; beside a CSV file)")
    arguments = parser.parse_args()
    try:
        figures, source, note = load(arguments.directory)
    except DataError as error:
        print(f"plot.py: {error}", file=sys.stderr)
        return 2
    from plotting.style import save
    beside = arguments.directory.parent if arguments.directory.is_file() else arguments.directory
    out = arguments.out or beside / "plots"
    out.mkdir(parents=True, exist_ok=True)
    print(note)
    for name, draw in figures.items():
        figure = draw(source)
        if figure is None:
            print(f"  {name}: nothing to draw yet")
            continue
        print("  " + "  ".join(str(path) for path in save(figure, out, name)))
    return 0


def load(directory):
    """The figures of a directory, what they are drawn from, and a line about it."""
    if directory.is_file():
        from plotting.measure_figures import FIGURES, load_measure
        return FIGURES, load_measure(directory), f"Pictures of {directory}:"
    if not directory.is_dir():
        raise DataError(f"{directory}: no such directory; expected a sweep or run directory of narrowmac")
    if (directory / "sweep.csv").is_file():
        from plotting.points import group_points
        from plotting.sweep_figures import FIGURES
        from plotting import prediction, prediction_figures
        runs, total = load_sweep(directory)
        finished = sum(run.summary is not None for run in runs)
        points = group_points(runs)
        figures = prediction_figures.FIGURES if prediction.is_prediction(points) else FIGURES
        return figures, points, f"Pictures of {directory} ({finished} of {total} runs finished):"
    if (directory / "config.toml").is_file():
        from plotting.run_figures import FIGURES
        return FIGURES, load_run(directory), f"Pictures of {directory}:"
    raise DataError(f"{directory}: neither sweep.csv nor config.toml here; expected a sweep or run directory of "
                    "narrowmac")


if __name__ == "__main__":
    sys.exit(main())
