"""A sweep in words: a table, and sentences that claim no more than its seeds can tell."""

import math
import statistics

from . import points as sweep
from .data import PASSES, finite

COSTS = {"MAC area": "area_relative", "energy": "energy_relative"}
MARGIN = 1.0  # points of test accuracy: smaller differences are never claimed
ENOUGH_BITS = 5  # one seed never orders accumulators from this mantissa width on, whatever it happens to show


def table(points):
    """One line per point: accuracy (mean, spread over seeds), full swamping per pass, and costs where any point has
    them. Sweeps that do not vary a mantissa have the loss against their first point instead of swamping."""
    if compares_labels(points):
        return _aligned([["point", "test accuracy", f"below {points[0].label}", "seeds"],
                         *([point.label, _accuracy_cell(point), _loss_cell(points[0], point),
                            str(len(point.accuracies))] for point in points)])
    costs = {name: cost for name, cost in COSTS.items() if any(p.cost(cost) is not None for p in points)}
    lines = [["point", "test accuracy", *(f"swamped {name}" for name in PASSES), *costs]]
    for point in points:
        swamping = sweep.pass_swamping(point)
        lines.append([point.label, _accuracy_cell(point),
                      *(f"{100 * swamping[name]:.1f} %" if name in swamping else "-" for name in PASSES),
                      *(_cost_cell(point.cost(cost)) for cost in costs.values())])
    return _aligned(lines)


def compares_labels(points):
    """Whether the points of several seeds differ in something else than an accumulator's mantissa, and accumulate in
    fixed point, which swamps little."""
    fixed = any((p.accumulator or "").startswith("fx") for p in points)
    widths = any(len(line) > 1 for line in sweep.width_series(points).values())
    return fixed and sweep.seeds(points) > 1 and len(points) > 1 and not widths


def paired_loss(reference, point):
    """(mean, standard error) of the points of accuracy that `point` is below `reference`, seed by seed; the error is
    None with one common seed. None without any."""
    theirs = {run.seed: run.accuracy for run in reference.runs if run.accuracy is not None}
    losses = [theirs[run.seed] - run.accuracy for run in point.runs
              if run.accuracy is not None and run.seed in theirs]
    if not losses:
        return None
    error = statistics.stdev(losses) / math.sqrt(len(losses)) if len(losses) > 1 else None
    return statistics.fmean(losses), error


def _loss_cell(reference, point):
    loss = paired_loss(reference, point)
    if loss is None or point is reference:
        return "-"
    mean, error = loss
    return f"{mean:.2f}" + (f" ± {error:.2f}" if error is not None else "")


def _aligned(lines):
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join([line[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(line[1:], widths[1:])])
                     for line in lines)


def costs_note(points):
    """What costs are relative to and how far they can be trusted; worst over the points. Empty without costs."""
    costs = [run.cost for p in points for run in p.runs if finite(run.cost.get("area_relative")) is not None]
    if not costs:
        return ""
    note = ("MAC area, energy per training step: of the array's MACs, against MACs of the same operands that accumulate "
            f"in fp32; {costs[0].get('backend', '?')} on {costs[0].get('library', '?')} ({costs[0].get('tools', '?')})")
    errors = [(name, [c["error"][key]["mean"] for c in costs if key in c.get("error", {})])
              for key, name in (("area_um2", "area"), ("energy_pj", "energy"))]
    shown = [f"{100 * max(values):.0f} % in {name}" for name, values in errors if values]
    return note + (f", off by {' and '.join(shown)} on designs it had not seen" if shown else "")


def _cost_cell(value):
    return "-" if value is None else f"{value:.2f}"


def _accuracy_cell(point):
    if not point.finished:
        return "not finished"
    if point.accuracy is None:
        return "diverged"
    text = f"{point.accuracy:.1f} %"
    if len(point.accuracies) > 1:
        text += f" ({min(point.accuracies):.1f} .. {max(point.accuracies):.1f})"
    return text + (" diverged" if point.diverged else "")


def is_lower(worse, better):
    """Whether the seeds can tell that `worse` is less accurate: by a point or more in the mean, and with several
    seeds also every seed of one below every seed of the other."""
    if not worse.accuracies or not better.accuracies:
        return False
    one_seed = min(len(worse.accuracies), len(better.accuracies)) == 1
    if one_seed and worse.mantissa is not None and worse.mantissa >= ENOUGH_BITS:
        return False
    apart = max(worse.accuracies) < min(better.accuracies)
    return apart and better.accuracy - worse.accuracy >= MARGIN


def conclusion(points):
    """The closing sentences."""
    sentences = [_seeds_sentence(points)]
    plain, wide = sweep.baselines(points)
    if plain and wide and plain.accuracies and wide.accuracies:
        sentences.append(_operands_sentence(plain, wide))
    series = sweep.width_series(points)
    lines = [(name, [p for p in line if p.finished]) for name, line in series.items()]
    for name, line in lines:
        if len(line) > 1:
            sentences.append(_width_sentence(name, line, wide))
    sentences += _chunk_sentences(dict(lines))
    sentences += _swamping_sentences(dict(lines))
    sentences += _variance_sentences(points)
    return sentences


RANGE_RATIO = 4.0  # rows whose ranges differ by more are what quantizers per row are for
VARIANCE_MARGIN = 1.03


def _variance_sentences(points):
    """How the quantizers of a gradient order where its rows differ: the same gradient in codes of the same width."""
    rows = [[finite(row.get(f"variance_{name}")) for name in ("ptq", "psq", "bhq")]
            for p in points for run in p.runs for row in run.layers
            if (finite(row.get("row_range_ratio")) or 0.0) > RANGE_RATIO]
    rows = [row for row in rows if None not in row]
    if not rows:
        return []
    ordered = sum(bhq <= VARIANCE_MARGIN * psq and psq <= VARIANCE_MARGIN * ptq for ptq, psq, bhq in rows)
    return [f"Gradients of BWD whose rows differ by more than {RANGE_RATIO:.0f} times in range, each quantised by all three "
            f"schemes: the variance of BHQ is at most PSQ's, and PSQ's at most PTQ's, within "
            f"{100 * (VARIANCE_MARGIN - 1):.0f} %, in {ordered} of {len(rows)} layers of all runs (means over a run)."]


def _seeds_sentence(points):
    count = sweep.seeds(points)
    if count == 1:
        return "One seed: differences below one point are not claimed."
    if compares_labels(points):
        return (f"{count} seeds; the loss is the mean over seeds that both points have, with its standard error: a "
                "seed has the same initial weights and batches in every point.")
    return (f"{count} seeds: a difference is claimed only if it is at least one point in the mean and every seed of "
            "one side is below every seed of the other.")


def _operands_sentence(plain, wide):
    loss = plain.accuracy - wide.accuracy
    if is_lower(wide, plain):
        return f"Narrow operands with an fp32 accumulator lose {loss:.1f} points against fp32 training."
    return ("Narrow operands with an fp32 accumulator are not told apart from fp32 training "
            f"({wide.accuracy:.1f} against {plain.accuracy:.1f} %).")


def _width_sentence(name, line, wide):
    reference = wide if wide is not None and wide.accuracies else line[-1]
    losing = [p for p in line if p is not reference and (p.accuracy is None or is_lower(p, reference))]
    where = "an fp32 accumulator" if reference is wide else reference.accumulator
    if not losing:
        return f"Accumulating in {_order(name)}, no width loses to {where} by what the seeds can tell."
    parts = [f"{p.accumulator} diverges" if p.accuracy is None else
             f"{p.accumulator} loses {reference.accuracy - p.accuracy:.1f} points" for p in reversed(losing)]
    rest = [p.accumulator for p in reversed(line) if p not in losing and p is not reference]
    text = f"Accumulating in {_order(name)}, against {where}, {_and(parts)}"
    if rest:
        text += f"; among {_and([where, *rest])} no order is claimed"
    return text + "."


def _order(name):
    return name.replace("sequential", "sequence").replace("chunk ", "chunks of ")


def _and(parts):
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def _chunk_sentences(lines):
    """How much of the loss of sequential accumulation chunks buy back, at the widest width that loses clearly."""
    sentences = []
    sequential = {p.accumulator: p for p in lines.get("sequential", [])}
    if not sequential:
        return []
    best = max(sequential.values(), key=lambda p: p.mantissa)
    for name, line in lines.items():
        if not name.startswith("chunk"):
            continue
        for point in reversed(line):
            plain = sequential.get(point.accumulator)
            if plain is None or plain.accuracy is None or point.accuracy is None or best.accuracy is None:
                continue
            loss = best.accuracy - plain.accuracy
            if loss >= 3 and is_lower(plain, best) and is_lower(plain, point):
                back = point.accuracy - plain.accuracy
                sentences.append(f"At {point.accumulator}, {_order(name)} buy back {back:.1f} of the {loss:.1f} points "
                                 f"that sequence loses against {best.accumulator} ({100 * back / loss:.0f} %).")
    return sentences


def _swamping_sentences(lines):
    """Which pass swamps most, where it can be seen; never that it is the one that costs accuracy."""
    line = [p for p in lines.get("sequential", []) if len(sweep.pass_swamping(p)) == len(PASSES)]
    if not line:
        return []
    orders = {}
    for point in reversed(line):
        swamping = sweep.pass_swamping(point)
        order = sorted(PASSES, key=lambda name: -swamping[name])
        orders.setdefault(tuple(order), []).append(point)
    sentences = []
    for order, its_points in orders.items():
        point = min(its_points, key=lambda p: p.mantissa)
        swamping = sweep.pass_swamping(point)
        where = ("At every width" if len(orders) == 1 and len(line) > 1 else
                 "At " + _and([p.accumulator for p in its_points]))
        rates = " > ".join(f"{name} {100 * swamping[name]:.1f} %" for name in order)
        example = "" if len(its_points) == 1 else f"at {point.accumulator} "
        sentences.append(f"{where}, {order[0]} swamps most: full swamping in sequence {example}is {rates}.")
    sentences.append("All passes are narrow together here, so this does not tell which pass costs the accuracy.")
    return sentences

