"""BytePlus' own package against ModelArk's stand-in: python ark.py BASE_URL."""
import sys
sys.path.pop(0)
from byteplussdkarkruntime import Ark
from byteplussdkarkruntime._exceptions import ArkBadRequestError

client = Ark(api_key="test-key-1", base_url=sys.argv[1], max_retries=0)
tasks = client.content_generation.tasks
MODEL = "seedance-1-0-pro-fast-251015"
text = [{"type": "text", "text": "a fox"}]
task = tasks.create(model=MODEL, content=text, resolution="720p", ratio="16:9", duration=5)
got = tasks.get(task_id=task.id)
assert got.status == "succeeded" and got.content.video_url.startswith("http"), got
assert tasks.list(page_size=10, model=MODEL).items[0].id == task.id
try:
    tasks.create(model=MODEL, content=text, resolution="720p", ratio="16:9", duration=99)
    raise SystemExit("no error")
except ArkBadRequestError as error:
    assert error.code == "InvalidParameter", error
print("ark: create, get, list and an error parsed")
