"""What a sweep says, computed from its runs: points (runs that differ in the seed only), series, intervals."""

import statistics
from collections import defaultdict
from dataclasses import dataclass, field

from .data import PASSES, Run, finite, is_fp32_accumulator, mantissa_bits

METRICS = ("vrr", "nmse", "full_swamping", "partial_swamping")
RATES = ("full_swamping", "partial_swamping")


@dataclass
class Point:
    """One design of a sweep with all its seeds."""

    label: str
    accumulator: str | None
    chunk: int
    variant: str = ""
    runs: list[Run] = field(default_factory=list)

    @property
    def mantissa(self):
        return mantissa_bits(self.accumulator)

    @property
    def accuracies(self):
        """Test accuracies of the finished seeds, in percent."""
        return [run.accuracy for run in self.runs if run.accuracy is not None]

    @property
    def accuracy(self):
        """Mean over seeds, or None."""
        return statistics.fmean(self.accuracies) if self.accuracies else None

    def cost(self, name):
        """A member of the runs' costs, the same for every seed; None where there is no price."""
        values = [value for value in (finite(run.cost.get(name)) for run in self.runs) if value is not None]
        return statistics.fmean(values) if values else None

    @property
    def diverged(self):
        return any(run.diverged for run in self.runs)

    @property
    def finished(self):
        return any(run.summary is not None for run in self.runs)


@dataclass
class Interval:
    """Median and the bounds of the middle 80 % of a sample."""

    low: float
    middle: float
    high: float


def group_points(runs):
    points = {}
    for run in runs:
        key = (run.label, run.accumulator, run.chunk, run.variant)
        points.setdefault(key, Point(*key)).runs.append(run)
    return list(points.values())


def baselines(points):
    """(training without an array, narrow operands with an fp32 accumulator); either may be None."""
    plain = next((p for p in points if p.accumulator is None), None)
    wide = next((p for p in points if p.runs and is_fp32_accumulator(p.runs[0])), None)
    return plain, wide


FEW_KINDS = 4  # as many lines of one point each can still be read


def width_series(points):
    """Points with a narrow float accumulator as lines against its mantissa width: {name: [Point, ...]}, widths
    rising, sequential first. The exponent is part of the name only if the sweep varies it. Empty if the sweep has many
    kinds of one width each: its points are then told apart by their labels."""
    families = defaultdict(list)
    for point in points:
        if point.mantissa is not None:
            families[(point.chunk, point.accumulator.split("m")[0], point.variant)].append(point)
    exponents = {exponent for _, exponent, _ in families}
    series = {}
    for chunk, exponent, variant in sorted(families):
        name = f"chunk {chunk}" if chunk else "sequential"
        if len(exponents) > 1:
            name += f", {exponent}"
        if variant:
            name += f", {variant}"
        series[name] = sorted(families[(chunk, exponent, variant)], key=lambda p: p.mantissa)
    kinds = len(series) > FEW_KINDS and all(len(line) == 1 for line in series.values())
    return {} if kinds else series


def seeds(points):
    """Number of seeds of the point that has most."""
    return max((len(p.runs) for p in points), default=0)


def interval(values):
    """Median and middle 80 % (linear interpolation between order statistics), or None of nothing."""
    ordered = sorted(values)
    if not ordered:
        return None

    def quantile(q):
        position = q * (len(ordered) - 1)
        low = int(position)
        high = min(low + 1, len(ordered) - 1)
        return ordered[low] + (ordered[high] - ordered[low]) * (position - low)

    return Interval(quantile(0.1), quantile(0.5), quantile(0.9))


def pass_interval(point, name, metric):
    """How a metric of one pass varies over training: for each sampled step (of each seed) the mean over layers, then
    median and middle 80 % of these. Rates are weighted as in summary.json, by the accumulations of each layer; VRR and
    NMSE count each layer once. Without observations: from layers.csv, without spread."""
    samples = []
    for run in point.runs:
        macs = {row["layer"]: finite(row.get("macs")) for row in run.layers if row.get("pass") == name}
        steps = defaultdict(list)
        for row in run.observations or run.layers:
            if row.get("pass") == name:
                steps[row.get("step")].append(row)
        means = (_mean_over_layers(rows, metric, macs) for rows in steps.values())
        samples += [value for value in means if value is not None]
    return interval(samples)


def _mean_over_layers(rows, metric, macs):
    pairs = []
    for row in rows:
        value = finite(row.get(metric))
        work = (macs.get(row["layer"]) or 1.0) * (finite(row.get("nonzero_ratio")) or 0.0)
        if value is not None:
            pairs.append((value, work if metric in RATES else 1.0))
    total = sum(weight for _, weight in pairs)
    return sum(value * weight for value, weight in pairs) / total if total > 0 else None


def layer_values(point, metric):
    """{(layer, pass): mean over seeds} of layers.csv, layers in network order."""
    values = defaultdict(list)
    for run in point.runs:
        for row in run.layers:
            value = finite(row.get(metric))
            if value is not None and row.get("pass") in PASSES:
                values[(row["layer"], row["pass"])].append(value)
    return {key: statistics.fmean(samples) for key, samples in values.items()}


def pass_swamping(point):
    """{pass: full swamping as a fraction of the pass's accumulations, mean over seeds}; empty without observations."""
    result = {}
    for name in PASSES:
        rates = [finite(run.results.get("passes", {}).get(name, {}).get("full_swamping")) for run in point.runs]
        rates = [rate for rate in rates if rate is not None]
        if rates:
            result[name] = statistics.fmean(rates)
    return result
