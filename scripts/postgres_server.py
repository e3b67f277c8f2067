"""A temporary PostgreSQL of the scripts: its own folder, user, port and socket, and a client that speaks to it.

It listens on 127.0.0.1 alone, is never run as root, keeps fsync on, and is gone with its folder at the end. Not here:
anything that knows what `rynjer` keeps in it.
"""

import os
import pwd
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from gateway import HOST, Stop, free_port

USER = "rynjer"
START_SECONDS = 60
STOP_SECONDS = 30
MEMORY_FOLDER = Path("/dev/shm")
ROOM_BYTES = 2 << 30
SETTINGS = {
    "listen_addresses": HOST,
    "max_connections": "400",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "lc_messages": "C",
    # Nothing stays behind in /dev/shm when it is killed.
    "dynamic_shared_memory_type": "mmap",
    "log_line_prefix": "%m [%p] ",
}


def has_room(folder):
    """Whether the databases of many tests fit; a container's /dev/shm is often small."""
    return os.access(folder, os.W_OK) and shutil.disk_usage(folder).free >= ROOM_BYTES


def find_programs():
    """The folder with initdb and postgres: Debian's newest, or the one of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[4]))
    if found:
        return found[-1].parent
    named = shutil.which("initdb")
    if named and shutil.which("postgres"):
        return Path(named).resolve().parent
    raise Stop("there is no initdb; install PostgreSQL, such as: apt-get install postgresql")


def children_of(process_id):
    """The ids of the processes that this one started."""
    with suppress(OSError):
        return [int(word) for word in Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()]
    return []


class PostgresServer:
    """One cluster and the process that serves it, which may be started many times."""

    def __init__(self, fast=False, settings=None):
        self.programs = find_programs()
        self.settings = SETTINGS | (settings or {})
        self.account = self.unprivileged()
        parent = MEMORY_FOLDER if fast and has_room(MEMORY_FOLDER) else Path(tempfile.gettempdir())
        self.folder = Path(tempfile.mkdtemp(prefix="rynjer-pg-", dir=parent))
        if self.account:
            os.chown(self.folder, self.account.pw_uid, self.account.pw_gid)
        self.data = self.folder / "data"
        self.log_path = self.folder / "postgres.log"
        self.port = free_port()
        self.process = None

    def __enter__(self):
        try:
            self.create()
            self.start()
            self.wait_ready()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_):
        self.remove()

    @staticmethod
    def unprivileged():
        """Whom PostgreSQL runs as where this is root, who may not run it."""
        if os.geteuid() != 0:
            return None
        for name in ("postgres", "nobody"):
            with suppress(KeyError):
                return pwd.getpwnam(name)
        raise Stop("PostgreSQL does not run as root, and there is no user postgres or nobody")

    def identity(self):
        """What makes a child run as the unprivileged user."""
        if not self.account:
            return {}
        return {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}

    def url(self, database="postgres", port=None):
        """How `rynjer` reaches a database of this server."""
        return f"postgres://{USER}@{HOST}:{port or self.port}/{database}"

    def create(self):
        """Makes the cluster. Everybody on loopback is believed: it is a throw-away."""
        command = [self.programs / "initdb", "--pgdata", self.data, "--username", USER, "--auth", "trust"]
        command += ["--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions"]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=self.folder,
            timeout=START_SECONDS, check=False, **self.identity(),
        )
        if done.returncode != 0:
            raise Stop(f"initdb failed: {(done.stderr or done.stdout).strip()[-500:]}")

    def start(self):
        """Starts the server and returns at once."""
        command = [self.programs / "postgres", "-D", self.data, "-p", str(self.port), "-k", self.folder]
        for name, value in self.settings.items():
            command += ["-c", f"{name}={value}"]
        with open(self.log_path, "ab") as log:
            # A session of its own, so that Ctrl-C reaches it through remove() alone.
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                start_new_session=True, **self.identity(),
            )

    def wait_ready(self):
        """Waits until it takes queries; returns the seconds that this took."""
        begun = time.monotonic()
        while time.monotonic() - begun < START_SECONDS:
            if self.process.poll() is not None:
                text = self.log_path.read_text(errors="replace")
                if "pre-existing shared memory block" not in text[-1000:]:
                    raise Stop(f"PostgreSQL ended at its start: {text[-500:]}")
                # The last of its killed predecessor's processes is still ending.
                time.sleep(0.05)
                self.start()
            with suppress(OSError, SqlError), Session(self.port, timeout=5) as session:
                session.query("SELECT 1")
                return time.monotonic() - begun
            time.sleep(0.02)
        raise Stop(f"PostgreSQL was not ready within {START_SECONDS} s; see {self.log_path}")

    def kill(self):
        """Ends it and all its processes as a power cut would, but for what the system has still to write."""
        if self.process is None or self.process.poll() is not None:
            return
        children = children_of(self.process.pid)
        self.process.kill()
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        self.process.wait()

    def freeze(self):
        """Stops it and all its processes in the midst of whatever they do; they hold their locks meanwhile."""
        os.kill(self.process.pid, signal.SIGSTOP)
        for child in children_of(self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGSTOP)

    def thaw(self):
        """Lets it go on."""
        for each in [*children_of(self.process.pid), self.process.pid]:
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGCONT)

    def stop(self, mode="fast"):
        """Asks it to end, as `pg_ctl stop -m fast` or `-m immediate` do."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal({"fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode])
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def remove(self):
        """Ends it and takes its folder away."""
        self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def session(self, database="postgres", timeout=30):
        """A connection of the superuser."""
        return Session(self.port, database, timeout)

    def query(self, text, database="postgres"):
        """The rows of one query."""
        with self.session(database) as session:
            return session.query(text)

    def make_database(self, name):
        """An empty database; its URL."""
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise Stop(f"{name!r} is no name of a database")
        self.query(f"CREATE DATABASE {name}")
        return self.url(name)


class SqlError(Exception):
    """What the server refused, with its SQLSTATE."""

    def __init__(self, fields):
        self.state = fields.get("C", "")
        super().__init__(f"{self.state} {fields.get('M', '')}")


class Session:
    """One connection with simple queries; every value of a row is text or none."""

    def __init__(self, port, database="postgres", timeout=30):
        self.socket = socket.create_connection((HOST, port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        words = ["user", USER, "database", database, "application_name", "rynjer-scripts"]
        body = struct.pack("!I", 196608) + b"".join(word.encode() + b"\0" for word in words) + b"\0"
        try:
            self.socket.sendall(struct.pack("!I", len(body) + 4) + body)
            self.answer()
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Says goodbye."""
        with suppress(OSError):
            self.socket.sendall(b"X\0\0\0\4")
        self.socket.close()

    def query(self, text):
        """Runs one or more statements; the rows of them all."""
        body = text.encode() + b"\0"
        self.socket.sendall(b"Q" + struct.pack("!I", len(body) + 4) + body)
        return self.answer()

    def answer(self):
        """Reads until the server waits for the next query."""
        rows, failure = [], None
        while True:
            kind, body = self.message()
            if kind == b"D":
                rows.append(self.row(body))
            elif kind == b"E":
                parts = [part.decode(errors="replace") for part in body.split(b"\0") if part]
                failure = SqlError({part[0]: part[1:] for part in parts})
                # A FATAL one is the last that comes.
                if failure.state[:2] in ("57", "28", "3D", "53") and failure.state != "57014":
                    raise failure
            elif kind == b"R" and struct.unpack("!I", body[:4])[0] != 0:
                raise Stop("this PostgreSQL asks for a password")
            elif kind == b"Z":
                if failure:
                    raise failure
                return rows

    def message(self):
        """The next message's kind and body."""
        header = self.exactly(5)
        return header[:1], self.exactly(struct.unpack("!I", header[1:])[0] - 4)

    def exactly(self, count):
        """So many bytes."""
        while len(self.buffer) < count:
            received = self.socket.recv(65536)
            if not received:
                raise ConnectionResetError("PostgreSQL closed the connection")
            self.buffer += received
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    @staticmethod
    def row(body):
        """The values of a row."""
        values, place = [], 2
        for _ in range(struct.unpack("!H", body[:2])[0]):
            length = struct.unpack("!i", body[place : place + 4])[0]
            place += 4
            if length < 0:
                values.append(None)
            else:
                values.append(body[place : place + length].decode())
                place += length
        return values
