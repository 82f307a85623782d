#!/usr/bin/env python3
"""What tests/bench/compare makes of what systems print: without Kafka and without any of them, in a second."""

import argparse
import contextlib
import importlib.machinery
import importlib.util
import io
import os
import pathlib
import sys
import unittest
import unittest.mock
import xml.etree.ElementTree
from decimal import Decimal

sys.dont_write_bytecode = True
BENCH = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(BENCH))
# pylint: disable=wrong-import-position
import compare_report
from bench_cluster import BenchError
from compare_systems import ENDED_WELL, NATIVE_BUILD, SYSTEMS, Publications, changelog, read_lines, read_tenfold


def load_compare():
    loader = importlib.machinery.SourceFileLoader("compare", str(BENCH / "compare"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("compare", loader))
    loader.exec_module(module)
    return module


compare = load_compare()
TOP = [(f"page{i}", Decimal(30 - i) + Decimal("0.5")) for i in range(10)]
REFERENCE = {"records": 400, "top": [{"key": page, "score": f"{score}"} for page, score in TOP]}


def scaled(share):
    return [(page, score * Decimal(share)) for page, score in TOP]


class FakeRun:
    """A system that prints nothing of itself: its publications are given."""

    def __init__(self, entries, ended=None):
        self.begin = 0
        self.roots = lambda: []
        self.publications = argparse.Namespace(entries=entries, error=None, join=lambda: None)
        self.ended = lambda: ended
        self.errors = lambda: "its log"


class ReadingTest(unittest.TestCase):
    def test_a_printed_line_becomes_a_top_ten(self):
        self.assertEqual(read_lines('[["page1", "2.20"], ["page2", "-1E-9"]]'),
                         [("page1", Decimal("2.2")), ("page2", Decimal("-0.000000001"))])

    def test_other_lines_are_none(self):
        for line in ("", "[]", "[main] WARN slow", "26/11/21 WARN"):
            self.assertIsNone(read_lines(line))

    def test_a_changelog_becomes_top_tens(self):
        read = changelog()
        self.assertEqual(read("+I[page1, 2.2]"), [("page1", Decimal("2.2"))])
        self.assertEqual(read("+I[page3, 7]"), [("page3", 7), ("page1", Decimal("2.2"))])
        self.assertEqual(read("-U[page3, 7]"), [("page1", Decimal("2.2"))])
        self.assertEqual(read("+U[page3, 2.20000000]"), [("page1", Decimal("2.2")), ("page3", Decimal("2.2"))])
        self.assertEqual(read("-D[page1, 2.2]"), [("page3", Decimal("2.2"))])
        self.assertIsNone(read("[main] WARN slow"))

    def test_a_bad_record_of_tenfold_is_an_error(self):
        line = '{"bad_records": %d, "top": [{"rank": 1, "key": "page1", "score": "2.2"}]}'
        self.assertEqual(read_tenfold(line % 0), [("page1", Decimal("2.2"))])
        with self.assertRaises(BenchError):
            read_tenfold(line % 1)

    def test_lines_are_read_whole_and_timed(self):
        reader, writer = os.pipe()
        with os.fdopen(reader, "rb") as stream:
            publications = Publications(stream, read_lines)
            os.write(writer, b'noise\n[["page1", "1"]]\n[["pa')
            while not publications.entries:
                pass
            os.write(writer, b'ge2", "2"]]\n')
            os.close(writer)
            publications.close()
        self.assertEqual([top for _, top in publications.entries], [[("page1", 1)], [("page2", 2)]])


class JudgingTest(unittest.TestCase):
    def outcome(self, entries, ended=None, cpu_seconds=0):
        """With so many CPU seconds taken while it was looked at."""
        tree = unittest.mock.Mock()
        tree.cpu_seconds.side_effect = [0, cpu_seconds]
        with self.assertRaises(compare.Failed) as raised, unittest.mock.patch.multiple(
                compare, ProcessTree=lambda roots: tree, LATENESS_SAMPLE_S=0.01):
            compare.await_top(FakeRun(entries, ended), lambda top: top == compare.exact_top(REFERENCE), 0)
        return raised.exception.args[0]

    def test_the_right_top_ten_is_found_at_its_time(self):
        run = FakeRun([(1, scaled("0.5")), (2, TOP), (3, TOP)])
        self.assertEqual(compare.await_top(run, lambda top: top == compare.exact_top(REFERENCE), 0), 2)

    def test_the_last_digit_off_is_wrong(self):
        off = [*TOP[:9], (TOP[9][0], TOP[9][1] + Decimal("1e-9"))]
        self.assertEqual(self.outcome([(1, off)], ended=ENDED_WELL), "wrong")

    def test_a_system_that_is_long_quiet_and_idle_is_wrong(self):
        self.assertEqual(self.outcome([(1, scaled("0.9"))]), "wrong")

    def test_a_system_that_is_long_quiet_but_busy_did_not_finish(self):
        self.assertEqual(self.outcome([(1, scaled("0.9"))], cpu_seconds=1000), "did not finish")

    def test_a_system_that_still_publishes_did_not_finish(self):
        self.assertEqual(self.outcome([(compare.time.time(), scaled("0.9"))]), "did not finish")

    def test_a_system_that_ends_failed(self):
        self.assertEqual(self.outcome([], ended="exit code 1"), "failed")

    def test_a_wrong_peer_is_told_and_a_wrong_tenfold_ends_it(self):
        class Wrong:
            def measure(self, *_):
                raise compare.Failed("wrong", "page1 is too high")

        with contextlib.redirect_stderr(io.StringIO()):
            case = compare.run_case(Wrong(), SYSTEMS["spark"], "a")
        self.assertEqual((case["outcome"], case["reason"], case["figures"]), ("wrong", "page1 is too high", {}))
        with self.assertRaises(compare.Refusal):
            compare.run_case(Wrong(), SYSTEMS["tenfold"], "a")


class NativeTest(unittest.TestCase):
    NATIVE = [system for system in SYSTEMS.values() if system.package]

    def test_what_is_not_durable_says_so(self):
        self.assertEqual(len(self.NATIVE), 5)
        for system in self.NATIVE:
            self.assertIn("in memory", system.label)
            self.assertIn("nothing durable, no recovery", system.guarantee)

    def test_a_program_gets_its_flags_before_the_settings(self):
        run = argparse.Namespace(bench=argparse.Namespace(kafka="host:9092"))
        for name in ("differential", "dbsp"):
            command = [NATIVE_BUILD / f"release/{name}-top-ten", "host:9092", "events", 100]
            self.assertEqual(SYSTEMS[name].command(run, "events", 100), command)
            self.assertEqual(SYSTEMS[f"{name}-combined"].command(run, "events", 100), [*command, "--combine"])

    def test_every_program_is_in_the_workspace(self):
        for system in self.NATIVE:
            manifest = compare.PEERS / f"native/{system.package.removesuffix('-top-ten')}/Cargo.toml"
            self.assertIn(f'name = "{system.package}"', manifest.read_text())

    def test_a_missing_cargo_is_told_with_what_needs_it(self):
        with unittest.mock.patch.object(compare.shutil, "which", return_value=None):
            with self.assertRaisesRegex(BenchError, "cargo is missing, which builds map, differential: install Rust"):
                compare.find_cargo(["map", "differential"])

    def test_only_what_the_chosen_systems_need_is_built(self):
        def commands(*systems):
            options = argparse.Namespace(systems=systems, binaries="elsewhere")
            with unittest.mock.patch.multiple(compare, find_cargo=lambda _: "cargo", say=lambda _: None,
                                              run_step=unittest.mock.DEFAULT,
                                              build_with_maven=unittest.mock.DEFAULT) as mocks:
                compare.set_up(options)
            packages = [[word for word in call.args if str(word).startswith("--package=")]
                        for call in mocks["run_step"].call_args_list if call.args[0] == "cargo"]
            return packages, mocks["build_with_maven"].call_count

        self.assertEqual(commands("tenfold"), ([], 0))
        self.assertEqual(commands("tenfold", "map", "dbsp", "dbsp-combined"),
                         ([["--package=dbsp-top-ten", "--package=map-top-ten"]], 0))
        self.assertEqual(commands("spark"), ([], 1))
        self.assertEqual(commands("spark", "map"), ([["--package=map-top-ten"]], 1))


class StatisticsTest(unittest.TestCase):
    def test_the_steady_rate_is_that_after_the_first_quarter(self):
        entries = [(10, scaled("0.1")), (11, scaled("0.5")), (12, scaled("0.8")), (13, TOP)]
        self.assertAlmostEqual(compare_report.steady_rate(entries, 13, TOP, 400), 100)

    def test_there_is_no_steady_rate_of_one_publication(self):
        self.assertIsNone(compare_report.steady_rate([(13, TOP)], 13, TOP, 400))

    def test_a_probe_is_seen_when_the_score_has_it(self):
        reference = {"top": [{"key": "p", "score": "103"}], "probes": {"p": [1000, 2000, 3000]}}
        entries = [(1.1, [("p", Decimal(100))]), (2.5, [("p", Decimal("102"))]), (2.6, [("q", Decimal(1))]),
                   (3.25, [("p", Decimal(103))])]
        all_of_them = compare_report.live_latencies(entries, reference, 0)
        self.assertEqual((all_of_them["p50_ms"], all_of_them["max_ms"]), (500, 1500))
        self.assertEqual(compare_report.live_latencies(entries, reference, 1.5)["max_ms"], 250)

    def test_the_whole_process_tree_is_counted(self):
        tree = compare.ProcessTree([os.getpid()])
        self.assertGreater(tree.cpu_seconds(), 0)
        self.assertGreater(tree.peak_memory_mib(), 1)
        self.assertEqual(compare.ProcessTree([2**30]).cpu_seconds(), 0)


def report():
    cases = []
    for name, total in (("tenfold", 4.0), ("spark", 30.0), ("tenfold", 5.0), ("spark", 40.0), ("tenfold", 9.0)):
        cases.append({"round": 1, "system": name, "data": "a", "outcome": "right", "reason": "",
                      "figures": {"total_s": total, "steady_per_s": 2e6, "cpu_s_per_million": 0.5}})
    cases.append({"round": 1, "system": "flink-sql", "data": "a", "outcome": "did not finish", "reason": "in 300 s",
                  "figures": {}})
    return {"machine": "2 cores of <a kind>", "date": "2026-01-02", "events": 10_000_000, "rounds": 3, "timeout_s": 300,
            "live_rate": 20_000, "live_s": 30, "warm_up_s": 15, "data": ["a"], "cases": cases,
            "systems": [SYSTEMS[name].description() for name in ("tenfold", "flink-sql", "spark")]}


class ReportTest(unittest.TestCase):
    def test_the_table_has_medians_ranges_outcomes_and_settings(self):
        lines = compare_report.table(report()).splitlines()
        self.assertIn("5 (4-9)", next(line for line in lines if line.startswith("  Tenfold ")))
        self.assertIn("35 (30-40)", next(line for line in lines if line.startswith("  Spark")))
        self.assertIn("did not finish", next(line for line in lines if line.startswith("  Flink")))
        self.assertIn("  round 1, a, flink-sql: did not finish: in 300 s", lines)
        self.assertTrue(any("live: table.exec.mini-batch.allow-latency=100ms" in line for line in lines), lines)

    def test_every_figure_of_documents_and_plot_is_measured(self):
        for figure in sum(compare_report.COMPARISON_TABLES.values(), compare_report.PANELS + compare_report.README_TABLE):
            compare_report.find(*figure)

    def test_the_plot_is_well_formed_and_says_what_did_not_finish(self):
        root = xml.etree.ElementTree.fromstring(compare_report.svg(report()))
        texts = ["".join(element.itertext()) for element in root.iter() if element.tag.endswith("text")]
        self.assertIn("did not finish in 300 s", texts)
        self.assertIn("(a) total, s", texts)

    def test_documents_are_changed_between_their_markers_alone(self):
        document = f"before\n{compare_report.BEGIN}\nstale\n{compare_report.END}\nafter\n"
        for new in (compare_report.comparison_markdown(report()), compare_report.readme_markdown(report())):
            text = compare_report.between_markers(document, new)
            self.assertTrue(text.startswith("before\n") and text.endswith("\nafter\n"))
            self.assertNotIn("stale", text)
            self.assertIn("| Tenfold | 5 (4-9) |", text)
            self.assertEqual(text, compare_report.between_markers(text, new))
        with self.assertRaises(ValueError):
            compare_report.between_markers("no markers", "text")

    def test_documents_take_full_runs_only(self):
        full = dict(report(), data=list(compare.DATA), systems=[system.description() for system in SYSTEMS.values()])
        compare.check_full(full)
        for lack in ({"events": 200_000}, {"rounds": 1}, {"data": ["a"]}, {"systems": full["systems"][1:]}):
            with self.assertRaises(BenchError):
                compare.check_full(dict(full, **lack))


if __name__ == "__main__":
    unittest.main()
