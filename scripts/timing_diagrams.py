#!/usr/bin/python3
"""Draws the timing diagrams of docs/array.md from waveforms that narrowmac trace writes.

One diagram per dataflow: a 3 x 3 array, a GEMM of one fold with 6 streamed elements. A row per PE, a column per clock
cycle: which element a PE multiplies, and in which cycles its addition lost bits.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from plotting.vcd import Waveform

ROOT = Path(__file__).resolve().parent.parent
SIDE, STREAMED = 3, 6
SHAPES = {"os": (SIDE, SIDE, STREAMED), "ws": (STREAMED, SIDE, SIDE), "is": (SIDE, STREAMED, SIDE)}
NAMES = {"os": "output stationary", "ws": "weight stationary", "is": "input stationary"}
STREAM_LETTER = {"os": "k", "ws": "m", "is": "n"}


def trace(program, dataflow, directory):
    """A waveform and its number of cycles."""
    path = Path(directory) / f"{dataflow}.vcd"
    shape = "x".join(str(side) for side in SHAPES[dataflow])
    output = subprocess.run(
        [program, "trace", "--mac", ROOT / "configs/macs/e5m2-e6m3.toml", "--array", f"{SIDE}x{SIDE}", "--gemm", shape,
         "--dataflow", dataflow, "--psum", "chained", "--out", path, "--format", "json"],
        check=True, capture_output=True, text=True).stdout
    return Waveform(path), json.loads(output)["cycles"]


def draw(axes, waveform, cycles, dataflow):
    from plotting.style import BLUE, GREY, ORANGE, VERMILION
    pes = waveform.pes()
    for place, (row, column) in enumerate(pes):
        element = 0
        for edge in range(cycles):
            signal = lambda name: waveform.after_edge(f"pe_{row}_{column}.{name}", edge)
            if not signal("valid"):
                continue
            colour = VERMILION if signal("full_swamping") else ORANGE if signal("partial_swamping") else BLUE
            axes.broken_barh([(edge + 0.06, 0.88)], (place - 0.4, 0.8), facecolors=colour)
            axes.text(edge + 0.5, place, f"{STREAM_LETTER[dataflow]}{element}", ha="center", va="center", fontsize=6,
                      color="white")
            element += 1
    parts = [("load", SIDE), ("fill", SIDE - 1), ("compute", STREAMED), ("drain", SIDE - 1)]
    if dataflow == "os":
        parts = [("fill", 2 * SIDE - 2), ("compute", STREAMED)]
    start = 0
    for name, length in parts:
        axes.axvline(start, color=GREY, linewidth=0.6, linestyle=":")
        axes.text(start + length / 2, -0.75, f"{name} {length}", ha="center", va="center", fontsize=6.5, color=GREY)
        start += length
    axes.axvline(start, color=GREY, linewidth=0.6, linestyle=":")
    axes.set_yticks(range(len(pes)), [f"PE {row},{column}" for row, column in pes])
    axes.set_ylim(len(pes) - 0.4, -1.2)
    axes.set_xlim(0, cycles)
    axes.set_xticks([cycle + 0.5 for cycle in range(cycles)], [str(cycle) for cycle in range(cycles)])
    axes.set_xlabel("clock cycle")
    axes.set_title(f"{dataflow}, {NAMES[dataflow]}: {cycles} cycles")
    axes.grid(False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, default=ROOT / "build/release/narrowmac")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/images", help="where pictures go")
    arguments = parser.parse_args()
    from plotting.style import PAGE, note, plt
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        for dataflow in SHAPES:
            waveform, cycles = trace(arguments.program, dataflow, directory)
            figure, axes = plt.subplots(figsize=(PAGE, 2.4))
            draw(axes, waveform, cycles, dataflow)
            note(figure, "orange: bits of the product were lost in the addition; red: all of them")
            path = arguments.out / f"timing-{dataflow}.png"
            figure.savefig(path, metadata={"Software": None})
            plt.close(figure)
            print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
