"""Writes run and sweep directories with invented numbers, in the layout that narrowmac writes."""

import csv
import json
import math
import random
from pathlib import Path

LAYERS = ("conv1", "conv2", "fc1", "fc2")
PASSES = ("FWD", "BWD", "GRAD")
SWAMPING = {"FWD": 0.10, "BWD": 0.05, "GRAD": 0.20}  # at e6m3 in sequence; twice that per bit less

# As in the quickstart: the accuracies that make its closing sentence.
QUICKSTART = {
    (None, 0): 86.6, ("fp32", 0): 85.8,
    ("e6m9", 0): 85.9, ("e6m5", 0): 85.8, ("e6m4", 0): 83.9, ("e6m3", 0): 78.5, ("e6m2", 0): 10.0,
    ("e6m9", 64): 86.2, ("e6m5", 64): 86.0, ("e6m4", 64): 85.5, ("e6m3", 64): 83.8, ("e6m2", 64): 78.0,
}


def write_csv(path, rows):
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def losses(accumulator, chunk, name, noise):
    """Statistics of a pass, made up from the width."""
    bits = 23 if accumulator == "fp32" else int(accumulator.split("m")[1])
    rate = min(0.9, SWAMPING[name] * 2.0 ** (3 - bits) / (4 if chunk else 1)) * noise
    return {"full_swamping": rate, "partial_swamping": min(0.95, 2 * rate), "vrr": max(0.0, 1 - rate),
            "nmse": rate * rate + 1e-7}


def cost(accumulator, chunk):
    """Made up from the width; training without an array has no price."""
    if accumulator is None:
        return {"backend": "fit", "library": "invented", "mac_area_um2": None, "area_relative": None,
                "energy_step_uj": None, "energy_relative": None, "reason": "every layer is computed in fp32"}
    bits = 23 if accumulator == "fp32" else int(accumulator.split("m")[1])
    relative = (bits + 7) / 30 * (1.5 if chunk else 1)
    return {"backend": "fit", "library": "invented", "mac_area_um2": 50000 * relative, "area_relative": relative,
            "energy_step_uj": 20000 * relative, "energy_relative": (1 + relative) / 2, "reason": None}


def write_run(directory, accumulator=None, chunk=0, seed=1, accuracy=85.0, steps=64, finished=True, diverged=False):
    generator = random.Random(f"{accumulator} {chunk} {seed}")
    directory.mkdir(parents=True)
    config = f'[run]\nname = "synthetic"\nseed = {seed}\n'
    if accumulator:
        config += f'[mac]\naccumulator = "{accumulator}"\n'
        if chunk:
            config += f'[mac.chunk]\nlength = {chunk}\naccumulator = "{accumulator}"\n'
    (directory / "config.toml").write_text(config, encoding="utf-8")
    loss = [2.4 * math.exp(-s / (0.4 * steps)) + 0.4 + 0.05 * generator.random() for s in range(steps)]
    if diverged:
        loss[steps // 2] = math.inf
        loss = loss[:steps // 2 + 1]
    write_csv(directory / "steps.csv", [{"step": i + 1, "epoch": 1, "loss": value, "learning_rate": 0.05}
                                        for i, value in enumerate(loss)])
    layers, observations = [], []
    for layer in LAYERS:
        for name in PASSES:
            if layer == "conv1" and name == "BWD":
                continue  # the first layer needs no input gradient
            values = {metric: "" for metric in ("full_swamping", "partial_swamping", "vrr", "nmse")}
            if accumulator:
                values = losses(accumulator, chunk, name, 1.0)
                observations += [{"step": step, "layer": layer, "pass": name, "nonzero_ratio": 0.5,
                                  **losses(accumulator, chunk, name, generator.uniform(0.7, 1.3))}
                                 for step in range(0, len(loss), 16)]
            layers.append({"layer": layer, "pass": name, "macs": 1000,
                           "nonzero_ratio": 0.5 if accumulator else "", **values})
    write_csv(directory / "layers.csv", layers)
    if observations:
        write_csv(directory / "observations.csv", observations)
    if finished:
        results = {"test_accuracy": accuracy / 100, "test_loss": 0.4, "train_loss": None if diverged else loss[-1],
                   "diverged": diverged}
        if accumulator:
            results["passes"] = {name: losses(accumulator, chunk, name, 1.0) for name in PASSES}
        summary = {"schema": 1, "results": results, "hardware": {"cost": cost(accumulator, chunk)}}
        (directory / "summary.json").write_text(json.dumps(summary), encoding="utf-8")


def label(accumulator, chunk):
    if accumulator is None:
        return "fp32"
    return f"{accumulator}, chunk {chunk}" if chunk else f"e5m2, {accumulator}"


def write_sweep(directory, accuracies=None, seeds=(1,), spread=0.1, unfinished=(), not_started=(), diverged=()):
    """`accuracies`: {(accumulator, chunk): percent}; seed s adds (s - first) * spread."""
    directory = Path(directory)
    rows = []
    for number, ((accumulator, chunk), accuracy) in enumerate((accuracies or QUICKSTART).items()):
        for seed in seeds:
            name = f"{number:08x}{seed:08x}"
            key = (accumulator, chunk)
            rows.append({"label": label(accumulator, chunk), "mac": "{}", "mac.accumulator": accumulator or "",
                         "mac.chunk.length": chunk or "", "seed": seed, "run": name})
            if key not in not_started:
                write_run(directory / name, accumulator, chunk, seed, accuracy + spread * (seed - seeds[0]),
                          finished=key not in unfinished, diverged=key in diverged)
    directory.mkdir(parents=True, exist_ok=True)
    write_csv(directory / "sweep.csv", rows)
    return directory


def write_prediction_sweep(directory, accuracies, seeds=(1, 2, 3), wide=80.0):
    """`accuracies`: {(passes, chunk, offset): percent}; theory asks for 6 bits everywhere, VRR falls below 0.95 from
    three bits less on. Seed s adds (s - 2) / 10 to every point alike."""
    directory = Path(directory)
    directory.mkdir(parents=True)
    keys = [f"mac.{middle}{key}" for middle in ("", "FWD.", "BWD.", "GRAD.")
            for key in ("accumulator_mantissa", "chunk.length")]
    rows = []
    for number, (place, accuracy) in enumerate({None: wide, **accuracies}.items()):
        for seed in seeds:
            name = f"{number:08x}{seed:08x}"
            row = {"label": "wide", **dict.fromkeys(keys, ""), "seed": seed, "run": name}
            offset = 0
            if place is not None:
                passes, chunk, offset = place
                middle = "" if passes == "all" else passes + "."
                row["label"] = str(place)
                row[f"mac.{middle}accumulator_mantissa"] = f"predicted{offset:+d}" if offset else "predicted"
                row[f"mac.{middle}chunk.length"] = chunk or ""
            rows.append(row)
            write_run(directory / name, f"e6m{6 + offset}", 0, seed, accuracy + (seed - 2) / 10)
            add_prediction(directory / name, offset)
    write_csv(directory / "sweep.csv", rows)
    return directory


def add_prediction(run, offset):
    """What theory and measurement say of a run whose layers all have 6 + offset bits."""
    layers = [{"layer": layer, "pass": name, "macs": 1000, "nonzero_ratio": 0.5, "vrr": 0.99 if offset > -3 else 0.9,
               "nmse": 10.0 ** (-4 - offset), "vrr_predicted": 1 - 10.0 ** (-4 - offset), "mantissa_predicted": 5}
              for layer in LAYERS for name in PASSES if (layer, name) != ("conv1", "BWD")]
    write_csv(run / "layers.csv", layers)
    with (run / "config.toml").open("a", encoding="utf-8") as config:
        for row in layers:
            config.write(f'[[mac.layer]]\nname = "{row["layer"]}"\npass = "{row["pass"]}"\n'
                         f'accumulator = "e6m{6 + offset}"\n')
