"""Several `rynjer` processes over one database, and a load that goes to all of them at random.

A broken connection counts against the gateway unless its process was being killed, stopped or started meanwhile. Not
here: what is done to the processes and to the database, and why.
"""

import http.client
import json
import os
import queue
import random
import secrets
import shutil
import signal
import sqlite3
import tempfile
import threading
import time
import traceback
from pathlib import Path

from gateway import Client, Gateway, Stop
from postgres_server import PostgresServer
from promise import KINDS, Promises, Record

GRANTED = 1_000_000_000
CLIENT_SECONDS = 30
# A gateway closes a connection that says nothing for 10 s: one that rested for long is made anew.
IDLE_SECONDS = 5
SETTLE_SECONDS = 180
SAMPLED_REPLAYS = 60
SAMPLED_DOWNLOADS = 10
# Shorter than the defaults, so that a round is short; the least that the settings allow.
LEASE_SECONDS = 2
SHORT_LEASE = {"RYNJER_WORKER__LEASE_SECONDS": str(LEASE_SECONDS), "RYNJER_WORKER__BEAT_SECONDS": "1"}
ONE_RENDER = {"RYNJER_SANDBOX__PARALLEL_RENDERS": "1"}
# Tokens name the gateway that they are for: all processes must call themselves the same.
ONE_NAME = {"RYNJER_SERVER__PUBLIC_URL": "https://gateway.example"}


class Node(Gateway):
    """One process of several; its clients see by `life` that it is another one now."""

    def __init__(self, binary, folder, name, role, settings):
        super().__init__(binary, folder, settings, ["--role", role])
        self.name = name
        self.role = role
        self.log_path = self.data_dir / f"{name}.log"
        self.life = 0
        self.is_troubled = False
        self.troubled_until = 0.0
        self.log_start = 0
        # A process whose clock is wrong answers requests, but tells balancers to go elsewhere.
        self.ready_statuses = {200}

    def start(self):
        """Starts the process and returns at once."""
        self.log_start = self.log_path.stat().st_size if self.log_path.exists() else 0
        super().start()

    def readiness(self):
        """200 once it takes requests, or tasks."""
        if self.role == "worker":
            with open(self.log_path, "rb") as log:
                log.seek(self.log_start)
                return 200 if b"works on what gateways" in log.read() else None
        status = super().readiness()
        return 200 if status in self.ready_statuses else status

    def disturb(self):
        """From here on its clients may lose their connections."""
        self.is_troubled = True

    def calm(self):
        """From here on they may not."""
        self.troubled_until = time.monotonic()
        self.is_troubled = False

    def was_troubled_since(self, begun):
        """Whether a call that began then may have been cut off."""
        return self.is_troubled or begun <= self.troubled_until

    def kill(self):
        """Ends it as a power cut would."""
        self.disturb()
        self.life += 1
        super().kill()

    def restart(self):
        """Starts it again and waits until it is ready."""
        self.start()
        self.wait_ready()
        self.calm()

    def freeze(self):
        """Stops it in the midst of whatever it does, as a machine that hangs."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self):
        """Lets it go on as if nothing had been."""
        os.kill(self.process.pid, signal.SIGCONT)


class Cluster:
    """API processes and workers with one folder, one master key and one database."""

    def __init__(self, binary, apis=3, workers=2, settings=None, sqlite=False, fast=True, prefix="rynjer-nodes-"):
        self.binary = binary
        self.folder = Path(tempfile.mkdtemp(prefix=prefix))
        self.server = None if sqlite else PostgresServer(fast)
        self.sqlite_path = self.folder / "shared.db" if sqlite else None
        self.settings = {"RYNJER_MASTER_KEY": secrets.token_hex(32)} | ONE_NAME | ONE_RENDER | SHORT_LEASE
        self.settings |= settings or {}
        self.counts = {"api": apis, "worker": workers}
        self.nodes = []
        self.is_failed = False

    def __enter__(self):
        try:
            if self.server:
                self.server.__enter__()
                self.server.make_database("rynjer")
            self.settings["RYNJER_DATABASE__URL"] = self.url()
            for role, count in self.counts.items():
                self.nodes += [self.node(f"{role}{number}", role) for number in range(1, count + 1)]
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for node in self.nodes:
            # One that is frozen can be killed all the same.
            node.kill()
        if self.is_failed and self.server:
            shutil.copy(self.server.log_path, self.folder / "postgres.log")
        if self.server:
            self.server.remove()
        if not self.is_failed:
            shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, port=None):
        """The database, perhaps through a port that leads to it."""
        return f"sqlite:{self.sqlite_path}" if self.sqlite_path else self.server.url("rynjer", port)

    def node(self, name, role, settings=None):
        """A process that is not started yet."""
        return Node(self.binary, self.folder, name, role, self.settings | (settings or {}))

    @property
    def apis(self):
        """Those that answer requests."""
        return [node for node in self.nodes if node.role == "api"]

    @property
    def workers(self):
        """Those that run tasks."""
        return [node for node in self.nodes if node.role == "worker"]

    def start(self):
        """Starts all at the same moment, on whatever the database holds; returns when all are ready."""
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            node.wait_ready()

    def stop(self):
        """Asks all to end; the names of those that did not end well."""
        for node in self.nodes:
            node.terminate()
        return [node.name for node in self.nodes if node.wait_exit(40) != 0]

    def rows(self, query):
        """The rows of a query on the database itself."""
        if self.server:
            return self.server.query(query, "rynjer")
        database = sqlite3.connect(f"file:{self.sqlite_path}?mode=ro", uri=True)
        try:
            return [[None if value is None else str(value) for value in row] for row in database.execute(query)]
        finally:
            database.close()

    def number(self, query):
        """The one number of a query."""
        return int(self.rows(query)[0][0] or 0)

    def panics(self):
        """Lines of all logs that tell of a panic."""
        return [f"{node.name}: {line}" for node in self.nodes for line in node.panics()]

    def log_lines(self, level):
        """How many lines of such a level the logs have."""
        text = "".join(node.log_path.read_text(errors="replace") for node in self.nodes if node.log_path.exists())
        return sum(1 for line in text.splitlines() if f" {level} " in line)


class Campaign(Promises):
    """Load on a cluster, and the reckoning."""

    def __init__(self, cluster, seed, per_second=120, threads=10, poison_allowed=False):
        super().__init__(poison_allowed)
        self.cluster = cluster
        self.seed = seed
        self.random = random.Random(seed)
        self.pause_seconds = threads / per_second
        self.threads = threads
        self.key = None
        self.account_id = None
        self.unchecked = []
        self.jobs = queue.Queue()
        self.stopping = threading.Event()
        self.running = []
        self.number = 0
        self.slowest_audit = 0.0
        self.slowest_answer = 0.0
        self.begun = time.monotonic()

    def open_account(self):
        """The account that pays."""
        self.account_id, self.key = self.cluster.apis[0].make_account(f"load-{self.seed}@example.com", GRANTED)

    # ---- load ----

    def load_begin(self):
        """Threads send until load_end."""
        self.stopping.clear()
        generators = [random.Random(self.random.random()) for _ in range(self.threads)]
        self.running = [threading.Thread(target=self.work, args=(generator,)) for generator in generators]
        for thread in self.running:
            thread.start()

    def load_end(self):
        """Lets every request that is under way be answered."""
        self.stopping.set()
        for thread in self.running:
            thread.join()
        self.running = []

    def work(self, generator):
        """Sends requests, each to a node of its own choice."""
        clients = {}
        try:
            while not self.stopping.is_set():
                action, *arguments = self.choose(generator)
                self.exchange(clients, generator.choice(self.cluster.apis), action, *arguments)
                time.sleep(generator.uniform(0, 2 * self.pause_seconds))
        except Exception:  # noqa: BLE001  a thread that dies silently would prove nothing
            self.violate(f"the client failed: {traceback.format_exc()}")
        finally:
            for _, _, client in clients.values():
                client.close()

    def exchange(self, clients, node, action, *arguments):
        """One action at one node; a connection may break only with its process."""
        begun = time.monotonic()
        life, used, client = clients.get(node.name, (None, 0.0, None))
        if client is None:
            client = Client(node.port, self.key, timeout=CLIENT_SECONDS)
        elif life != node.life or begun - used > IDLE_SECONDS:
            # The next call opens it again.
            client.close()
        clients[node.name] = (node.life, begun, client)
        try:
            action(client, *arguments)
        except (OSError, http.client.HTTPException) as error:
            client.close()
            if node.was_troubled_since(begun):
                self.count("cut off")
            else:
                self.violate(f"{node.name} broke a connection {time.monotonic() - begun:.2f} s after: {error!r}")
        ended = time.monotonic()
        clients[node.name] = (clients[node.name][0], ended, client)
        self.slowest_answer = max(self.slowest_answer, ended - begun)

    def choose(self, generator):
        """What is sent next."""
        try:
            return self.jobs.get_nowait()
        except queue.Empty:
            pass
        with self.lock:
            recent = self.unchecked[-400:]
        shape = generator.random()
        if not recent or shape < 0.5:
            return self.fresh(generator)
        record = generator.choice(recent if shape < 0.9 else self.unchecked)
        if record.task_id is None:
            return self.send, record, generator.randrange(2)
        return (self.poll if shape < 0.6 else self.send_winner), record

    def fresh(self, generator):
        """A new request: perhaps one that is refused, one with a twin at another node, or one to be canceled."""
        with self.lock:
            self.number += 1
            request_id = f"nodes-{self.seed}-{self.number}"
        shape = generator.random()
        if shape < 0.03:
            return self.refuse, request_id
        names, weights = list(KINDS), [kind.weight for kind in KINDS.values()]
        record = Record(request_id, generator.choices(names, weights)[0], self.number)
        if shape < 0.06:
            record.bodies.append(record.body_of(f"{record.kind.prompt} other"))
        if shape < 0.16:
            for copy in range(1, 3):
                self.jobs.put((self.send, record, copy))
        elif shape < 0.24:
            self.jobs.put((self.cancel, record))
        with self.lock:
            self.records[request_id] = record
            self.unchecked.append(record)
        return self.send, record, 0

    # ---- the reckoning ----

    def in_parallel(self, records, action):
        """Calls the action for each record, each at a random node."""
        jobs = queue.Queue()
        for record in records:
            jobs.put(record)

        def run(generator):
            clients = {}
            try:
                while True:
                    record = jobs.get_nowait()
                    self.exchange(clients, generator.choice(self.cluster.apis), action, record)
            except queue.Empty:
                pass
            except Exception:  # noqa: BLE001
                self.violate(f"the client failed: {traceback.format_exc()}")
            finally:
                for _, _, client in clients.values():
                    client.close()

        generators = [random.Random(self.random.random()) for _ in range(self.threads)]
        threads = [threading.Thread(target=run, args=(generator,)) for generator in generators]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def drain_jobs(self):
        """Twins and cancels that were not sent before the load ended are forgotten."""
        while not self.jobs.empty():
            self.jobs.get_nowait()
        with self.lock:
            for record in [record for record in self.unchecked if record.sends == 0]:
                del self.records[record.request_id]
            self.unchecked = [record for record in self.unchecked if record.sends > 0]

    def audit(self, when):
        """The ledger must be sound."""
        begun = time.monotonic()
        wrong = self.cluster.apis[0].audit()
        self.slowest_audit = max(self.slowest_audit, time.monotonic() - begun)
        self.count("audits")
        if wrong:
            self.violate(f"{when}: {wrong}")

    def replay(self, count=SAMPLED_REPLAYS):
        """What was acknowledged lately has the same task at every node."""
        known = [record for record in self.unchecked[-3 * count :] if record.task_id is not None]
        self.in_parallel(self.random.sample(known, min(count, len(known))), self.send_winner)

    def check(self, when, everything=False):
        """Lets all tasks end undisturbed, then compares all with what was promised."""
        self.drain_jobs()
        self.in_parallel([record for record in self.unchecked if record.task_id is None], self.make_known)
        if not self.wait_settled(when):
            return
        records = list(self.records.values()) if everything else self.unchecked
        self.charged = sum(r.charge for r in self.records.values() if r.is_final) if not everything else 0
        self.in_parallel([record for record in records if record.task_id is not None], self.settled)
        delivered = [record for record in records if record.charge and record.is_final]
        self.in_parallel(self.random.sample(delivered, min(SAMPLED_DOWNLOADS, len(delivered))), self.downloaded)
        available, held = self.balance()
        if (GRANTED - available, held) != (self.charged, 0):
            self.violate(
                f"{when}: {GRANTED - available} credits are gone and {held} held, but {self.charged} were charged"
            )
        self.check_rows(when)
        self.unchecked = []
        self.count("reckonings")
        self.audit(when)

    def check_rows(self, when):
        """The same, from the database itself: each task once, each hold ended once."""
        tasks = self.cluster.number(f"SELECT COUNT(*) FROM tasks WHERE account_id = '{self.account_id}'")
        if tasks != len(self.records):
            self.violate(f"{when}: {tasks} tasks for {len(self.records)} request ids")
        for what, query in ROWS_THAT_MUST_NOT_BE.items():
            wrong = self.cluster.number(query)
            if wrong:
                self.violate(f"{when}: {wrong} {what}")

    def balance(self):
        """The account's available and held credits."""
        with Client(self.cluster.apis[0].port, self.key) as client:
            data = client.call("GET", "/v1/credits/balance").data
            return data["available"], data["held"]

    def wait_settled(self, when):
        """Waits until nothing is held any more."""
        until = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < until:
            if self.balance()[1] == 0:
                return True
            time.sleep(0.1)
        self.violate(f"{when}: {self.balance()[1]} credits are still held after {SETTLE_SECONDS} undisturbed seconds")
        return False

    def close(self):
        """Looks into the logs; whether all was well."""
        for line in self.cluster.panics()[:5]:
            self.violate(f"log: {line}")
        self.cluster.is_failed = bool(self.violations)
        return not self.violations

    def figures(self):
        """What a run's last line says."""
        found = {name.replace(" ", "_"): count for name, count in sorted(self.counts.items())}
        return {"violations": len(self.violations), "seed": self.seed, "request_ids": len(self.records)} | found | {
            "slowest_audit_seconds": round(self.slowest_audit, 2),
            "slowest_answer_seconds": round(self.slowest_answer, 2),
            "log_warnings": self.cluster.log_lines("WARN"),
            "log_errors": self.cluster.log_lines("ERROR"),
            "seconds": round(time.monotonic() - self.begun),
        }


ROWS_THAT_MUST_NOT_BE = {
    "tasks are not final": "SELECT COUNT(*) FROM tasks WHERE finished_at IS NULL",
    "tasks have two entries of one kind": (
        "SELECT COUNT(*) FROM (SELECT task_id FROM entries WHERE kind IN ('hold', 'capture', 'release') "
        "GROUP BY account_id, task_id, kind HAVING COUNT(*) > 1) found"
    ),
    "tasks were held and not ended to the same amount": (
        "SELECT COUNT(*) FROM (SELECT task_id FROM entries WHERE kind IN ('hold', 'capture', 'release') "
        "GROUP BY account_id, task_id "
        "HAVING SUM(CASE kind WHEN 'hold' THEN amount ELSE -amount END) <> 0) found"
    ),
    "tasks have no hold": (
        "SELECT COUNT(*) FROM tasks WHERE NOT EXISTS (SELECT 1 FROM entries WHERE kind = 'hold' AND "
        "entries.account_id = tasks.account_id AND entries.task_id = tasks.id "
        "AND entries.amount = tasks.held + tasks.charged + tasks.released + tasks.refunded)"
    ),
    "vendor jobs belong to two attempts": (
        "SELECT COUNT(*) FROM (SELECT provider_task_id FROM attempts WHERE provider_task_id IS NOT NULL "
        "GROUP BY provider, provider_task_id HAVING COUNT(*) > 1) found"
    ),
}


def report(campaign, title, more=None):
    """The last lines of a script; its exit code."""
    is_well = campaign.close()
    print(json.dumps({"script": title} | campaign.figures() | (more or {})), flush=True)
    if is_well:
        print("passed")
        return 0
    print(f"FAILED; the logs are kept: {campaign.cluster.folder}")
    return 1


def end_on_signals():
    """SIGTERM and SIGHUP end a script as Ctrl-C does: everything that it started is stopped."""

    def stop(number, _):
        for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(each, signal.SIG_IGN)
        raise Stop(f"ended by signal {number}")

    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, stop)
