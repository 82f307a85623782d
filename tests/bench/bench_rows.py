"""The benchmark's rows. Each takes the bench and a table, measures, and adds values; one of a round a time."""

import time

from bench_cluster import BenchError, Cluster, end_process, read_json, rss_bytes, start_process

MIB = 1024 * 1024


def measure_baseline(bench, filler, kind):
    """R0 (read) or R2 (sum): events a second and CPU seconds per million events."""
    answer = read_json([bench.program("bench-baseline"), "--kafka", bench.kafka, "--topic", filler.topic, kind])
    reference = filler.reference
    if answer["records"] != reference["records"]:
        raise BenchError(f"the baseline read {answer['records']} records of {reference['records']}")
    if kind == "sum":
        # It sums doubles, which are only near.
        near = all(ours["key"] == exact["key"] and abs(ours["score"] - float(exact["score"])) < 1e-3
                   for ours, exact in zip(answer["top"], reference["top"], strict=True))
        if not near:
            raise BenchError(f"the baseline's top ten is wrong: {answer['top']}, not {reference['top']}")
    return answer["records"] / answer["seconds"], answer["cpu_seconds"] / answer["records"] * 1e6


def measure_tenfold(bench, table, filler, workers, threads=None, wal="sync"):
    """From the first batch's plan to the published batch that holds everything; the CPU is driver's and workers'."""
    with Cluster(bench, workers, threads) as cluster:
        table.add("memory", "idle worker", rss_bytes(cluster.worker_pids()[0]) / MIB, "MiB")
        cpu_before = cluster.cpu_seconds()
        cluster.submit(filler.topic, wal=wal)
        batches = cluster.follow(filler.reference)
        cpu = cluster.cpu_seconds() - cpu_before
    begin_ms = batches[0]["published_at_ms"] - batches[0]["processing_us"] / 1000
    seconds = (batches[-1]["published_at_ms"] - begin_ms) / 1000
    records = filler.reference["records"]
    return records / seconds, cpu / records * 1e6, batches


def compare(bench, table, row, contenders, ratios):
    """Runs each contender once; `ratios` are (name, of, to)."""
    figures = {name: measure()[:2] for name, measure in contenders.items()}
    for name, (rate, cpu) in figures.items():
        table.add(row, name, rate / 1e6, "M events/s")
        table.add(row, f"{name}, CPU", cpu, "s/M events")
    for of, to in ratios:
        table.add(row, f"{of} / {to}", figures[of][0] / figures[to][0], "x")
        table.add(row, f"{of} / {to}, CPU", figures[of][1] / figures[to][1], "x")


def throughput(bench, table):
    a, b = bench.topic("a"), bench.topic("b")
    compare(bench, table, "throughput", {
        "R0 (a)": lambda: measure_baseline(bench, a, "read"),
        "1 worker (a)": lambda: measure_tenfold(bench, table, a, 1),
        "R2 (a)": lambda: measure_baseline(bench, a, "sum"),
        "2 workers (a)": lambda: measure_tenfold(bench, table, a, 2, threads=1),
        "R2 (b)": lambda: measure_baseline(bench, b, "sum"),
        "1 worker (b)": lambda: measure_tenfold(bench, table, b, 1),
        "2 workers (b)": lambda: measure_tenfold(bench, table, b, 2, threads=1),
    }, [("1 worker (a)", "R0 (a)"), ("1 worker (b)", "R2 (b)"), ("2 workers (a)", "R2 (a)"), ("2 workers (b)", "R2 (b)")])


def lz4(bench, table):
    a, b = bench.topic("a", "lz4"), bench.topic("b", "lz4")
    compare(bench, table, "lz4", {
        "R0 (a)": lambda: measure_baseline(bench, a, "read"),
        "1 worker (a)": lambda: measure_tenfold(bench, table, a, 1),
        "R2 (b)": lambda: measure_baseline(bench, b, "sum"),
        "1 worker (b)": lambda: measure_tenfold(bench, table, b, 1),
    }, [("1 worker (a)", "R0 (a)"), ("1 worker (b)", "R2 (b)")])


def wal(bench, table):
    b = bench.topic("b")
    rates = {}
    for mode in ("sync", "off"):
        rates[mode], _, batches = measure_tenfold(bench, table, b, 1, wal=mode)
        table.add("wal", f"{mode} (b)", rates[mode] / 1e6, "M events/s")
        table.add("wal", f"{mode} (b), persist", sum(batch["persist_us"] for batch in batches) / 1e6, "s")
    table.add("wal", "sync / off (b)", rates["sync"] / rates["off"], "x")


# Of each row, whether it is measured once a run, not once a round.
ROWS = {"throughput": (throughput, False), "lz4": (lz4, False), "wal": (wal, False)}
