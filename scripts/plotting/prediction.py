"""What a prediction sweep says: where training breaks, beside where theory and measurement say that it should.

Such a sweep gives accumulators the mantissa that theory predicts, plus an offset (mac.accumulator_mantissa =
"predicted-2"), in all passes or in one, sequential or in chunks. A knee is the smallest offset from which on, upwards,
every point of a line is good.
"""

import math
import re
import statistics
from collections import defaultdict
from dataclasses import dataclass

from .data import PASSES, finite, mantissa_bits

MARGIN = 1.0  # points of test accuracy: smaller losses are never claimed
CHANCE = 10.0  # accuracy of a network that cannot be evaluated
VRR_KNEE = 0.95
NMSE_KNEE = 0.01


@dataclass
class Place:
    """Where a point stands: "all" or a pass; products per chunk, 0 for sequential; bits above the prediction."""

    passes: str
    chunk: int
    offset: int

    @property
    def line(self):
        return self.passes, self.chunk


def place_of(keys):
    """The place of a point, from the keys that the sweep sets; None if it has no predicted mantissa."""
    for key, value in keys.items():
        rule = re.fullmatch(r"predicted([+-]\d+)?", value or "")
        name = re.fullmatch(r"mac\.(?:(FWD|BWD|GRAD)\.)?accumulator_mantissa", key)
        if rule and name:
            inside = f"mac.{name.group(1)}." if name.group(1) else "mac."
            return Place(name.group(1) or "all", int(keys.get(inside + "chunk.length") or 0), int(rule.group(1) or 0))
    return None


def is_prediction(points):
    return sum(place_of(point.runs[0].keys) is not None for point in points) > 1


def lines_of(points):
    """{(passes, chunk): {offset: point}}, offsets falling, and the point without a prediction."""
    lines, wide = defaultdict(dict), None
    for point in points:
        place = place_of(point.runs[0].keys)
        if place is None:
            wide = wide or point
        else:
            lines[place.line][place.offset] = point
    return {line: dict(sorted(found.items(), reverse=True)) for line, found in lines.items()}, wide


def losses(point, wide):
    """Points of accuracy that each finished seed loses against the same seed of `wide`."""
    reference = {run.seed: _accuracy(run) for run in wide.runs if run.summary is not None}
    return [reference[run.seed] - _accuracy(run) for run in point.runs
            if run.summary is not None and run.seed in reference]


def _accuracy(run):
    return CHANCE if run.accuracy is None else run.accuracy


def mean_and_error(values):
    """Mean and standard error; the error is 0 of one value."""
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return statistics.fmean(values), error


def trains(point, wide):
    """False if every seed loses, and by a point or more in the mean; None while no seed is finished."""
    found = losses(point, wide)
    if not found:
        return None
    return not (min(found) > 0 and statistics.fmean(found) >= MARGIN)


def _rows(point, passes):
    wanted = PASSES if passes == "all" else (passes,)
    return [row for run in point.runs for row in run.layers if row.get("pass") in wanted]


def worst(point, passes, metric, pick):
    """The worst layer's metric, each layer's the mean over seeds; None without measurements."""
    values = defaultdict(list)
    for row in _rows(point, passes):
        value = finite(row.get(metric))
        if value is not None:
            values[row["layer"], row["pass"]].append(value)
    return pick((statistics.fmean(v) for v in values.values()), default=None)


def keeps_variance(point, passes):
    value = worst(point, passes, "vrr", min)
    return None if value is None else value >= VRR_KNEE


def is_accurate(point, passes):
    value = worst(point, passes, "nmse", max)
    return None if value is None else value <= NMSE_KNEE


def sparse_theory_agrees(point, passes):
    """Whether every layer has the bits that theory asks for at the non-zero ratio that was measured in it."""
    answers = []
    for run in point.runs:
        used = {(layer["name"], layer["pass"]): mantissa_bits(layer["accumulator"])
                for layer in run.config.get("mac", {}).get("layer", [])}
        for row in run.layers:
            wanted, has = finite(row.get("mantissa_predicted")), used.get((row["layer"], row["pass"]))
            if wanted is not None and has is not None and passes in ("all", row["pass"]):
                answers.append(has >= wanted)
    return all(answers) if answers else None


def knee(line, is_good):
    """The smallest offset from which on all are good: None if the largest is not, or if a point is not known yet."""
    result = None
    for offset in sorted(line, reverse=True):
        if not is_good(line[offset]):
            break
        result = offset
    return result


def knees(points):
    """[(passes, chunk, smallest offset, {criterion: knee})], in the order of the sweep."""
    lines, wide = lines_of(points)
    found = []
    for (passes, chunk), line in lines.items():
        finished = {offset: point for offset, point in line.items() if point.finished}
        if wide is None or not finished:
            continue
        found.append((passes, chunk, min(finished), {
            "training": knee(finished, lambda point: trains(point, wide)),
            "theory": 0,
            "theory, sparse": knee(finished, lambda point, p=passes: sparse_theory_agrees(point, p)),
            "VRR": knee(finished, lambda point, p=passes: keeps_variance(point, p)),
            "NMSE": knee(finished, lambda point, p=passes: is_accurate(point, p)),
        }))
    return found


def order_name(chunk):
    return f"chunk {chunk}" if chunk else "sequential"


def table(points):
    """Accuracy lost at each offset, mean and standard error over seeds, a line per passes and order."""
    lines, wide = lines_of(points)
    if wide is None or not wide.accuracies:
        return "The sweep's point without a prediction is not finished: nothing to compare with yet."
    offsets = sorted({offset for line in lines.values() for offset in line}, reverse=True)
    rows = [["points lost at", *(f"{offset:+d}" if offset else "predicted" for offset in offsets)]]
    for (passes, chunk), line in lines.items():
        cells = []
        for offset in offsets:
            found = losses(line[offset], wide) if offset in line else []
            cells.append("{:.1f} ± {:.1f}".format(*mean_and_error(found)) if found else "-")
        rows.append([f"{passes}, {order_name(chunk)}", *cells])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    text = "\n".join("  ".join([row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])])
                     for row in rows)
    mean, error = mean_and_error(wide.accuracies)
    return (f"Test accuracy of {wide.label}: {mean:.1f} ± {error:.1f} % (mean and standard error of "
            f"{len(wide.accuracies)} seeds)\n\n{text}")


def knee_table(points):
    names = ["training", "theory", "theory, sparse", "VRR", "NMSE"]
    rows = [["smallest good offset", *names]]
    for passes, chunk, smallest, found in knees(points):
        cells = ["none" if found[name] is None else
                 ("≤ " if found[name] == smallest and name != "theory" else "") + f"{found[name]:+d}" for name in names]
        rows.append([f"{passes}, {order_name(chunk)}", *cells])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join([row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])])
                     for row in rows)


def conclusion(points):
    """How far each criterion is from where training breaks, over the lines that do break; says which is closest."""
    sentences = ["Training breaks where every seed loses against its own run in the widest accumulators, by a point or "
                 f"more in the mean. VRR: at least {VRR_KNEE} measured in every layer; NMSE: at most {NMSE_KNEE:g}; "
                 "sparse: theory at the measured non-zero ratios."]
    known = [(smallest, names) for _, _, smallest, names in knees(points) if names["training"] is not None]
    broken = [names for smallest, names in known if names["training"] > smallest]
    if len(known) > len(broken):
        sentences.append(f"{len(known) - len(broken)} of {len(known)} lines still train at the narrowest width that was "
                         "tried and are left out below.")
    distances = {}
    for name, text in (("theory", "Theory"), ("theory, sparse", "Theory with measured sparsity"),
                       ("VRR", "Measured VRR"), ("NMSE", "Measured NMSE")):
        gaps = [names[name] - names["training"] for names in broken if names[name] is not None]
        if gaps:
            distances[text] = statistics.fmean(abs(gap) for gap in gaps)
            sentences.append(f"{text} asks for {_signed(min(gaps))} to {_signed(max(gaps))} bits against what training "
                             f"needs, {distances[text]:.1f} off in the mean ({_lines(len(gaps))}).")
    if distances:
        least = min(distances.values())
        best = [text for text, distance in distances.items() if distance == least]
        sentences.append(f"Closest to the knee: {' and '.join(best)}.")
    return sentences


def _lines(count):
    return "one line" if count == 1 else f"{count} lines"


def _signed(value):
    return f"{value:+d}" if value else "0"
