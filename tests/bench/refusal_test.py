#!/usr/bin/env python3
"""What the benchmark refuses to report. tests/bench/run is run whole, on programs that only say what a test has them say, so
without Kafka and in seconds."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

BENCH = pathlib.Path(__file__).resolve().parent
PROGRAMS = ("bench-baseline", "bench-batches", "bench-fill", "bench-fold", "bench-live", "bench-merge", "tenfold",
            "tenfold-driver", "tenfold-worker", "valgrind")
# Every program is this one: each says what is in its file, and some have to live.
PROGRAM = """#!/bin/sh
said="$0.says"
case "${0##*/}" in
  bench-fill) while read -r command; do cat "$said"; done ;;
  bench-live) echo '{"ready": true}'; read -r command; cat "$said" >&2; exit 1 ;;
  bench-merge) cat "$said"; exec test -s "$said" ;;
  tenfold) case "$*" in *workers*) echo '[{"state": "live"}]' ;; *) echo '{}' ;; esac ;;
  tenfold-*) exec sleep 60 ;;
  valgrind) for word; do case "$word" in --callgrind-out-file=*) cat "$said" >"${word#*=}" ;; esac; done ;;
  *) cat "$said" ;;
esac
"""
TOP = [{"key": f"page{i}", "score": f"{30 - i}.5"} for i in range(10)]
BATCH = {"batch": 1, "published_at_us": 1000000, "records": 70, "bad_records": 0, "processing_us": 5000, "persist_us": 1000,
         "top": TOP}


class RefusalTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.bin = pathlib.Path(self.directory.name)
        for name in PROGRAMS:
            (self.bin / name).write_text(PROGRAM)
            (self.bin / name).chmod(0o755)
        self.says("bench-fill", {"records": 70, "top": TOP})
        self.says("bench-batches", BATCH)
        self.says("bench-baseline", {"records": 70, "seconds": 1, "cpu_seconds": 1,
                                     "top": [dict(entry, score=float(entry["score"])) for entry in TOP]})
        self.says("bench-merge", {"workers": 4})

    def says(self, program, answer):
        (self.bin / f"{program}.says").write_text(json.dumps(answer) + "\n")

    def run_bench(self, script, *arguments):
        # The brokers are never asked: only the programs would.
        environment = dict(os.environ, TENFOLD_TEST_KAFKA="127.0.0.1:1", PATH=f"{self.bin}:{os.environ['PATH']}")
        return subprocess.run([sys.executable, BENCH / script, "--binaries", self.bin, *arguments], env=environment, text=True,
                              capture_output=True, timeout=60, check=False)

    def run_row(self, row):
        return self.run_bench("run", "--quick", "--rows", row, "--json", self.bin / "figures.json")

    def assert_refused(self, row, sentence):
        done = self.run_row(row)
        self.assertEqual(done.returncode, 1, done)
        self.assertIn(sentence, done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        # Neither the table nor a row's cases.
        self.assertNotIn("median", done.stdout)
        self.assertNotIn("workers", done.stdout)
        self.assertFalse((self.bin / "figures.json").exists())

    def assert_reported(self, row, figure):
        done = self.run_row(row)
        self.assertEqual(done.returncode, 0, done)
        self.assertIn(figure, done.stdout)
        self.assertTrue((self.bin / "figures.json").exists())

    def test_exact_results_are_reported(self):
        # Else the others could be red for any reason.
        self.assert_reported("wal", "sync / off (b)")
        self.assert_reported("merge", "workers")

    def test_a_score_is_off_by_the_last_digit(self):
        top = [dict(entry) for entry in TOP]
        top[9]["score"] += "00000001"
        self.says("bench-batches", dict(BATCH, top=top))
        self.assert_refused("wal", "batch 1 is wrong, so nothing is reported: its top ten should be")

    def test_two_places_are_swapped(self):
        self.says("bench-batches", dict(BATCH, top=[TOP[1], TOP[0], *TOP[2:]]))
        self.assert_refused("wal", "its top ten should be")

    def test_an_entry_is_missing(self):
        self.says("bench-batches", dict(BATCH, top=TOP[:9]))
        self.assert_refused("wal", "its top ten should be")

    def test_a_record_was_folded_twice(self):
        self.says("bench-batches", dict(BATCH, records=71))
        self.assert_refused("wal", "its records should be 70, but is 71")

    def test_a_record_was_taken_for_bad(self):
        self.says("bench-batches", dict(BATCH, bad_records=1))
        self.assert_refused("wal", "its bad records should be 0, but is 1")

    def test_what_was_measured_before_is_not_reported_either(self):
        # The baseline's first figures are right.
        self.says("bench-batches", dict(BATCH, top=TOP[:9]))
        self.assert_refused("throughput", "its top ten should be")

    def test_the_baseline_is_wrong(self):
        self.says("bench-baseline", {"records": 69, "seconds": 1, "cpu_seconds": 1})
        self.assert_refused("throughput", "the baseline read 69 records of 70")

    def test_the_live_result_is_wrong(self):
        self.says("bench-batches", dict(BATCH, records=0, top=[]))
        self.says("bench-live", "the result is wrong")
        self.assert_refused("live", 'nothing is reported: "the result is wrong"')

    def test_the_merge_is_wrong(self):
        (self.bin / "bench-merge.says").write_text("")
        self.assert_refused("merge", "bench-merge failed")

    def test_the_fold_takes_more_instructions_than_its_bound(self):
        (self.bin / "valgrind.says").write_text("totals: 1000000000\n")
        done = self.run_bench("instructions")
        self.assertEqual(done.returncode, 1, done)
        self.assertIn("tests/bench/instructions --record", done.stderr)

    def test_no_instruction_was_counted(self):
        (self.bin / "valgrind.says").write_text("totals: 0\n")
        done = self.run_bench("instructions")
        self.assertEqual(done.returncode, 1, done)
        self.assertIn("counted nothing", done.stderr)


if __name__ == "__main__":
    unittest.main()
