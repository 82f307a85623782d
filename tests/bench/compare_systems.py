"""The systems that tests/bench/compare runs, and their settings: what is here is what they are given and what is printed.

Why these settings:
- Everyone gets two threads for two cores, RocksDB for its state, and a disk that is not synced but by Tenfold, whose
  write-ahead log survives a power loss. Java programs get 4 GB of heap and else the JVM's defaults (G1).
- In bulk a system publishes as rarely as it does well with; live every 100 ms, or as fast as it can. `publish` is the pace
  of a program of ours: Kafka Streams' looks each 10 ms whether a commit brought something, Spark's is a trigger.
- Kafka Streams: the events have no key, so they go through a repartition topic, with four partitions so that each of two
  threads has two. Its cache holds all sums, so that a commit writes each changed page once. Large polls and produce batches.
  Each hop of exactly-once costs a commit's interval, so that is 1 s in bulk.
  Exactly once like the others, and at least once beside it, as many run it.
- Flink: object reuse; incremental checkpoints each 2 s, exactly once; 1 GB of managed memory for RocksDB. The SQL's mini
  batches save most look-ups in state. Its Top-N over sums that may fall keeps all pages sorted in one value of the state,
  which RocksDB has to read and write whole at each change: on many pages that does not end, so the SQL also runs with state
  in the heap, where checkpoints are whole and so rarer, and DataStream is what one writes instead.
- Spark: complete mode, as only that has a top ten over all; changelog checkpoints; rows not counted; 5 million offsets a
  trigger (1 million is slower) in twice as many tasks as there are partitions, for three tasks leave a core idle; a local
  file system that starts no process for each file of a checkpoint, as Hadoop's does without its native library. Its
  real-time mode has neither complete mode nor foreachBatch.
- The native programs (a hash map, differential dataflow, DBSP) are in Rust, with mimalloc, over librdkafka: batches of
  records, a consumer a partition with a thread of its own, and no pause of a second when its queue was full. Live, a
  consumer waits for 64 KiB or 10 ms, as Tenfold's does. They keep all in memory: nothing is durable and nothing recovers,
  so they show what the same job costs without that. The engines get a step an interval; "combined" is with the events of a
  step summed by page in a hash map first, as one who knows them does. DBSP is the engine under Feldera as its crate has it,
  without storage, and merges its batches on as many threads again; of its releases, the last that Rust 1.95 compiles.
"""

import contextlib
import decimal
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time

from bench_cluster import ROOT, BenchError, Cluster, end_process, start_process

PEERS = ROOT / "tests/bench/peers"
BUILD = ROOT / "build/peers"
NATIVE_BUILD = BUILD / "native"
JAVA = ["java", "-Xmx4g"]
# As Flink's own scripts have them.
FLINK_JAVA = ["--add-exports=java.base/sun.net.util=ALL-UNNAMED"] + [
    f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in (
        "java.lang", "java.net", "java.io", "java.nio", "sun.nio.ch", "java.lang.reflect", "java.text", "java.time",
        "java.util", "java.util.concurrent", "java.util.concurrent.atomic", "java.util.concurrent.locks")]
ENDED_WELL = "ended well"
QUIET = ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]


def read_lines(line):
    """The top ten of a line `[["page1", "2.2"], ...]`, None for any other line."""
    if not line.startswith("[["):
        return None
    return [(page, decimal.Decimal(score)) for page, score in json.loads(line)]


def read_tenfold(line):
    """Of the line of a sink."""
    batch = json.loads(line)
    if batch["bad_records"]:
        raise BenchError(f"Tenfold took {batch['bad_records']} records for bad")
    return [(entry["key"], decimal.Decimal(entry["score"])) for entry in batch["top"]]


def changelog():
    """A reader of what Flink's print connector says: rows that come and go."""
    rows = {}

    def read(line):
        change = re.fullmatch(r"([+-])[IUD]\[(.*), (.*)\]", line)
        if not change:
            return None
        sign, page, score = change.groups()
        if sign == "+":
            rows[page] = decimal.Decimal(score)
        else:
            rows.pop(page, None)
        return sorted(rows.items(), key=lambda row: (-row[1], row[0]))

    return read


class Publications:
    """The top tens that a process prints, each with the time at which it was read. Of lines that came at once the last one's
    is kept."""

    def __init__(self, stream, read):
        self.entries = []
        self.error = None
        self._stream = stream
        self._read = read
        self._thread = threading.Thread(target=self._run, name="publications", daemon=True)
        self._thread.start()

    def _run(self):
        rest = b""
        with contextlib.suppress(OSError):
            while chunk := os.read(self._stream.fileno(), 1 << 16):
                now = time.time()
                *lines, rest = (rest + chunk).split(b"\n")
                try:
                    tops = [top for line in lines if (top := self._read(line.decode())) is not None]
                except (BenchError, ValueError, KeyError, ArithmeticError) as error:
                    self.error = error
                    return
                if tops:
                    self.entries.append((now, tops[-1]))

    def join(self):
        """Waits, but not for ever, until all is read that a process said which has ended."""
        self._thread.join(5)

    def close(self):
        self.join()
        self._stream.close()


class System:
    """How to run one on a topic. `pace` is how often it publishes live; `settings` are both modes', `bulk` and `live` one's;
    `command` begins the command line of a program that takes them, Tenfold has none; `package` is a native program's."""

    def __init__(self, name, label, *, pace, numbers, guarantee, settings, bulk, live, command=None,
                 read=lambda: read_lines, package=None):
        self.name, self.label, self.pace, self.numbers, self.guarantee = name, label, pace, numbers, guarantee
        self.modes = {"bulk": {**settings, **bulk}, "live": {**settings, **live}}
        self.command, self.read, self.package = command, read, package

    def description(self):
        return {"name": self.name, "label": self.label, "pace": self.pace, "numbers": self.numbers,
                "guarantee": self.guarantee, **self.modes}

    def run(self, bench, topic, mode):
        """To be entered, from when on it runs."""
        return (PeerRun if self.command else TenfoldRun)(bench, self, topic, self.modes[mode])


class PeerRun:
    """One Java, Python or Rust program with all of a system in it."""

    def __init__(self, bench, system, topic, settings):
        self.bench, self.system = bench, system
        self.id = topic.replace("_", "-") + f"-{system.name}-{time.monotonic_ns() % 10**9}"
        self.dir = tempfile.mkdtemp(prefix=f"{system.name}-", dir=bench.dir)
        publish = settings.get("publish")
        own = [f"{name}={value}" for name, value in settings.items() if name != "publish"]
        self.command = system.command(self, topic, publish) + own
        self.log_path = os.path.join(self.dir, "log")
        self.process = self.publications = self.begin = None

    def __enter__(self):
        environment = dict(os.environ, SPARK_LOCAL_IP="127.0.0.1", TMPDIR=self.dir)
        self.begin = time.time()
        with open(self.log_path, "wb") as log:
            self.process = start_process(self.command, stdout=subprocess.PIPE, stderr=log, cwd=self.dir, env=environment)
        self.publications = Publications(self.process.stdout, self.system.read())
        return self

    def __exit__(self, *_):
        # Nothing that a system does at its end is measured, and some take long.
        with contextlib.suppress(OSError):
            os.killpg(self.process.pid, 9)
        end_process(self.process)
        self.publications.close()
        if self.system.name.startswith("kafka-streams"):
            self._delete_topics()
        shutil.rmtree(self.dir, ignore_errors=True)

    def _delete_topics(self):
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run([ROOT / "deploy/kafka/kafka", "tool", "org.apache.kafka.tools.TopicCommand", "--bootstrap-server",
                            self.bench.kafka, "--delete", "--topic", f"{self.id}-.*"], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, timeout=60, check=False)

    def roots(self):
        return [self.process.pid]

    def ended(self):
        """What is wrong with it if it has ended."""
        if self.process.poll() is None:
            return None
        return f"exit code {self.process.returncode}" if self.process.returncode else ENDED_WELL

    def errors(self):
        """What its log has of them, briefly."""
        lines = [line.strip() for line in open(self.log_path, errors="replace")]
        return " | ".join([line for line in lines if re.search(r"Exception|Error|ERROR|panicked", line)][-2:])[:300]


class TenfoldRun:
    """A driver and a worker; the driver prints the batches."""

    def __init__(self, bench, system, topic, settings):
        self.system, self.topic, self.settings = system, topic, settings
        self.cluster = Cluster(bench, 1, threads=settings["--threads"], driver_stdout=subprocess.PIPE)
        self.publications = self.begin = None

    def __enter__(self):
        self.begin = time.time()
        self.cluster.__enter__()
        try:
            self.publications = Publications(self.cluster.processes["driver"].stdout, self.system.read())
            self.cluster.submit(self.topic, wal=self.settings["wal"], interval=self.settings["interval"], sink="stdout: {}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.cluster.__exit__()
        if self.publications:
            self.publications.close()

    def roots(self):
        return [process.pid for process in self.cluster.processes.values()]

    def ended(self):
        ended = [name for name, process in self.cluster.processes.items() if process.poll() is not None]
        return f"{ended[0]} ended" if ended else None

    def errors(self):
        return self.cluster.log_tails()


def kafka_streams(run, topic, publish):
    return [*JAVA, *QUIET, "-cp", f"{BUILD}/kafka-streams/jars/*", "peers.KafkaStreamsTopTen", topic, publish,
            f"bootstrap.servers={run.bench.kafka}", f"application.id={run.id}", f"state.dir={run.dir}"]


def flink(program):
    def command(run, topic, publish):
        return [*JAVA, *QUIET, *FLINK_JAVA, f"-Djava.io.tmpdir={run.dir}", "-cp", f"{BUILD}/flink/jars/*",
                f"peers.{program}", run.bench.kafka, topic, *([publish] if publish else []),
                f"execution.checkpointing.dir=file://{run.dir}/checkpoints", f"io.tmp.dirs={run.dir}"]
    return command


def spark(run, topic, publish):
    return [BUILD / "venv/bin/python", PEERS / "spark/spark_top_ten.py", run.bench.kafka, topic, publish,
            f"spark.driver.extraClassPath={BUILD}/spark/jars/*", f"spark.local.dir={run.dir}",
            f"spark.sql.streaming.checkpointLocation={run.dir}/checkpoints", f"spark.sql.warehouse.dir={run.dir}"]


def native(package, *flags):
    def command(run, topic, publish):
        return [NATIVE_BUILD / "release" / package, run.bench.kafka, topic, publish, *flags]
    return command


STREAMS_SETTINGS = {
    "num.stream.threads": 2, "statestore.cache.max.bytes": 256 << 20, "auto.offset.reset": "earliest",
    "main.consumer.max.poll.records": 5000, "producer.batch.size": 256 << 10,
    "default.key.serde": "org.apache.kafka.common.serialization.Serdes$StringSerde",
    "default.value.serde": "org.apache.kafka.common.serialization.Serdes$LongSerde"}
STREAMS_BULK = {"publish": 200, "commit.interval.ms": 1000}
STREAMS_LIVE = {"publish": 10, "commit.interval.ms": 100, "producer.linger.ms": 5}
FLINK_SETTINGS = {
    "parallelism.default": 2, "taskmanager.numberOfTaskSlots": 2, "taskmanager.memory.managed.size": "1g",
    "pipeline.object-reuse": "true", "execution.checkpointing.mode": "EXACTLY_ONCE",
    "execution.checkpointing.interval": "2s", "execution.checkpointing.incremental": "true",
    "restart-strategy.type": "none"}
ROCKSDB = {"state.backend.type": "rocksdb"}
FLINK_LIVE = {"execution.buffer-timeout.interval": "5ms"}
SQL_SETTINGS = {"table.exec.mini-batch.enabled": "true", "table.exec.mini-batch.size": 50000}
SQL_BULK = {"table.exec.mini-batch.allow-latency": "1s"}
SQL_LIVE = {"table.exec.mini-batch.allow-latency": "100ms", **FLINK_LIVE}
CHECKPOINTS = "exactly once, a checkpoint each 2 s"
# librdkafka calls a partition's largest answer fetch.message.max.bytes.
NATIVE_SETTINGS = {"fetch.message.max.bytes": 1 << 20, "fetch.error.backoff.ms": 1, "fetch.queue.backoff.ms": 1}
ENGINE_SETTINGS = {"--workers": 2, "queued.min.messages": 300_000, **NATIVE_SETTINGS}
NATIVE_LIVE = {"publish": 100, "fetch.min.bytes": 64 << 10, "fetch.wait.max.ms": 10}
IN_MEMORY = "in memory: nothing durable, no recovery"


def engine(name, label, package, *flags):
    return System(name, label, pace="each 100 ms, a step", numbers="scaled longs", guarantee=IN_MEMORY,
                  settings=ENGINE_SETTINGS, bulk={"publish": 1000}, live=NATIVE_LIVE, command=native(package, *flags),
                  package=package)


SYSTEMS = {system.name: system for system in (
    System("tenfold", "Tenfold", pace="each 100 ms, a batch", numbers="decimal, 128-bit sums",
           guarantee="exactly once, synced to disk before it is published",
           settings={"workers": 1, "--threads": 2, "wal": "sync"}, bulk={"interval": "2s"}, live={"interval": "100ms"},
           read=lambda: read_tenfold),
    System("kafka-streams", "Kafka Streams 4.3.1", pace="each 100 ms, a commit", numbers="scaled longs",
           guarantee="exactly once",
           settings={**STREAMS_SETTINGS, "processing.guarantee": "exactly_once_v2",
                     "producer.transaction.timeout.ms": 60_000}, bulk=STREAMS_BULK, live=STREAMS_LIVE,
           command=kafka_streams),
    System("kafka-streams-alo", "Kafka Streams, at least once", pace="each 100 ms, a commit", numbers="scaled longs",
           guarantee="at least once",
           settings={**STREAMS_SETTINGS, "processing.guarantee": "at_least_once"}, bulk=STREAMS_BULK, live=STREAMS_LIVE,
           command=kafka_streams),
    System("flink-datastream", "Flink 2.2.0 DataStream", pace="each 100 ms", numbers="scaled longs", guarantee=CHECKPOINTS,
           settings={**FLINK_SETTINGS, **ROCKSDB}, bulk={"publish": 200}, live={"publish": 100, **FLINK_LIVE},
           command=flink("FlinkDataStreamTopTen")),
    System("flink-sql", "Flink 2.2.0 SQL", pace="each 100 ms, a mini-batch", numbers="DECIMAL", guarantee=CHECKPOINTS,
           settings={**FLINK_SETTINGS, **ROCKSDB, **SQL_SETTINGS}, bulk=SQL_BULK, live=SQL_LIVE,
           command=flink("FlinkSqlTopTen"), read=changelog),
    System("flink-sql-heap", "Flink SQL, state in the heap", pace="each 100 ms, a mini-batch", numbers="DECIMAL",
           guarantee="exactly once, a checkpoint each 10 s",
           settings={**FLINK_SETTINGS, "state.backend.type": "hashmap", "execution.checkpointing.interval": "10s",
                     **SQL_SETTINGS}, bulk=SQL_BULK, live=SQL_LIVE,
           command=flink("FlinkSqlTopTen"), read=changelog),
    System("spark", "Spark 4.2.0 Structured Streaming", pace="batch after batch", numbers="DECIMAL",
           guarantee="exactly once in state",
           settings={"spark.master": "local[2]", "spark.driver.memory": "4g", "spark.sql.shuffle.partitions": 2,
                     "spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false",
                     "spark.sql.streaming.stateStore.providerClass":
                         "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider",
                     "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled": "true",
                     "spark.sql.streaming.stateStore.rocksdb.trackTotalNumberOfRows": "false",
                     "spark.hadoop.fs.file.impl": "com.globalmentor.apache.hadoop.fs.BareLocalFileSystem",
                     "spark.sql.streaming.checkpointFileManagerClass":
                         "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager",
                     "kafka.max.poll.records": 5000, "minPartitions": 6},
           bulk={"publish": "available", "maxOffsetsPerTrigger": 5_000_000}, live={"publish": "0 seconds"}, command=spark),
    System("map", "Rust, a hash map in memory", pace="each 100 ms", numbers="scaled longs", guarantee=IN_MEMORY,
           settings={"queued.min.messages": 50_000, **NATIVE_SETTINGS}, bulk={"publish": 200}, live=NATIVE_LIVE,
           command=native("map-top-ten"), package="map-top-ten"),
    engine("differential", "Differential 0.26, in memory", "differential-top-ten"),
    engine("differential-combined", "Differential, combined, in memory", "differential-top-ten", "--combine"),
    engine("dbsp", "DBSP 0.349, in memory", "dbsp-top-ten"),
    engine("dbsp-combined", "DBSP, combined, in memory", "dbsp-top-ten", "--combine"),
)}
