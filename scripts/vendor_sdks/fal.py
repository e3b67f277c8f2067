"""fal's own package against its stand-in: python fal.py BASE_URL.

The package speaks https only, so its host is the stand-in's by environment variable, and its scheme is undone in the
two constants that it builds URLs from.
"""
import os, sys
sys.path.pop(0)  # this folder has a file of the same name
base = sys.argv[1].rstrip("/")
os.environ["FAL_QUEUE_RUN_HOST"] = base.split("://")[1]
os.environ["NO_PROXY"] = "*"
import fal_client
import fal_client.client as inside
import httpx

inside.QUEUE_URL_FORMAT = base + "/"
client = fal_client.SyncClient(key="test-key-1")
LTX = "fal-ai/ltx-2/image-to-video"
INPUT = {"prompt": "a fox", "image_url": "data:image/png;base64,iVBORw0KGgo=", "duration": 6, "resolution": "1080p"}


def control(**order):
    httpx.post(f"{base}/emulator/control", json=order, trust_env=False).raise_for_status()


control(polls=3)
handle = client.submit(LTX, arguments=INPUT, webhook_url="https://gateway.example/callback")
states = [type(event).__name__ for event in handle.iter_events(interval=0.01)]
assert states[0] == "Queued" and "InProgress" in states, states
made = handle.get()
assert httpx.get(made["video"]["url"], trust_env=False).content[4:8] == b"ftyp", made
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
print("fal: submit, status, result, subscribe, cancel and errors parsed")
