#!/usr/bin/python3
"""Prints the Markdown tables of README.md from Google Benchmark's JSON (see scripts/bench)."""

import argparse
import json
import sys
from pathlib import Path

TITLES = {
    "gemm": "One GEMM, 128 x 128 x 1024, against sgemm",
    "statistics": "The same with statistics of every output",
    "reference": "The exact scalar reference",
    "layer": "Layers at batch 128, e5m2 into e6m9, against patches and sgemm",
    "step": "Training steps at batch 128, against the fp32 step",
}


def medians(document):
    """{group: {work: {threads: benchmark}}} of the medians, in the order of the file."""
    groups = {}
    for entry in document["benchmarks"]:
        if entry.get("aggregate_name", "median") != "median" or "ratio" not in entry:
            continue
        group, rest = entry["name"].split("/", 1)
        work, threads = rest.split("/threads:")
        groups.setdefault(group, {}).setdefault(work, {})[int(threads.split("/")[0])] = entry
    return groups


def spread(document, name):
    """Relative standard deviation of a benchmark's ratio over its repeats, or None."""
    for entry in document["benchmarks"]:
        if entry["name"] == name.replace("_median", "_cv") and "ratio" in entry:
            return entry["ratio"]
    return None


def table(document, group, works):
    step = group == "step"
    ratio = (lambda entry: 1 / entry["ratio"]) if step else (lambda entry: entry["ratio"])
    unit = "times the fp32 step's time" if step else "x OpenBLAS"
    lines = [f"**{TITLES.get(group, group)}**", ""]
    lines.append(f"| work | GMAC/s, 1 thread | {unit}, 1 thread | spread | {unit}, 2 threads | 2 threads against 1 |")
    lines.append("|---|---|---|---|---|---|")
    for work, by_threads in works.items():
        one, two = by_threads.get(1), by_threads.get(2)
        deviation = spread(document, one["name"]) if one else None
        cells = [
            f"{one['GMAC/s']:.2f}" if one else "",
            f"{ratio(one):.2f}" if one and ratio(one) >= 0.005 else f"{ratio(one):.4f}" if one else "",
            f"{100 * deviation:.0f} %" if deviation is not None else "",
            f"{ratio(two):.2f}" if two else "",
            f"{two['GMAC/s'] / one['GMAC/s']:.2f}" if one and two else "",
        ]
        lines.append(f"| {work} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", metavar="JSON", type=Path)
    arguments = parser.parse_args()
    try:
        document = json.loads(arguments.file.read_text())
    except (OSError, ValueError) as error:
        print(f"bench_table.py: {arguments.file}: {error}", file=sys.stderr)
        return 2
    groups = medians(document)
    if not groups:
        print(f"bench_table.py: {arguments.file} holds no benchmark with a ratio", file=sys.stderr)
        return 2
    print("\n\n".join(table(document, group, works) for group, works in groups.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
