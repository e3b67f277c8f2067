"""What the scripts share: a real `rynjer` process, its operator's commands, and a plain HTTP client.

Proves nothing by itself. All of it talks to 127.0.0.1 alone, every wait has an end, and only processes that were
started here are ended here.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
READY_SECONDS = 20
COMMAND_SECONDS = 120


class Stop(Exception):
    """Ends a script with one sentence."""


def find_binary(given):
    """The binary that is named, or the release binary, built if it is missing."""
    if given:
        path = Path(given).resolve()
        if not os.access(path, os.X_OK):
            raise Stop(f"{path} is no program")
        return path
    target = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
    path = (target if target.is_absolute() else ROOT / target) / "release" / "rynjer"
    if not path.exists():
        print("building the release binary", flush=True)
        subprocess.run(["cargo", "build", "--release", "--locked", "-p", "rynjer"], cwd=ROOT, check=True)
    return path


def free_port():
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def clean_environment(settings):
    """This environment without settings of a gateway, and with the given ones."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RYNJER_")}
    return kept | settings


class Gateway:
    """One data folder and the process that serves it, which may be started many times."""

    def __init__(self, binary, data_dir, settings=None, arguments=()):
        self.binary = str(binary)
        self.data_dir = Path(data_dir)
        self.port = free_port()
        self.log_path = self.data_dir / "gateway.log"
        self.environment = clean_environment(settings or {})
        self.arguments = list(arguments)
        self.rate_limits = "off"
        self.process = None
        self.data_dir.mkdir(parents=True, exist_ok=True)

    def start(self):
        """Starts the process and returns at once."""
        command = [self.binary, "serve", "--data-dir", str(self.data_dir), "--listen", f"{HOST}:{self.port}"]
        command += ["--rate-limits", self.rate_limits, "--metrics-listen", "off", *self.arguments]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment
            )

    def wait_ready(self):
        """Waits until it takes requests; returns the seconds that this took."""
        begun = time.monotonic()
        while time.monotonic() - begun < READY_SECONDS:
            if self.process.poll() is not None:
                raise Stop(f"the gateway ended with {self.process.returncode} at its start; see {self.log_path}")
            if self.readiness() == 200:
                return time.monotonic() - begun
            time.sleep(0.005)
        raise Stop(f"the gateway was not ready within {READY_SECONDS} s; see {self.log_path}")

    def readiness(self):
        """The status of /readyz on a fresh connection; none if nobody listens or answers."""
        try:
            with Client(self.port, timeout=5) as client:
                return client.call("GET", "/readyz").status
        except (OSError, http.client.HTTPException):
            return None

    def kill(self):
        """Ends it as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def terminate(self):
        """Asks it to end; does not wait."""
        self.process.send_signal(signal.SIGTERM)

    def wait_exit(self, seconds):
        """Its exit code; none if it still runs after so many seconds."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def admin(self, *words):
        """Runs `rynjer admin …`; returns the exit code, the object on stdout and the text on stderr."""
        command = [self.binary, "admin", *words, "--data-dir", str(self.data_dir), "--json"]
        done = subprocess.run(
            command, capture_output=True, text=True, env=self.environment, timeout=COMMAND_SECONDS, check=False
        )
        try:
            answer = json.loads(done.stdout)
        except ValueError:
            answer = {}
        return done.returncode, answer, done.stderr.strip()

    def make_account(self, email, credits):
        """A test account and a key with all scopes: the account's id and the key's text."""
        code, account, talk = self.admin("account", "create", "--email", email, "--credits", str(credits))
        if code != 0:
            raise Stop(f"no account could be made: {talk}")
        code, key, talk = self.admin("key", "create", "--account", account["account_id"])
        if code != 0:
            raise Stop(f"no key could be made: {talk}")
        return account["account_id"], key["api_key"]

    def audit(self):
        """What is wrong with the ledger: nothing, or one text."""
        code, report, talk = self.admin("audit")
        sound = code == 0 and report.get("ok") is True and report.get("findings") == [] and not report.get("damage")
        return None if sound else f"audit exited {code}: {json.dumps(report)} {talk}"

    def panics(self):
        """Lines of its log that tell of a panic."""
        text = self.log_path.read_text(errors="replace") if self.log_path.exists() else ""
        return [line for line in text.splitlines() if "panicked" in line]


@dataclass
class Answer:
    """An HTTP answer; `data` is what its envelope holds."""

    status: int
    headers: dict
    body: bytes
    data: dict = field(default_factory=dict)

    def header(self, name):
        """A header by its lower-case name."""
        return self.headers.get(name)


class Client:
    """One keep-alive connection. Errors of the connection are the caller's to judge."""

    def __init__(self, port, key=None, timeout=30):
        self.connection = http.client.HTTPConnection(HOST, port, timeout=timeout)
        self.key = key

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Closes it; the next call opens it again."""
        self.connection.close()

    def call(self, method, path, body=None, headers=None):
        """Sends one request and reads the whole answer."""
        sent = dict(headers or {})
        if self.key:
            sent["Authorization"] = f"Bearer {self.key}"
        payload = None
        if body is not None:
            payload = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        try:
            self.connection.request(method, path, payload, sent)
            response = self.connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            raise
        answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, content)
        if "json" in (answer.header("content-type") or ""):
            whole = json.loads(content)
            answer.data = whole.get("data", whole) if isinstance(whole, dict) else {}
        return answer
