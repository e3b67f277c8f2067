"""fal's own package against its stand-in, over TLS: SSL_CERT_FILE=ca.pem python fal.py https://127.0.0.1:PORT.

The package is as it is: it calls https://queue.fal.run, trusts the authority of SSL_CERT_FILE, and finds the stand-in
because that name leads there.
"""
import os, socket, sys, urllib.parse
sys.path.pop(0)  # this folder has a file of the same name
base = sys.argv[1].rstrip("/")
os.environ["NO_PROXY"] = "*"
there = urllib.parse.urlsplit(base)
assert there.scheme == "https", base
resolved = socket.getaddrinfo


def mapped(host, port, *rest, **more):
    if host in ("queue.fal.run", b"queue.fal.run"):
        host, port = there.hostname, there.port
    return resolved(host, port, *rest, **more)


socket.getaddrinfo = mapped
import fal_client
import httpx

client = fal_client.SyncClient(key="test-key-1")
LTX = "fal-ai/ltx-2/image-to-video"
INPUT = {"prompt": "a fox", "image_url": "data:image/png;base64,iVBORw0KGgo=", "duration": 6, "resolution": "1080p"}


def control(**order):
    httpx.post(f"{base}/emulator/control", json=order).raise_for_status()


control(polls=3)
handle = client.submit(LTX, arguments=INPUT, webhook_url="https://gateway.example/callback")
states = [type(event).__name__ for event in handle.iter_events(interval=0.01)]
assert states[0] == "Queued" and "InProgress" in states, states
made = handle.get()
assert httpx.get(made["video"]["url"]).content[4:8] == b"ftyp", made
assert isinstance(client.status(LTX, handle.request_id), fal_client.Completed)
assert client.result(LTX, handle.request_id) == made
assert "video" in client.subscribe(LTX, arguments={**INPUT, "duration": "8"})
control(polls=9)
client.submit(LTX, arguments=INPUT).cancel()

control(polls=0)
control(fault="end", body={"status": 422, "body": {"detail": [
    {"loc": ["body", "prompt"], "msg": "No.", "type": "content_policy_violation"}]}})
for arguments in [INPUT, {**INPUT, "duration": "6s"}]:
    try:
        client.subscribe(LTX, arguments=arguments)
        raise AssertionError("a failed job was no error")
    except fal_client.FalClientHTTPError as error:
        assert error.status_code == 422, error
try:
    httpx.get(base, verify=httpx.create_ssl_context(trust_env=False))
    raise AssertionError("a stranger's authority was trusted")
except httpx.ConnectError as error:
    assert "CERTIFICATE_VERIFY_FAILED" in str(error), error
print("fal: over TLS, submit, status, result, subscribe, cancel and errors parsed")
