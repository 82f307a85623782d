"""The benchmark's rows. Each takes the bench and a table, measures, and adds its values."""

import json
import statistics
import subprocess
import time

from bench_cluster import (BenchError, Cgroup, Cluster, end_process, read_json, rss_bytes, run_program, start_process,
                           wait_until)

MIB = 1024 * 1024
MEMORY_LIMIT_S = 1800
# Records: the shortest queue that does not become empty between two answers. What it saves is new memory.
SHORT_QUEUE = 300_000
# The queue of each of the tuned baseline's consumers.
TUNED_QUEUE = 50_000


def measure_baseline(bench, filler, kind, ahead=1_000_000):
    """B0 (read), reading by a worker's reader (wire), B2 (sum) or B3 (floor): events a second and CPU seconds per million events. `ahead` records are in
    librdkafka's queue."""
    answer = read_json([bench.program("bench-baseline"), "--kafka", bench.kafka, "--topic", filler.topic, "--ahead", ahead,
                        kind])
    reference = filler.reference
    if answer["records"] != reference["records"]:
        raise BenchError(f"the baseline read {answer['records']} records of {reference['records']}")
    if kind not in ("read", "wire"):
        # It sums doubles, which are only near.
        near = all(ours["key"] == exact["key"] and abs(ours["score"] - float(exact["score"])) < 1e-3
                   for ours, exact in zip(answer["top"], reference["top"], strict=True))
        if not near:
            raise BenchError(f"the baseline's top ten is wrong: {answer['top']}, not {reference['top']}")
    return answer["records"] / answer["seconds"], answer["cpu_seconds"] / answer["records"] * 1e6


def rate(batches):
    """Events a second from the first batch's plan to the last one's publication."""
    begin_us = batches[0]["published_at_us"] - batches[0]["processing_us"]
    return batches[-1]["records"] / (batches[-1]["published_at_us"] - begin_us) * 1e6


def measure_tenfold(bench, table, filler, workers, threads=None, wal="sync", fold="direct"):
    """From the first batch's plan to the published batch that holds everything; the CPU is driver's and workers'."""
    with Cluster(bench, workers, threads) as cluster:
        table.add("memory", "idle worker", rss_bytes(cluster.worker_pids()[0]) / MIB, "MiB")
        cpu_before = cluster.cpu_seconds()
        cluster.submit(filler.topic, wal=wal, fold=fold)
        batches = cluster.follow(filler.reference)
        cpu = cluster.cpu_seconds() - cpu_before
    return rate(batches), cpu / filler.reference["records"] * 1e6, batches


def compare(bench, table, row, contenders, ratios):
    """Runs each contender once; `ratios` are (name, of, to)."""
    figures = {name: measure()[:2] for name, measure in contenders.items()}
    for name, (events, cpu) in figures.items():
        table.add(row, name, events / 1e6, "M events/s")
        table.add(row, f"{name}, CPU", cpu, "s/M events")
    for of, to in ratios:
        table.add(row, f"{of} / {to}", figures[of][0] / figures[to][0], "x")
        table.add(row, f"{of} / {to}, CPU", figures[of][1] / figures[to][1], "x")


def throughput(bench, table, codec=None):
    a, b = (bench.topic(data, codec or "none") for data in ("a", "b"))
    compare(bench, table, codec or "throughput", {
        "B0 (a)": lambda: measure_baseline(bench, a, "read"),
        "B3 (a)": lambda: measure_baseline(bench, a, "floor", TUNED_QUEUE),
        "1 worker (a)": lambda: measure_tenfold(bench, table, a, 1),
        "B2 (a)": lambda: measure_baseline(bench, a, "sum"),
        "B2 short (a)": lambda: measure_baseline(bench, a, "sum", SHORT_QUEUE),
        "2 workers (a)": lambda: measure_tenfold(bench, table, a, 2),
        "B2 (b)": lambda: measure_baseline(bench, b, "sum"),
        "B2 short (b)": lambda: measure_baseline(bench, b, "sum", SHORT_QUEUE),
        "B3 (b)": lambda: measure_baseline(bench, b, "floor", TUNED_QUEUE),
        "1 worker (b)": lambda: measure_tenfold(bench, table, b, 1),
        "2 workers (b)": lambda: measure_tenfold(bench, table, b, 2),
    }, [("1 worker (a)", "B3 (a)"), ("1 worker (b)", "B3 (b)"), ("1 worker (a)", "B0 (a)"), ("1 worker (b)", "B2 (b)"),
        ("2 workers (a)", "B2 (a)"), ("2 workers (b)", "B2 (b)"), ("2 workers (a)", "B2 short (a)"),
        ("1 worker (b)", "B2 short (b)"), ("2 workers (b)", "B2 short (b)")])


def lz4(bench, table):
    throughput(bench, table, "lz4")


def zstd(bench, table):
    throughput(bench, table, "zstd")


def wal(bench, table):
    b = bench.topic("b")
    rates = {}
    for mode in ("sync", "off"):
        rates[mode], _, batches = measure_tenfold(bench, table, b, 1, wal=mode)
        table.add("wal", f"{mode} (b)", rates[mode] / 1e6, "M events/s")
        table.add("wal", f"{mode} (b), persist", sum(batch["persist_us"] for batch in batches) / 1e6, "s")
    table.add("wal", "sync / off (b)", rates["sync"] / rates["off"], "x")


def formats(bench, table):
    """The same job on the same events, as the decoder reads them that its fold has: what each takes beside reading them."""
    a = bench.topic("a")
    of = {records: bench.topic("a", records=records) for records in ("json", "avro", "protobuf")}
    reading = {filler: measure_baseline(bench, filler, "wire")[1] for filler in (a, *of.values())}
    cpu = {}
    for name, filler, fold in (("direct", a, "direct"), ("general, delimited", a, "general"), ("JSON", of["json"], "json"),
                               ("Avro", of["avro"], "avro"), ("Protobuf", of["protobuf"], "protobuf")):
        events, cpu[name], _ = measure_tenfold(bench, table, filler, 1, fold=fold)
        table.add("formats", f"{name} (a)", events / 1e6, "M events/s")
        table.add("formats", f"{name} (a), CPU", cpu[name] * 1000, "ns/event")
        table.add("formats", f"{name} (a), CPU of reading into nothing", reading[filler] * 1000, "ns/event")
        table.add("formats", f"{name} (a), CPU / reading into nothing", cpu[name] / reading[filler], "x")
        table.add("formats", f"{name} (a), CPU beyond reading", (cpu[name] - reading[filler]) * 1000, "ns/event")
    table.add("formats", "general, delimited / direct, CPU", cpu["general, delimited"] / cpu["direct"], "x")


def windows(bench, table):
    """A tumbling window that has all events against none, by the same plan."""
    b = bench.topic("b")
    cpu, speed = {}, {}
    for fold in ("general", "tumbling"):
        events, cpu[fold], _ = measure_tenfold(bench, table, b, 1, fold=fold)
        speed[fold] = events
        table.add("windows", f"{fold} (b)", events / 1e6, "M events/s")
        table.add("windows", f"{fold} (b), CPU", cpu[fold] * 1000, "ns/event")
    table.add("windows", "tumbling / general (b), CPU", cpu["tumbling"] / cpu["general"], "x")
    table.add("windows", "tumbling / general (b)", speed["tumbling"] / speed["general"], "x")


def groups(bench, table):
    """A top for each of 200 groups, and a quotient that ranks, against neither, by the same plan."""
    filler = bench.new_topic("visits", countries=200).do(f"zipf {bench.events} {1_000_000 // bench.scale} 1.1")
    cpu, speed = {}, {}
    for fold in ("visits", "groups", "quotient"):
        reference = filler.reference if fold != "quotient" else {"records": filler.reference["records"]}
        with Cluster(bench, 1) as cluster:
            before = cluster.cpu_seconds()
            cluster.submit(filler.topic, fold=fold)
            batches = cluster.follow(reference)
            cpu[fold] = (cluster.cpu_seconds() - before) / reference["records"] * 1e6
            if bench.quick:
                cluster.verify()
        speed[fold] = rate(batches)
        table.add("groups", f"{fold} (b)", speed[fold] / 1e6, "M events/s")
        table.add("groups", f"{fold} (b), CPU", cpu[fold] * 1000, "ns/event")
        merges = [batch["merge_us"] / 1e3 for batch in batches]
        table.add("groups", f"{fold} (b), merge of a batch", statistics.median(merges), "ms")
    for fold in ("groups", "quotient"):
        table.add("groups", f"{fold} / visits (b), CPU", cpu[fold] / cpu["visits"], "x")
        table.add("groups", f"visits / {fold} (b)", speed["visits"] / speed[fold], "x")
    bench.drop_topic(filler)


def slides(bench, table):
    """What batches take of a sliding window that moves on with each, and of a tumbling one that is over."""
    rows, many = (1_000_000 // bench.scale, 10_000_000 // bench.scale)
    for fold in ("general", "sliding"):
        filler = bench.new_topic("slides").do(f"range {rows} 0")
        with Cluster(bench, 1) as cluster:
            cluster.submit(filler.topic, interval="1s", fold=fold)
            begin = cluster.follow(filler.reference)[-1]["batch"] + 1
            cluster.wait_until_idle()
            found, _ = batches_of(cluster, filler, begin, f"zipf 1000 {rows} 0", 2 * repeats(bench))
        costs = [batch["processing_us"] / 1e6 for batch in found]
        table.add("slides", f"batch of 1,000 records on {rows:,} rows, {fold}", statistics.median(costs), "s")
        table.add("slides", f"the longest of them, {fold}", max(costs), "s")
        bench.drop_topic(filler)
    drop(bench, table, many)


def drop(bench, table, rows):
    """A window of many rows becomes final and is dropped, while records come."""
    filler = bench.new_topic("drop").do(f"range {rows} 0")
    with Cluster(bench, 1) as cluster:
        cluster.submit(filler.topic, interval="1s", fold="short")
        last = time.time() // 20
        begin = cluster.follow({"records": rows})[-1]["batch"] + 1
        cluster.wait_until_idle()
        wait_until("the next window", lambda: time.time() // 20 > last, 21)
        costs = []
        for _ in range(10):
            filler.do("zipf 1000 1000 0")
            batches = cluster.follow({"records": filler.reference["records"]}, begin=begin)
            begin = batches[-1]["batch"] + 1
            costs += [batch["processing_us"] / 1e6 for batch in batches]
        cluster.verify()
    table.add("slides", f"batch while a window of {rows:,} rows is dropped", statistics.median(costs), "s")
    table.add("slides", "the longest of them", max(costs), "s")


def measure_live(bench, interval):
    """20,000 events a second for a while: latencies, and the cores that driver and worker take."""
    seconds = 6 if bench.quick else 17
    job = f"live-{interval}"
    with Cluster(bench, 1) as cluster:
        topic = bench.new_name(job)
        producer = start_process(
            [bench.program("bench-live"), "--kafka", bench.kafka, "--topic", topic, "--driver", cluster.driver_address,
             "--job", job, "--seconds", seconds],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            if not producer.stdout.readline():
                raise BenchError(f"bench-live does not start: {producer.stderr.read()[-500:]}")
            cluster.submit(topic, job=job, interval=interval)
            cluster.follow({"records": 0, "top": []}, job=job)
            cpu_before, begin = cluster.cpu_seconds(), time.monotonic()
            answer, errors = producer.communicate("go\n")
            cores = (cluster.cpu_seconds() - cpu_before) / (time.monotonic() - begin)
        finally:
            end_process(producer)
        if producer.returncode != 0:
            raise BenchError(f"nothing is reported: {errors.strip()[-500:]}\n{cluster.log_tails()}")
    return json.loads(answer), cores


def live(bench, table):
    for interval in ("100ms", "10ms"):
        answer, cores = measure_live(bench, interval)
        for name, label in (("published_ms", "event to published"), ("seen_ms", "event to client")):
            for percentile in ("p50", "p99"):
                table.add("live", f"{interval} batches, {label}, {percentile}", answer[name][percentile], "ms")
        table.add("live", f"{interval} batches, driver and worker", cores, "cores")


def batches_of(cluster, filler, begin, changes, times):
    """Fills `changes` until a batch had all of it a few times; those batches, and the one to go on from."""
    found = []
    for _ in range(3 * times):
        before = filler.reference["records"]
        batches = cluster.follow(filler.do(changes).reference, begin=begin)
        begin = batches[-1]["batch"] + 1
        if batches[-1]["batch_records"] == filler.reference["records"] - before:
            found.append(batches[-1])
        if len(found) == times:
            return found, begin
    raise BenchError(f"what was filled at once ({changes}) came in several batches, {3 * times} times")


def repeats(bench):
    return 2 if bench.quick else 5


def state(bench, table):
    """One job whose keys become ever more: memory and the cost of a batch. Another one's worker starts again."""
    few, some, many = (100_000 // bench.scale, 1_000_000 // bench.scale, 10_000_000 // bench.scale)
    filler = bench.new_topic("state")
    costs, memory, key_bytes = {}, {}, {}
    with Cluster(bench, 1) as cluster:
        cluster.submit(filler.topic)
        begin, filled = 1, 0
        for keys in (few, some, many):
            batches = cluster.follow(filler.do(f"range {keys - filled} {filled}").reference, begin=begin)
            begin, filled = batches[-1]["batch"] + 1, keys
            # What a batch on so many keys costs, and not what flushing those that just came does.
            cluster.wait_until_idle()
            found, begin = batches_of(cluster, filler, begin, f"zipf 1000 {keys} 0", repeats(bench))
            costs[keys] = statistics.median(batch["processing_us"] for batch in found) / 1000
            table.add("state", f"batch of 1,000 records on {keys:,} keys", costs[keys], "ms")
            for part in ("fold", "persist", "merge"):
                cost = statistics.median(batch[f"{part}_us"] for batch in found) / 1000
                table.add("state", f"batch of 1,000 records on {keys:,} keys, {part}", cost, "ms")
            memory[keys], key_bytes[keys] = rss_bytes(cluster.worker_pids()[0]), filler.reference["key_bytes"]
            table.add("state", f"worker's memory at {keys:,} keys", memory[keys] / MIB, "MiB")
    table.add("state", f"batch on {many:,} / {few:,} keys", costs[many] / costs[few], "x")
    marginal = (memory[many] - memory[some] - (key_bytes[many] - key_bytes[some])) / (many - some)
    table.add("state", "memory a key, without the key's bytes", marginal, "B")
    restart(bench, table, some)


def restart(bench, table, keys):
    """Kills a worker and starts it again with records waiting: to the batch that has them."""
    filler = bench.new_topic("restart").do(f"range {keys} 0")
    with Cluster(bench, 1) as cluster:
        cluster.submit(filler.topic)
        begin = cluster.follow(filler.reference)[-1]["batch"] + 1
        cluster.kill("worker0")
        filler.do("zipf 1000 1000 0")
        start_ms = time.time() * 1000
        cluster.start("worker0")
        batches = cluster.follow(filler.reference, begin=begin)
    table.add("state", f"worker with {keys:,} keys, start to first batch", (batches[-1]["seen_at_ms"] - start_ms) / 1000, "s")


def partitions(bench, table):
    """A thousand partitions over four workers against three partitions, (b)."""
    few = bench.topic("b")
    many = bench.new_topic("many", partitions=1000).do(f"zipf {bench.events} {1_000_000 // bench.scale} 1.1")
    rate_of_few, _, _ = measure_tenfold(bench, table, few, 4, threads=1)
    with Cluster(bench, 4, threads=1) as cluster:
        cluster.submit(many.topic)
        batches = cluster.follow(many.reference)
        rate_of_many = rate(batches)
        found, _ = batches_of(cluster, many, batches[-1]["batch"] + 1, "zipf 1000 1000 0", repeats(bench))
    table.add("partitions", "1,000, 4 workers (b)", rate_of_many / 1e6, "M events/s")
    table.add("partitions", "3, 4 workers (b)", rate_of_few / 1e6, "M events/s")
    table.add("partitions", "1,000 / 3", rate_of_many / rate_of_few, "x")
    # Planning and dispatch, and besides them the way of requests and replies.
    parts = ("ends", "fold", "persist", "merge")
    rest = [batch["processing_us"] - sum(batch[f"{part}_us"] for part in parts) for batch in found]
    table.add("partitions", "1,000, batch without Kafka's answer, fold, persist, merge", statistics.median(rest) / 1000, "ms")
    whole = statistics.median(batch["processing_us"] for batch in found)
    table.add("partitions", "1,000, batch of 1,000 records", whole / 1000, "ms")


def submit(bench, table):
    """From the call of `tenfold submit` on a running cluster to the first batch."""
    empty, full = bench.new_topic("empty"), bench.topic("b")
    with Cluster(bench, 1) as cluster:
        for name, filler in (("empty topic", empty), ("backlog", full)):
            for i in range(3):
                job = f"{name.split()[0]}-{i}"
                called_ms, cli_ms = cluster.submit(filler.topic, job=job)
                batches = cluster.follow(filler.reference, job=job)
                table.add("submit", f"{name}, to batch 1", batches[0]["seen_at_ms"] - called_ms, "ms")
                table.add("submit", f"{name}, the CLI's part", cli_ms, "ms")
                read_json(cluster.tenfold("cancel", job, "-o", "json"))


def memory(bench, table):
    """One worker held to --memory 256MiB, with many times the keys that fit, in a control group of 512 MiB."""
    keys = 20_000_000 // bench.scale
    print(f"filling with {keys + keys // 2} events over {keys} keys", flush=True)
    filler = bench.new_topic("memory").do(f"range {keys} 0").do(f"zipf {keys // 2} {keys} 0")
    with Cgroup(512 * MIB) as cgroup:
        if cgroup.dir is None:
            print("memory: NO CONTROL GROUP: there is no memory controller here that can be written, so nothing holds the "
                  "worker to 512 MiB", flush=True)
        with Cluster(bench, 1, worker_flags=["--memory", "256MiB"], cgroup=cgroup) as cluster:
            cluster.submit(filler.topic)
            # Rows that are read from disk take their time.
            batches = cluster.follow(filler.reference, limit_s=MEMORY_LIMIT_S)
            # A killed worker is not started again, so this one has never been.
            peak = rss_bytes(cluster.worker_pids()[0], "VmHWM")
            if cgroup.dir is not None:
                if cgroup.kills() > 0:
                    raise BenchError("the worker was killed for its memory")
                if cgroup.peak_bytes() is not None:
                    table.add("memory", "peak of the group, page cache included", cgroup.peak_bytes() / MIB, "MiB")
    turn = next(i for i, batch in enumerate(batches) if batch["records"] >= keys)
    held = "256MiB" if cgroup.dir is not None else "256MiB, NO CONTROL GROUP"
    table.add("memory", f"{held}, {keys:,} new keys", rate(batches[:turn + 1]) / 1e6, "M events/s")
    later = [batches[turn], batches[-1]]
    events = later[1]["records"] - later[0]["records"]
    seconds = (later[1]["published_at_us"] - later[0]["published_at_us"]) / 1e6
    table.add("memory", f"{held}, keys that were there", events / seconds / 1e6, "M events/s")
    table.add("memory", f"{held}, peak of the worker", peak / MIB, "MiB")


def merge(bench, table):
    """The merge alone, over simulated workers."""
    size = ["--keys", 20_000, "--zipf", "1.1,0", "--workers", "4,100", "--hot-keys", 20_000] if bench.quick else []
    for line in run_program([bench.program("bench-merge"), *size]).splitlines():
        table.add_case("merge", json.loads(line))


# Of each row, whether it is measured once a run, not once a round.
ROWS = {
    "throughput": (throughput, False),
    "lz4": (lz4, False),
    "zstd": (zstd, False),
    "formats": (formats, False),
    "windows": (windows, False),
    "groups": (groups, False),
    "slides": (slides, False),
    "wal": (wal, False),
    "live": (live, False),
    "state": (state, False),
    "partitions": (partitions, False),
    "submit": (submit, False),
    "memory": (memory, True),
    "merge": (merge, True),
}
