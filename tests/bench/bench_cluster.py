"""The processes that the benchmark runs: Kafka, the fillers of topics, and Tenfold's driver and workers."""

import contextlib
import ctypes
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
START_LIMIT_S = 30
# Longer than the slowest machine takes for the most events.
BATCH_LIMIT_S = 600
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """A sentence on why there is nothing to report."""


def _die_with_parent():
    # Without this a killed benchmark leaves its daemons behind.
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def start_process(command, **options):
    # In a session of its own: Ctrl-C ends the daemons in our order.
    return subprocess.Popen([str(word) for word in command], start_new_session=True, preexec_fn=_die_with_parent, **options)


def end_process(process, limit_s=10):
    """And the processes it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run_program(command):
    """Its stdout; a program that fails ends the benchmark."""
    process = start_process(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        out, errors = process.communicate()
    finally:
        end_process(process)
    if process.returncode != 0:
        raise BenchError(f"{pathlib.Path(command[0]).name} failed: {errors.strip()[-500:]}")
    return out


def read_json(command):
    return json.loads(run_program(command))


def wait_until(what, condition, limit_s=START_LIMIT_S):
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise BenchError(f"waited {limit_s} s for {what}")
        time.sleep(0.02)


def free_port(taken=set()):
    """A port below those of outgoing connections, never handed out twice."""
    while True:
        port = random.randrange(10000, 14000)
        with socket.socket() as probe:
            if port not in taken and probe.connect_ex(("127.0.0.1", port)) != 0:
                taken.add(port)
                return port


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        # The name, in parentheses, may have spaces.
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS_PER_SECOND


def rss_bytes(pid, field="VmRSS"):
    """Its resident memory, or with VmHWM the most it ever was."""
    with contextlib.suppress(OSError):
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
    raise BenchError(f"process {pid} is gone")


class Cgroup:
    """A control group with a limit of memory, of version 1 or 2, whichever has the controller; gone at the end."""

    V1 = ("memory.limit_in_bytes", "memory.oom_control", "memory.max_usage_in_bytes")
    V2 = ("memory.max", "memory.events", "memory.peak")

    def __init__(self, limit_bytes):
        self.dir = None
        for root, names in (("/sys/fs/cgroup/memory", self.V1), ("/sys/fs/cgroup", self.V2)):
            path = pathlib.Path(root) / f"tenfold-bench-{os.getpid()}"
            try:
                path.mkdir()
            except OSError:
                continue
            if names is self.V2:
                with contextlib.suppress(OSError):
                    (path.parent / "cgroup.subtree_control").write_text("+memory")
            if (path / names[0]).exists():
                self.dir, (_, self.events, self.peak) = path, names
                (path / names[0]).write_text(str(limit_bytes))
                with contextlib.suppress(OSError):
                    (path / "memory.swap.max").write_text("0")
                return
            path.rmdir()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.dir is not None:
            with contextlib.suppress(OSError):
                self.dir.rmdir()

    def wrap(self, command):
        """The command, to be run inside."""
        if self.dir is None:
            return command
        return ["sh", "-c", 'echo $$ > "$0" && exec "$@"', self.dir / "cgroup.procs", *command]

    def kills(self):
        words = (self.dir / self.events).read_text().split()
        return int(words[words.index("oom_kill") + 1])

    def peak_bytes(self):
        """Page cache included; None where the kernel does not tell."""
        with contextlib.suppress(OSError):
            return int((self.dir / self.peak).read_text())
        return None


_DELIMITED = '  format: {delimited: {separator: "|", fields: [page, clicks, minutes, like]}}'
_TYPED = "  fields: {page: {text: page}, clicks: {integer: clicks}, minutes: {decimal: minutes}, like: {integer: like}}"
_VISITS = _DELIMITED.replace("like]", "like, country]") + "\n" + _TYPED.replace("}}", "}, country: {text: country}}")
# As event_stream.cc has them.
_AVRO_SCHEMA = ("{type: record, name: Event, fields: [{name: id, type: string}, {name: page, type: string}, "
                "{name: country, type: string}, {name: clicks, type: int}, {name: minutes, type: double}, "
                "{name: like, type: int}, {name: agent, type: string}, "
                "{name: ms, type: {type: long, logicalType: timestamp-millis}}]}")
_DESCRIPTORS = "CskBCgtldmVudC5wcm90byKxAQoFRXZlbnQSDgoCaWQYASABKAlSAmlkEhIKBHBhZ2UYAiABKAlSBHBhZ2USGAoHY291bnRyeRgDIAEoCVIHY291bnRyeRIWCgZjbGlja3MYBCABKAVSBmNsaWNrcxIYCgdtaW51dGVzGAUgASgBUgdtaW51dGVzEhIKBGxpa2UYBiABKBFSBGxpa2USFAoFYWdlbnQYByABKAlSBWFnZW50Eg4KAm1zGAggASgDUgJtc2IGcHJvdG8z"
_SCORE = "0.8*clicks + 0.8*minutes + 1*like"
# The benchmark's job, of which all forms have the same result: how it reads records, and its score. Anything that is more
# than a weighted sum of delimited fields is decoded by a plan.
FOLDS = {
    "direct": (_DELIMITED, _SCORE),
    "general": (f"{_DELIMITED}\n{_TYPED}", _SCORE),
    # One window has all of them.
    "tumbling": (f"{_DELIMITED}\n{_TYPED}\nwindow: {{tumbling: 1y, lateness: 1h}}", _SCORE),
    # With a window each second, the same as long as no event is 15 minutes old.
    "sliding": (f"{_DELIMITED}\n{_TYPED}\nwindow: {{sliding: {{size: 15m, every: 1s}}, lateness: 0s}}", _SCORE),
    # A result of the last seconds only.
    "short": (f"{_DELIMITED}\n{_TYPED}\nwindow: {{tumbling: 20s, lateness: 0s}}", _SCORE),
    # Of records with a country.
    "visits": (f"{_VISITS}\nlimits: {{key_bytes: 256}}", _SCORE),
    "groups": (f"{_VISITS}\ngroup: country\ngroups: 200\nlimits: {{key_bytes: 256}}", _SCORE),
    # Another result: what counts is how much it takes.
    "quotient": (f"{_VISITS}\nmeasures:\n  rating: (sum({_SCORE}) + 30) / (count() + 10)", None),
    "json": (f"  format: {{json: {{}}}}\n{_TYPED}", _SCORE),
    "avro": (f"  format: {{avro: {{schema: {_AVRO_SCHEMA}}}}}\n{_TYPED}", _SCORE),
    "protobuf": (f'  format: {{protobuf: {{message: Event, descriptors: "base64:{_DESCRIPTORS}"}}}}\n{_TYPED}', _SCORE),
}


class Filler:
    """A topic, and what its exact result is."""

    def __init__(self, bench, topic, partitions=3, codec="none", seed=1, linger=20, records="delimited", countries=0):
        self.topic = bench.new_name(topic)
        self.process = start_process(
            [bench.program("bench-fill"), "--kafka", bench.kafka, "--topic", self.topic, "--partitions", partitions,
             "--codec", codec, "--seed", seed, "--linger", linger, "--records", records, "--countries", countries], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.reference = {"records": 0, "top": []}

    def do(self, command):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise BenchError(f"bench-fill ended at '{command}' on {self.topic}")
        self.reference = json.loads(answer)
        return self

    def ready(self):
        """Waits until the topic is there."""
        return self.do("range 0 0")


class Cluster:
    """A driver and its workers, with empty directories. `driver_stdout` is a Popen's, the log if None."""

    def __init__(self, bench, workers, threads=None, worker_flags=(), cgroup=None, driver_stdout=None):
        self.bench = bench
        self.driver_stdout = driver_stdout
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="cluster-", dir=bench.dir))
        self.driver_address = f"127.0.0.1:{free_port()}"
        self.commands = {"driver": [bench.program("tenfold-driver"), "--listen", self.driver_address, "--kafka",
                                    bench.kafka]}
        for i in range(workers):
            self.commands[f"worker{i}"] = [bench.program("tenfold-worker"), "--driver", self.driver_address, "--listen",
                                           f"127.0.0.1:{free_port()}"]
            if threads is not None:
                self.commands[f"worker{i}"] += ["--threads", threads]
            self.commands[f"worker{i}"] += worker_flags
        self.cgroup = cgroup
        self.processes = {}

    def __enter__(self):
        try:
            for name in self.commands:
                self.start(name)
            workers = len(self.commands) - 1
            wait_until(f"{workers} workers", lambda: self._live_workers() == workers)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name, process in reversed(self.processes.items()):
            with contextlib.suppress(OSError):
                end_process(process)
        shutil.rmtree(self.dir, ignore_errors=True)

    def start(self, name):
        with open(self.dir / f"{name}.log", "ab") as log:
            command = self.commands[name] + ["--data-dir", self.dir / name]
            if self.cgroup is not None and name != "driver":
                command = self.cgroup.wrap(command)
            stdout = self.driver_stdout if name == "driver" else None
            self.processes[name] = start_process(command, stdout=stdout or log, stderr=log)

    def kill(self, name):
        self.processes[name].kill()
        self.processes[name].wait()

    def tenfold(self, *arguments):
        return [self.bench.program("tenfold"), "--driver", self.driver_address, *arguments]

    def _live_workers(self):
        try:
            return sum(worker["state"] == "live" for worker in read_json(self.tenfold("workers", "-o", "json")))
        except BenchError:
            return 0

    def worker_pids(self):
        return [process.pid for name, process in self.processes.items() if name != "driver"]

    def cpu_seconds(self):
        return cpu_seconds([process.pid for process in self.processes.values()])

    def wait_until_idle(self):
        """Until the store has flushed and compacted what a backlog brought: for a while nearly no CPU is used."""
        begin = [time.monotonic(), self.cpu_seconds()]

        def is_idle():
            seconds = time.monotonic() - begin[0]
            if seconds < 1:
                return False
            cores = (self.cpu_seconds() - begin[1]) / seconds
            begin[:] = time.monotonic(), self.cpu_seconds()
            return cores < 0.1

        wait_until("the cluster to be idle", is_idle, BATCH_LIMIT_S)

    def submit(self, topic, job="bench", wal="sync", interval="2s", sink="file: {path: top.jsonl}", fold="direct"):
        """Returns the time of the call and how many milliseconds the CLI took."""
        spec = self.dir / f"{job}.yaml"
        fold_format, score = FOLDS[fold]
        score = f"score: {score}" if score else ""
        spec.write_text(f"""name: {job}
source:
  kafka: {{topics: [{topic}], start: earliest}}
{fold_format}
key: page
{score}
top: 10
batch: {{interval: {interval}}}
state: {{wal: {wal}}}
on_bad_record: skip
sinks: [{{{sink}}}]
""")
        called_ms = time.time() * 1000
        read_json(self.tenfold("submit", spec, "-o", "json"))
        return called_ms, time.time() * 1000 - called_ms

    def follow(self, reference, job="bench", begin=1, limit_s=BATCH_LIMIT_S):
        """The job's batches from `begin` to the one that holds everything, whose result must be the exact one, unless
        there is none in the reference."""
        try:
            lines = run_program([self.bench.program("bench-batches"), "--driver", self.driver_address, "--job", job,
                                 "--from", begin, "--records", reference["records"], "--timeout", limit_s])
        except BenchError as error:
            raise BenchError(f"{job} did not get through its topic: {error}\n{self.log_tails()}") from error
        batches = [json.loads(line) for line in lines.splitlines()]
        if "top" in reference:
            check_result(batches[-1], reference)
        return batches

    def verify(self, job="bench"):
        """Recomputes the last batch from the log; a benchmark of wrong results ends."""
        run_program(self.tenfold("verify", job))

    def log_tails(self):
        tails = []
        for name in self.commands:
            with contextlib.suppress(OSError):
                tails += [f"-- {name}", *(self.dir / f"{name}.log").read_text(errors="replace").splitlines()[-8:]]
        return "\n".join(tails)


def check_result(batch, reference):
    for name, published, exact in (("records", batch["records"], reference["records"]),
                                   ("bad records", batch["bad_records"], 0), ("top ten", batch["top"], reference["top"])):
        if published != exact:
            raise BenchError(f"batch {batch['batch']} is wrong, so nothing is reported: its {name} should be {exact}, "
                             f"but is {published}")


class Bench:
    """What all rows share: Kafka, a directory, the sizes, the topics that are filled once."""

    def __init__(self, options):
        self.quick = options.quick
        self.rounds = options.rounds
        self.binaries = pathlib.Path(options.binaries)
        self.scale = 10 if options.quick else 1
        self.events = 10_000_000 // self.scale
        self.run_id = f"{os.getpid()}-{int(time.time())}"
        self.dir = None
        self.kafka = os.environ.get("TENFOLD_TEST_KAFKA", "")
        self.own_kafka = not self.kafka
        self.topics = 0
        self.fillers = []
        self.named = {}

    def __enter__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tenfold-bench."))
        try:
            if self.own_kafka:
                # The full compiler and a heap that does not collect all the time: Kafka is not what is measured.
                environment = dict(os.environ, TENFOLD_KAFKA_JAVA="-Xmx1g -XX:TieredStopAtLevel=4")
                started = subprocess.run([ROOT / "deploy/kafka/kafka", "start", "--dir", self.dir / "kafka"], text=True,
                                         stdout=subprocess.PIPE, env=environment, check=False)
                if started.returncode != 0:
                    raise BenchError("Kafka does not start")
                self.kafka = started.stdout.strip()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        # A second Ctrl-C must not leave half of it behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for filler in self.fillers:
            if not self.own_kafka and filler.process.poll() is None:
                with contextlib.suppress(BenchError, OSError):
                    filler.do("delete")
            end_process(filler.process)
        if self.own_kafka:
            subprocess.run([ROOT / "deploy/kafka/kafka", "stop", "--dir", self.dir / "kafka"], stderr=subprocess.DEVNULL,
                           check=False)
        shutil.rmtree(self.dir, ignore_errors=True)

    def program(self, name):
        path = self.binaries / name
        if not path.exists():
            raise BenchError(f"{path} is missing; cmake --build {self.binaries.parent} --target bench makes it")
        return path

    def new_name(self, topic):
        self.topics += 1
        return f"{topic}-{self.run_id}-{self.topics}"

    def new_topic(self, name, **options):
        filler = Filler(self, name, **options)
        self.fillers.append(filler)
        return filler.ready()

    def drop_topic(self, filler):
        """Before the end, to have its disk space."""
        self.fillers.remove(filler)
        with contextlib.suppress(BenchError, OSError):
            filler.do("delete")
        end_process(filler.process)

    def topic(self, name, codec="none", records="delimited"):
        """The two data sets: a, 100 pages alike; b, a million, Zipf 1.1."""
        key = f"{name}-{codec}-{records}"
        if key not in self.named:
            what = ("" if codec == "none" else ", " + codec) + ("" if records == "delimited" else ", " + records)
            print(f"filling ({name}){what}: {self.events} events", flush=True)
            pages = "100 0" if name == "a" else f"{1_000_000 // self.scale} 1.1"
            self.named[key] = self.new_topic(key, codec=codec, records=records).do(f"zipf {self.events} {pages}")
        return self.named[key]
