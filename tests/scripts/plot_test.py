#!/usr/bin/python3
"""plot.py and summary.py on directories with invented numbers. CTest runs this; exit code 77 means skipped."""

import importlib.util
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
sys.dont_write_bytecode = True
sys.path.insert(0, str(SCRIPTS))

if importlib.util.find_spec("matplotlib") is None:
    print("skipped: no matplotlib for /usr/bin/python3 (package python3-matplotlib)")
    sys.exit(77)

import synthetic  # noqa: E402
from plotting import (assignment_figures, cost_figures, measure_figures, points, prediction,  # noqa: E402
                      report, style, sweep_figures)
from plotting.data import Run, load_run, load_sweep, mantissa_bits  # noqa: E402


def call(script, *arguments):
    return subprocess.run([sys.executable, "-B", SCRIPTS / script, *map(str, arguments)], capture_output=True,
                          text=True, check=False)


class InTemporaryDirectory(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.directory = Path(holder.name)

    def sweep_points(self, **options):
        runs, _ = load_sweep(synthetic.write_sweep(self.directory / "sweep", **options))
        return points.group_points(runs)


def labelled_point(label, accuracies, keys=None, layers=()):
    """A point of a sweep that varies something else than a mantissa; `accuracies` by seed, in percent."""
    runs = [Run(Path("run"), {"run": {"seed": seed}},
                {"results": {"test_accuracy": accuracy / 100}}, layers=list(layers), name=label, keys=keys or {})
            for seed, accuracy in accuracies.items()]
    return points.Point(label, "fx32.0", 0, runs=runs)


class LabelledSweeps(unittest.TestCase):
    BASE = {1: 80.0, 2: 82.0, 3: 84.0}

    def test_a_loss_is_paired_by_seed_and_has_a_standard_error(self):
        base = labelled_point("base", self.BASE)
        mean, error = report.paired_loss(base, labelled_point("less", {1: 79.0, 2: 80.0, 3: 81.0}))
        self.assertAlmostEqual(mean, 2.0)
        self.assertAlmostEqual(error, 1 / 3 ** 0.5)
        mean, error = report.paired_loss(base, labelled_point("one seed", {2: 81.5, 9: 0.0}))
        self.assertAlmostEqual(mean, 0.5)
        self.assertIsNone(error)
        self.assertIsNone(report.paired_loss(base, labelled_point("none", {9: 80.0})))

    def test_the_table_says_what_a_point_loses_against_the_first(self):
        table = report.table([labelled_point("base", self.BASE), labelled_point("less", {1: 79.0, 2: 80.0, 3: 81.0})])
        self.assertIn("below base", table.splitlines()[0])
        self.assertIn("2.00 ± 0.58", table.splitlines()[2])

    def test_extra_bits_have_a_panel_per_class_and_the_assignment_in_the_middle(self):
        drawn = [labelled_point("full", self.BASE, {"mac": "false"}), labelled_point("assigned", self.BASE),
                 labelled_point("w-2", {1: 79.0, 2: 81.0, 3: 83.0}, {"formats.extra_bits.weight": "-2"}),
                 labelled_point("w+1", self.BASE, {"formats.extra_bits.weight": "1"}),
                 labelled_point("acc", self.BASE, {"mac.accumulator_extra_bits": "-1"})]
        figure = assignment_figures.loss_against_extra_bits(drawn)
        self.assertEqual([axis.get_title() for axis in figure.axes], ["weight", "accumulator"])
        x, y = figure.axes[0].lines[0].get_data()
        self.assertEqual(list(x), [-2, 0, 1])
        self.assertAlmostEqual(y[0], 1.0)
        self.assertIsNone(assignment_figures.loss_against_extra_bits(drawn[:2]))
        self.assertIsNone(assignment_figures.loss_against_extra_bits([drawn[0], drawn[2]]), "no assignment finished")
        other_seed = labelled_point("w-1", {9: 79.0}, {"formats.extra_bits.weight": "-1"})
        self.assertEqual(len(assignment_figures.loss_against_extra_bits([*drawn, other_seed]).axes), 2)

    def test_sweeps_over_float_accumulators_keep_swamping_and_costs(self):
        floats = [points.Point("fp32", None, 0, runs=labelled_point("fp32", self.BASE).runs),
                  points.Point("e6m6", "e6m6", 0, runs=labelled_point("e6m6", self.BASE).runs)]
        self.assertIn("swamped FWD", report.table(floats).splitlines()[0])

    def test_the_order_of_the_quantizers_counts_layers_whose_rows_differ(self):
        def layer(ratio, ptq, psq, bhq):
            return {"row_range_ratio": str(ratio), "variance_ptq": str(ptq), "variance_psq": str(psq),
                    "variance_bhq": str(bhq)}
        layers = [layer(10, 4, 2, 1), layer(10, 4, 2, 2.05), layer(10, 4, 5, 1), layer(2, 1, 9, 9), {}]
        text = " ".join(report.conclusion([labelled_point("a", self.BASE, layers=layers),
                                           labelled_point("b", self.BASE)]))
        self.assertIn("in 6 of 9 layers", text)


class Pictures(InTemporaryDirectory):
    def assert_pictures(self, directory, names):
        for name in names:
            self.assertTrue((directory / f"{name}.svg").read_text(encoding="utf-8").lstrip().startswith("<?xml"), name)
            self.assertTrue((directory / f"{name}.png").read_bytes().startswith(b"\x89PNG"), name)

    def test_a_sweep_gives_five_pictures_as_svg_and_png(self):
        sweep = synthetic.write_sweep(self.directory / "sweep", seeds=(1, 2, 3))
        done = call("plot.py", sweep)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_pictures(sweep / "plots", ["accuracy", "losses", "training-loss", "swamping", "cost"])
        self.assertEqual(done.stderr, "")

    def test_an_unfinished_sweep_with_diverged_and_missing_points_is_drawn(self):
        sweep = synthetic.write_sweep(self.directory / "sweep", unfinished=[("e6m4", 0)],
                                      not_started=[("e6m9", 64), ("fp32", 0)], diverged=[("e6m2", 0)])
        done = call("plot.py", sweep, "--out", self.directory / "pictures")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("9 of 12 runs finished", done.stdout)
        self.assert_pictures(self.directory / "pictures", ["accuracy", "losses", "training-loss", "swamping"])

    def test_a_sweep_without_float_widths_shows_accuracy_by_name(self):
        sweep = synthetic.write_sweep(self.directory / "sweep", {(None, 0): 80.0, ("fp32", 0): 79.0})
        done = call("plot.py", sweep)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_pictures(sweep / "plots", ["accuracy"])

    def test_a_run_gives_its_loss_and_its_layers(self):
        synthetic.write_run(self.directory / "run", "e6m4", 64)
        done = call("plot.py", self.directory / "run")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_pictures(self.directory / "run" / "plots", ["loss", "layers"])

    def test_a_table_of_measure_gives_vrr_and_nmse_over_length(self):
        header = "length,mantissa,vrr,vrr_low,vrr_high,nmse,nmse_low,nmse_high,vrr_theory"
        rows = ["64,5,0.99,0.98,1.0,0.001,0.0009,0.0011,0.99", "1024,5,0.9,0.88,0.92,0.05,0.04,0.06,0.7",
                "64,4,0.97,0.96,0.98,0.01,0.009,0.011,", "1024,4,,,,,,,"]
        table = self.directory / "measure.csv"
        table.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        done = call("plot.py", table)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, "")
        self.assert_pictures(self.directory / "plots", ["measure"])

    def test_curves_of_measure_are_by_mantissa_or_by_layer_and_pass(self):
        rows = [{"length": length, "mantissa": m, "vrr": "1", "nmse": "0", "vrr_theory": ""}
                for length in ("1024", "64") for m in ("10", "9")]
        found = measure_figures.curves(rows)
        self.assertEqual([(curve.name, curve.places) for curve in found], [("9", [64, 1024]), ("10", [64, 1024])])
        found = measure_figures.curves([{**row, "layer": "conv1", "pass": "GRAD"} for row in rows[:2]])
        self.assertEqual([(curve.name, curve.places) for curve in found], [("conv1 GRAD", [9, 10])])

    def test_the_same_sweep_gives_the_same_svg(self):
        found = self.sweep_points()
        for out in ("first", "second"):
            (self.directory / out).mkdir()
            style.save(sweep_figures.accuracy(found), self.directory / out, "accuracy")
        first, second = ((self.directory / out / "accuracy.svg").read_bytes() for out in ("first", "second"))
        self.assertEqual(first, second)


class BadInput(InTemporaryDirectory):
    def assert_refused(self, done, *words):
        self.assertEqual(done.returncode, 2)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)

    def test_a_missing_directory_is_refused_by_name(self):
        self.assert_refused(call("plot.py", self.directory / "none"), "none", "no such directory")
        self.assert_refused(call("summary.py", self.directory / "none"), "none", "no such directory")

    def test_a_directory_that_is_neither_run_nor_sweep_is_refused(self):
        self.assert_refused(call("plot.py", self.directory), "sweep.csv", "config.toml")
        self.assert_refused(call("summary.py", self.directory), "sweep.csv")

    def test_a_table_that_is_not_of_measure_is_named(self):
        (self.directory / "other.csv").write_text("a,b\n1,2\n", encoding="utf-8")
        self.assert_refused(call("plot.py", self.directory / "other.csv"), "other.csv", "vrr_theory", "measure")

    def test_a_summary_that_is_not_json_is_named(self):
        synthetic.write_run(self.directory / "run")
        (self.directory / "run" / "summary.json").write_text("{", encoding="utf-8")
        self.assert_refused(call("plot.py", self.directory / "run"), "summary.json")


class Numbers(InTemporaryDirectory):
    def test_mantissa_bits_are_those_of_narrow_floats(self):
        self.assertEqual([mantissa_bits(name) for name in ("e6m9", "e4m3fn", "fx16.8", "e8m23", None)],
                         [9, 3, None, None, None])

    def test_a_run_in_progress_has_no_accuracy(self):
        synthetic.write_run(self.directory / "run", "e6m4", finished=False)
        run = load_run(self.directory / "run")
        self.assertIsNone(run.accuracy)
        self.assertFalse(run.diverged)

    def test_the_interval_holds_the_middle_80_percent(self):
        bounds = points.interval(range(11))
        self.assertEqual((bounds.low, bounds.middle, bounds.high), (1, 5, 9))

    def test_rates_of_a_pass_weigh_layers_by_their_accumulations_and_vrr_counts_each_once(self):
        rows = [{"layer": "big", "nonzero_ratio": "0.5", "full_swamping": "0.8", "vrr": "0.8"},
                {"layer": "small", "nonzero_ratio": "1", "full_swamping": "0.2", "vrr": "0.2"}]
        run = load_run(self.run_with(layers=[{**row, "pass": "GRAD", "macs": macs}
                                             for row, macs in zip(rows, (600, 100))]))
        point = points.Point("p", "e6m3", 0, "", [run])
        self.assertAlmostEqual(points.pass_interval(point, "GRAD", "full_swamping").middle, (300 * .8 + 100 * .2) / 400)
        self.assertAlmostEqual(points.pass_interval(point, "GRAD", "vrr").middle, 0.5)
        self.assertIsNone(points.pass_interval(point, "FWD", "vrr"))

    def run_with(self, layers):
        synthetic.write_run(self.directory / "weights")
        synthetic.write_csv(self.directory / "weights" / "layers.csv", layers)
        return self.directory / "weights"

    def test_seeds_of_one_design_are_one_point(self):
        found = self.sweep_points(seeds=(1, 2, 3), spread=0.5)
        self.assertEqual(len(found), len(synthetic.QUICKSTART))
        self.assertEqual([round(a, 6) for a in found[0].accuracies], [86.6, 87.1, 87.6])


    def test_what_a_sweep_varies_besides_the_accumulator_sets_lines_apart(self):
        sweep = synthetic.write_sweep(self.directory / "sweep", {("e6m3", 0): 80.0, ("e6m4", 0): 81.0})
        table = (sweep / "sweep.csv").read_text(encoding="utf-8").splitlines()
        rates = ["mac.rounding", "nearest-even", "down"]
        lines = [line.replace(",seed", ",mac.rounding,seed") if i == 0 else line.replace(",1,0", f",{rates[i]},1,0")
                 for i, line in enumerate(table)]
        (sweep / "sweep.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        series = points.width_series(points.group_points(load_sweep(sweep)[0]))
        self.assertEqual(sorted(series), ["sequential, mac.rounding=down", "sequential, mac.rounding=nearest-even"])


class Costs(InTemporaryDirectory):
    def test_the_front_holds_what_nothing_else_beats(self):
        pairs = [(0.4, 80.0), (0.5, 79.0), (0.5, 85.0), (0.6, 85.0), (1.0, 86.0), (0.3, 10.0)]
        self.assertEqual(cost_figures.pareto_front(pairs), [(0.3, 10.0), (0.4, 80.0), (0.5, 85.0), (1.0, 86.0)])

    def test_the_table_has_costs_relative_to_an_fp32_accumulator(self):
        lines = report.table(self.sweep_points()).splitlines()
        self.assertTrue(lines[0].endswith("MAC area  energy"), lines[0])
        self.assertTrue(lines[1].endswith("-       -"), "fp32 training has no price")
        self.assertTrue(lines[2].endswith("1.00    1.00"), lines[2])

    def test_runs_of_an_earlier_version_have_neither_columns_nor_picture(self):
        found = self.sweep_points()
        for point in found:
            for run in point.runs:
                del run.summary["hardware"]
        self.assertNotIn("MAC area", report.table(found))
        self.assertIsNone(cost_figures.accuracy_against_cost(found))


class ClosingSentence(InTemporaryDirectory):
    def sentence(self, **options):
        return " ".join(report.conclusion(self.sweep_points(**options)))

    def test_one_seed_claims_no_difference_below_a_point(self):
        text = self.sentence()
        self.assertIn("One seed: differences below one point are not claimed", text)
        self.assertIn("not told apart from fp32 training", text)

    def test_widths_from_five_bits_on_are_not_ordered(self):
        self.assertIn("among an fp32 accumulator, e6m9 and e6m5 no order is claimed", self.sentence())
        lucky = dict(synthetic.QUICKSTART)
        lucky[("e6m5", 0)] = 84.0
        text = " ".join(report.conclusion(points.group_points(
            load_sweep(synthetic.write_sweep(self.directory / "lucky", lucky))[0])))
        self.assertNotIn("e6m5 loses", text)

    def test_losses_of_narrow_widths_are_counted_against_the_fp32_accumulator(self):
        self.assertIn("e6m4 loses 1.9 points, e6m3 loses 7.3 points and e6m2 loses 75.8 points", self.sentence())

    def test_what_chunks_buy_back_is_a_share_of_the_sequential_loss(self):
        self.assertIn("At e6m3, chunks of 64 buy back 5.3 of the 7.4 points", self.sentence())
        self.assertIn("(72 %)", self.sentence_of_second_sweep())

    def sentence_of_second_sweep(self):
        return " ".join(report.conclusion(points.group_points(
            load_sweep(synthetic.write_sweep(self.directory / "second"))[0])))

    def test_the_pass_that_swamps_most_is_named_and_not_blamed(self):
        text = self.sentence()
        self.assertIn("GRAD swamps most", text)
        self.assertIn("does not tell which pass costs the accuracy", text)

    def test_several_seeds_claim_only_what_every_seed_shows(self):
        text = self.sentence(seeds=(1, 2, 3), spread=1.0)
        self.assertIn("3 seeds", text)
        self.assertNotIn("e6m4 loses", text)
        self.assertIn("e6m3 loses 7.3 points", text)

    def test_summary_prints_a_line_per_point_and_says_what_is_unfinished(self):
        sweep = synthetic.write_sweep(self.directory / "sweep", unfinished=[("e6m4", 0)], diverged=[("e6m2", 0)])
        done = call("summary.py", sweep)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"e5m2, e6m3 +78\.5 %")
        self.assertRegex(done.stdout, r"e5m2, e6m4 +not finished")
        self.assertRegex(done.stdout, r"e5m2, e6m2 +10\.0 % diverged")
        self.assertIn("11 of 12 runs are done", done.stdout)


class Prediction(InTemporaryDirectory):
    def sweep(self, accuracies, **options):
        return synthetic.write_prediction_sweep(self.directory / "sweep", accuracies, **options)

    def found(self, accuracies, **options):
        runs, _ = load_sweep(self.sweep(accuracies, **options))
        return points.group_points(runs)

    def test_a_point_stands_at_the_offset_order_and_passes_that_the_sweep_set(self):
        self.assertEqual(prediction.place_of({"mac.accumulator_mantissa": "predicted-3"}),
                         prediction.Place("all", 0, -3))
        self.assertEqual(prediction.place_of({"mac.GRAD.accumulator_mantissa": "predicted",
                                              "mac.GRAD.chunk.length": "64"}), prediction.Place("GRAD", 64, 0))
        self.assertIsNone(prediction.place_of({"mac.accumulator": "e6m3"}))

    def test_knees_are_where_each_criterion_is_last_met_from_above(self):
        line = {("GRAD", 0, 1): 80.0, ("GRAD", 0, 0): 80.0, ("GRAD", 0, -1): 79.5, ("GRAD", 0, -2): 75.0,
                ("GRAD", 0, -3): 40.0}
        (passes, chunk, smallest, knees), = prediction.knees(self.found(line))
        self.assertEqual((passes, chunk, smallest), ("GRAD", 0, -3))
        self.assertEqual(knees, {"training": -1, "theory": 0, "theory, sparse": -1, "VRR": -2, "NMSE": -2})

    def test_a_loss_that_not_every_seed_shows_is_no_loss(self):
        found = self.found({("all", 0, 0): 77.0})
        lines, wide = prediction.lines_of(found)
        point = lines["all", 0][0]
        self.assertFalse(prediction.trains(point, wide))
        point.runs[0].summary["results"]["test_accuracy"] = 0.9
        self.assertTrue(prediction.trains(point, wide))

    def test_the_conclusion_leaves_out_lines_that_never_break(self):
        found = self.found({("all", 0, 0): 80.0, ("all", 0, -1): 60.0, ("FWD", 0, 0): 80.0, ("FWD", 0, -1): 80.0})
        text = " ".join(prediction.conclusion(found))
        self.assertIn("1 of 2 lines still train at the narrowest width", text)
        self.assertIn("Theory asks for 0 to 0 bits against what training needs, 0.0 off in the mean (one line).", text)
        self.assertIn("Closest to the knee: Theory.", text)

    def test_its_picture_and_words_come_from_the_usual_commands(self):
        sweep = self.sweep({("all", chunk, offset): 80.0 + 10 * min(0, offset + 1) for chunk in (0, 64)
                            for offset in (1, 0, -1, -2)})
        done = call("plot.py", sweep)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertTrue((sweep / "plots" / "prediction.svg").is_file())
        done = call("summary.py", sweep)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("all, chunk 64", done.stdout)
        self.assertIn("10.0 ± 0.0", done.stdout)

    def test_a_run_shows_prediction_beside_measurement(self):
        synthetic.write_run(self.directory / "run", "e6m4")
        synthetic.add_prediction(self.directory / "run", -2)
        done = call("plot.py", self.directory / "run")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertTrue((self.directory / "run" / "plots" / "prediction.svg").is_file())

    def test_a_run_of_an_older_version_has_no_prediction_to_draw(self):
        synthetic.write_run(self.directory / "run", "e6m4")
        done = call("plot.py", self.directory / "run")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("prediction: nothing to draw yet", done.stdout)


if __name__ == "__main__":
    unittest.main()
