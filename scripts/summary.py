#!/usr/bin/python3
"""Prints what a sweep found: a table of its points, and sentences that claim no more than its seeds can tell."""

import argparse
import sys
import textwrap
from pathlib import Path

from plotting import prediction
from plotting.data import DataError, load_sweep
from plotting.points import group_points
from plotting.report import compares_labels, conclusion, costs_note, table


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", metavar="DIR", type=Path, help="sweep directory")
    arguments = parser.parse_args()
    try:
        runs, total = load_sweep(arguments.directory)
    except DataError as error:
        print(f"summary.py: {error}", file=sys.stderr)
        return 2
    points = group_points(runs)
    predicted = prediction.is_prediction(points)
    if predicted:
        print(prediction.table(points) + "\n\n" + prediction.knee_table(points))
    else:
        print(table(points))
        if not compares_labels(points):
            print("swamped: full swamping, the share of a pass's additions that left the accumulator as it was")
            if note := costs_note(points):
                print(wrap(note))
    finished = sum(run.summary is not None for run in runs)
    if finished < total:
        print(f"\nUnfinished: {finished} of {total} runs are done.")
    print()
    for sentence in prediction.conclusion(points) if predicted else conclusion(points):
        print(wrap(sentence))
    return 0


def wrap(sentence):
    """Lines of at most 100 characters; a number keeps its percent sign."""
    return textwrap.fill(sentence.replace(" %", "\0%"), width=100).replace("\0", " ")


if __name__ == "__main__":
    sys.exit(main())
