# Signs a request as an agent in Python would. stdin: {"seed": 64 hex digits, "body": {...}}; stdout: the body
# with its signature.
import json, sys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

given = json.load(sys.stdin)
key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(given["seed"]))
body = given["body"]
message = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
body["signature"] = key.sign(message).hex()
print(json.dumps(body))
