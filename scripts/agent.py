"""An agent of the scripts: an Ed25519 key, the requests that it signs, and the calls that make it one.

The signature is over the sorted JSON without spaces, as for any agent. Not here: what is proved with it.
"""

import json
import secrets
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from gateway import Stop

AGENTS = "/api/v1/agents"


class Agent:
    """One identity."""

    def __init__(self):
        self.key = Ed25519PrivateKey.generate()
        self.agent_id = None
        self.registration_code = None
        self.key_id = None
        self.api_key = None

    @property
    def public_key(self):
        """The public half in hex."""
        return self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()

    def sign(self, fields):
        """The fields with time, nonce and signature."""
        signed = dict(fields, timestamp=int(time.time()), nonce=secrets.token_hex(16))
        text = json.dumps(signed, sort_keys=True, separators=(",", ":"))
        return dict(signed, signature=self.key.sign(text.encode()).hex())

    def register(self, client):
        """Makes the gateway know it."""
        request = self.sign({"public_key": self.public_key, "agent_name": "Storm", "agent_version": "1"})
        data = expect(client.call("POST", f"{AGENTS}/register", request))
        self.agent_id, self.registration_code = data["agent_id"], data["registration_code"]

    def bind(self, gateway, account_id, *more):
        """The owner takes it in."""
        words = ["agent", "bind", self.registration_code, "--account", account_id, "--scopes", "image,credits:read"]
        code, _, talk = gateway.admin(*words, *more)
        if code != 0:
            raise Stop(f"the agent could not be bound: {talk}")

    def create_key(self, client):
        """A key of its own."""
        request = self.sign({
            "agent_id": self.agent_id, "registration_code": self.registration_code, "key_name": "storm",
            "scopes": ["image", "credits:read"], "expires_in_days": 1,
        })
        data = expect(client.call("POST", f"{AGENTS}/keys/create", request))
        self.key_id, self.api_key = data["key_id"], data["api_key"]

    def token_request(self):
        """What is exchanged for tokens, with a fresh nonce."""
        return self.sign({"agent_id": self.agent_id, "scopes": ["image", "credits:read"]})

    def tokens(self, client):
        """An access token and its refresh token; the client must send the API key."""
        return expect(client.call("POST", f"{AGENTS}/auth/token", self.token_request()))


def expect(answer):
    """The data of an answer that must be 200."""
    if answer.status != 200:
        raise Stop(f"an agent's call answered {answer.status}: {answer.body[:300]!r}")
    return answer.data
