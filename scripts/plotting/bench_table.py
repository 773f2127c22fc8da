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
    "quantised": "Fully quantised training steps at batch 128, 5-bit gradients, against plain 8-bit formats, accumulators fx32.0",
    "fixed-point": "Training steps at batch 128 with weight residuals and rounded weight gradients, against the same fixed-point operands and accumulators with fp32 weights",
    "cycle": "Fidelity cycle, one GEMM, against the functional kernel",
    "structural": "A module per PE, one GEMM, against the functional kernel",
    "transaction": "Training steps at batch 128 with a memory model, fidelity transaction against functional",
    "timing": "Transactions without values, against the closed form",
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


def plain_table(heads, rows):
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def steps_table(document, group, works):
    """PE steps: cycles of every PE, idle ones included."""
    rows = []
    for work, by_threads in works.items():
        one = by_threads[1]
        deviation = spread(document, one["name"])
        rows.append([work, f"{1000 * one['GPE/s']:.0f}", f"{one['GMAC/s']:.4g}", f"{1 / one['ratio']:.0f}",
                     f"{100 * deviation:.0f} %" if deviation is not None else ""])
    heads = ["array", "million PE steps/s, 1 thread", "GMAC/s", "times the kernel's time", "spread"]
    return "\n".join([f"**{TITLES[group]}**", ""] + plain_table(heads, rows))


def seconds_table(document, group, works):
    rows = [[work, f"{by_threads[1]['real_time'] / 1000:.2f}", f"{1 / by_threads[1]['ratio']:.1f}"]
            for work, by_threads in works.items()]
    return "\n".join([f"**{TITLES[group]}**", ""] + plain_table(["work", "seconds", "times the closed form's time"], rows))


def table(document, group, works):
    if group in ("cycle", "structural"):
        return steps_table(document, group, works)
    if group == "timing":
        return seconds_table(document, group, works)
    step = group in ("step", "transaction", "quantised", "fixed-point")
    ratio = (lambda entry: 1 / entry["ratio"]) if step else (lambda entry: entry["ratio"])
    baseline = {"transaction": "functional", "quantised": "plain", "fixed-point": "plain"}.get(group, "fp32")
    unit = f"times the {baseline} step's time" if step else "x OpenBLAS"
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
    parser.add_argument("files", metavar="JSON", type=Path, nargs="+")
    arguments = parser.parse_args()
    document = {"benchmarks": []}
    for file in arguments.files:
        try:
            document["benchmarks"] += json.loads(file.read_text())["benchmarks"]
        except (OSError, ValueError, KeyError) as error:
            print(f"bench_table.py: {file}: {error}", file=sys.stderr)
            return 2
    groups = medians(document)
    if not groups:
        print("bench_table.py: found no benchmark with a ratio", file=sys.stderr)
        return 2
    print("\n\n".join(table(document, group, works) for group, works in groups.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
