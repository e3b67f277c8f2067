"""Requests of the scripts, and what must become of them whatever happens to the gateway.

A request id stands for one task for ever: every answer to it is held against the first one, and in the end against
the state, the outputs and the charge that its prompt forces. Not here: starting, killing and auditing gateways.
"""

import hashlib
import threading
from collections import Counter
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Kind:
    """A request and what must become of it."""

    weight: int
    model: str
    unit_price: int
    count: int
    prompt: str
    status: str = "success"
    delivered: int = 0
    error: str | None = None


INSTANT = "a plain picture [[instant]]"
KINDS = {
    "one": Kind(44, "google/nano-banana", 8, 1, INSTANT, delivered=1),
    "two": Kind(10, "z-image", 20, 2, INSTANT, delivered=2),
    "eight": Kind(5, "gpt4o_image", 10, 8, INSTANT, delivered=8),
    "slow": Kind(10, "qwen/text-to-image", 15, 1, INSTANT + " [[slow=1]]", delivered=1),
    "slow_fail": Kind(3, "google/nano-banana", 8, 1, "[[slow=1]] [[fail]]", "failed", 0, "provider_failed"),
    "fail": Kind(8, "google/nano-banana", 8, 4, "[[fail]]", "failed", 0, "provider_failed"),
    "reject": Kind(8, "z-image", 20, 1, "[[reject]]", "failed", 0, "content_rejected"),
    "part": Kind(7, "google/nano-banana", 8, 4, INSTANT + " [[partial=1]]", delivered=1),
    "none": Kind(2, "google/nano-banana", 8, 2, INSTANT + " [[partial=0]]", "failed", 0, "content_rejected"),
    "real": Kind(3, "google/nano-banana", 8, 1, "a red fox in the snow", delivered=1),
}


class Record:
    """One request id: what was sent under it and what was answered."""

    def __init__(self, request_id, kind_name, number):
        self.request_id = request_id
        self.kind_name = kind_name
        self.kind = KINDS[kind_name]
        self.bodies = [self.body_of(f"{self.kind.prompt} {number}")]
        self.task_id = None
        self.winner = None
        self.sends = 0
        self.is_final = False
        # None, "asked" while its answer is unknown, "won" once acknowledged, "lost" once refused.
        self.cancel = None
        self.is_canceled = False
        self.is_poisoned = False

    def body_of(self, prompt):
        """The request with another prompt."""
        kind = self.kind
        return {"request_id": self.request_id, "model": kind.model, "prompt": prompt, "count": kind.count}

    @property
    def price(self):
        """What is held."""
        return self.kind.unit_price * self.kind.count

    @property
    def charge(self):
        """What is charged in the end."""
        return 0 if self.is_canceled or self.is_poisoned else self.kind.unit_price * self.kind.delivered


class Promises:
    """All requests that were sent, and whatever was violated."""

    def __init__(self, poison_allowed=False):
        self.records = {}
        self.lock = threading.Lock()
        self.violations = []
        self.counts = Counter()
        self.charged = 0
        # A task may be given up if it was in hand whenever a worker died: then it is released, not charged.
        self.poison_allowed = poison_allowed
        # Whether 503 is an answer; what stands must be the same for a client that comes again.
        self.put_off_allowed = True

    def violate(self, text):
        """Notes what must never happen."""
        with self.lock:
            self.violations.append(text)
            if len(self.violations) <= 20:
                print(f"VIOLATION {text}", flush=True)

    def count(self, name):
        """Counts something for the figures."""
        with self.lock:
            self.counts[name] += 1

    def is_put_off(self, answer):
        """Whether the client was asked to come again later, and how."""
        if not self.put_off_allowed or answer.status not in (429, 503) or not answer.header("retry-after"):
            return False
        self.count("put off")
        return True

    def send(self, client, record, choice):
        """Posts a request and judges the answer; a broken connection is judged by the caller."""
        with self.lock:
            knew = record.task_id
            record.sends += 1
        body = record.bodies[choice % len(record.bodies)]
        self.count("sent")
        answer = client.call("POST", "/v1/generate", body)
        if answer.status == 200:
            self.accepted(record, body, answer, knew)
        elif answer.status == 422 and len(record.bodies) > 1 and record.winner is not body:
            self.count("contradictions refused")
        elif not self.is_put_off(answer):
            self.violate(f"{record.request_id} answered {answer.status}: {answer.body[:300]!r}")
        return answer

    def accepted(self, record, body, answer, knew):
        """Judges a 200; the first one tells which of contradicting bodies was taken."""
        data, replayed = answer.data, answer.header("idempotent-replayed") == "true"
        with self.lock:
            if record.task_id is None:
                # Who sees that it has a task may repeat the winner at once.
                record.winner = body
                record.task_id = data["task_id"]
            sends = record.sends
        if record.winner is not body:
            self.violate(f"{record.request_id} took two different bodies")
        if data["task_id"] != record.task_id:
            self.violate(f"{record.request_id} is {record.task_id} and {data['task_id']}")
        if knew and not replayed:
            self.violate(f"{record.request_id} was acknowledged before, but its retry is no replay")
        if replayed and sends == 1:
            self.violate(f"{record.request_id} was sent once, but is a replay")
        credits = data["credits"]
        if credits["held"] + credits["charged"] + credits["released"] != record.price:
            self.violate(f"{record.request_id} costs {record.price}, but shows {credits}")
        self.count("replayed" if replayed else "accepted")

    def refuse(self, client, request_id):
        """A request that is refused before it is accepted uses nothing up."""
        body = {"request_id": request_id, "model": "google/nano-banana", "prompt": INSTANT, "count": 3}
        answer = client.call("POST", "/v1/generate", body)
        self.count("invalid")
        if answer.status != 400 and not self.is_put_off(answer):
            self.violate(f"count 3 answered {answer.status}")

    def cancel(self, client, record):
        """Cancels a task; what is acknowledged must stay so."""
        with self.lock:
            if record.cancel is not None:
                return
            record.cancel = "asked"
        answer = client.call("POST", f"/v1/generate/{record.request_id}/cancel")
        if answer.status == 200 and answer.data["status"] == "canceled" and answer.data["credits"]["held"] == 0:
            record.cancel = "won"
            self.count("canceled")
        elif answer.status in (404, 409):
            record.cancel = "lost"
            self.count("cancels refused")
        elif not self.is_put_off(answer):
            self.violate(f"cancel of {record.request_id} answered {answer.status}: {answer.body[:300]!r}")

    def poll(self, client, record):
        """An acknowledged request is there."""
        answer = client.call("GET", f"/v1/generate/{record.request_id}")
        self.count("polled")
        if self.is_put_off(answer):
            return
        if answer.status != 200 or answer.data["task_id"] != record.task_id:
            self.violate(f"poll of {record.request_id} answered {answer.status}: {answer.body[:300]!r}")

    def make_known(self, client, record):
        """Repeats a request whose fate is unknown until one of its bodies is taken."""
        for choice in range(len(record.bodies)):
            if record.task_id is None:
                self.send(client, record, choice)
        if record.task_id is None:
            self.violate(f"{record.request_id} can't be repeated")

    def send_winner(self, client, record):
        """Repeats what was acknowledged."""
        self.send(client, record, record.bodies.index(record.winner))

    def settled(self, client, record):
        """A repeated request shows the task as it was promised to end."""
        body = record.winner
        answer = self.send(client, record, record.bodies.index(body))
        if answer.status != 200:
            return
        data, kind, name = answer.data, record.kind, f"{record.request_id} ({record.kind_name}, {record.task_id})"
        error = (data.get("error") or {}).get("error")
        record.is_canceled = data["status"] == "canceled"
        promised = (kind.status, kind.error)
        if record.cancel == "won" or (record.is_canceled and record.cancel == "asked"):
            promised = ("canceled", "canceled")
        if error == "poisoned":
            self.count("poisoned")
            record.is_poisoned = self.poison_allowed
        if (data["status"], error) != promised and not record.is_poisoned:
            self.violate(f"{name} is {data['status']} {error}, not {promised}, cancel {record.cancel}")
        credits = data["credits"]
        expected = {"held": 0, "charged": record.charge, "released": record.price - record.charge, "refunded": 0}
        if credits != expected:
            self.violate(f"{name} has {credits}, not {expected}")
        delivered = 0 if record.is_canceled or record.is_poisoned else kind.delivered
        if len(data["outputs"]) != delivered:
            self.violate(f"{name} has {len(data['outputs'])} outputs, not {delivered}")
        with self.lock:
            self.charged += credits["charged"]
        record.is_final = True

    def downloaded(self, client, record):
        """The files are there, with their hashes."""
        answer = client.call("GET", f"/v1/generate/{record.task_id}")
        for output in answer.data["outputs"]:
            url = urlsplit(output["url"])
            file = client.call("GET", f"{url.path}?{url.query}")
            digest = hashlib.sha256(file.body).hexdigest()
            if file.status != 200 or digest != output["sha256"] or len(file.body) != output["bytes"]:
                self.violate(f"an output of {record.request_id} answered {file.status} with hash {digest}")
            self.count("downloads")
