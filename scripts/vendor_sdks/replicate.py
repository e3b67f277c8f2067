"""Replicate's own package against its stand-in: python replicate.py BASE_URL."""
import sys
sys.path.pop(0)  # this folder has a file of the same name
from replicate.client import Client
from replicate.exceptions import ModelError, ReplicateError
from replicate.webhook import Webhooks
import httpx

base = sys.argv[1].removesuffix("/v1")
client = Client(api_token="test-key-1", base_url=base)
client.poll_interval = 0.01


def control(**order):
    httpx.post(f"{base}/emulator/control", json=order, trust_env=False).raise_for_status()


control(polls=2)
made = client.predictions.create(
    version="google/nano-banana-pro", input={"prompt": "a fox", "resolution": "1K", "aspect_ratio": "1:1"})
assert made.status == "starting" and made.output is None, made
made.wait()
assert made.status == "succeeded" and made.output.startswith(base), made
assert made.progress.percentage == 0.45, made.progress
assert client.predictions.list().results[0].id == made.id
assert client.predictions.get(made.id).output == made.output
file = client.run("prunaai/z-image-turbo", input={"prompt": "a fox", "width": 256, "height": 256})
# A URL of plain http stays a text; one of https would become a file.
assert httpx.get(str(file), trust_env=False).content.startswith(b"\x89PNG"), file

stopped = client.models.predictions.create(model=("google", "veo-3.1"), input={"prompt": "a fox", "duration": 4})
stopped.cancel()
assert stopped.status == "canceled", stopped

try:
    client.predictions.create(version="google/veo-3.1", input={"prompt": "a fox", "duration": "4s"})
    raise AssertionError("a wrong input was taken")
except ReplicateError as error:
    assert error.status == 422 and "duration" in error.detail, error
control(fault="end", body={"status": "failed", "error": "flagged as sensitive (E005)"})
try:
    client.run("google/nano-banana", input={"prompt": "a fox"})
    raise AssertionError("a failed prediction was no error")
except ModelError as error:
    assert "E005" in str(error), error
assert client.webhooks.default.secret().key.startswith("whsec_")
print("replicate: create, get, list, run, cancel and errors parsed")
