"""OpenAI's own package against its stand-in: python openai.py BASE_URL."""
import base64, json, sys, urllib.parse, urllib.request, warnings
sys.path.pop(0)  # this folder has a file of the same name
import openai
from openai import OpenAI

warnings.simplefilter("ignore", DeprecationWarning)  # its videos are historic
client = OpenAI(api_key="test-key-1", base_url=sys.argv[1], max_retries=0)


def control(order):
    url = urllib.parse.urljoin(sys.argv[1], "/emulator/control")
    headers = {"content-type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(order).encode(), headers)).close()


def refused(kind, code, call):
    try:
        call()
    except kind as error:
        assert error.code == code, (error.code, error)
    else:
        raise AssertionError("no error")


def png(picture):
    found = base64.b64decode(picture.b64_json)
    assert found.startswith(b"\x89PNG"), found[:8]
    return found


made = client.images.generate(model="gpt-image-2.6-flare", prompt="a fox", n=2, size="1536x1024",
    quality="high", background="opaque", safety_identifier="someone", complexity="low", moderation="low")
assert len(made.data) == 2 and made.size == "1536x1024" and made.usage.output_tokens == 2112, made
source = png(made.data[0])
free = client.images.generate(model="gpt-image-2", prompt="a fox", size="1952x1024", output_format="jpeg",
    output_compression=80)
assert base64.b64decode(free.data[0].b64_json).startswith(b"\xff\xd8"), free.output_format
print("openai: images.generate parsed")

picture = ("a.png", source, "image/png")
edited = client.images.edit(model="gpt-image-2", prompt="blue", image=picture, mask=picture, n=1)
png(edited.data[0])
edited = client.images.edit(model="gpt-image-2", prompt="blue", image=[picture, picture], size="1024x1536", n=2)
assert len(edited.data) == 2 and edited.usage.input_tokens_details.image_tokens == 646, edited.usage
print("openai: images.edit parsed")

control({"polls": 1})
clip = client.videos.create(model="sora-2", prompt="a fox", seconds="8", size="1280x720")
assert (clip.status, clip.seconds, clip.size) == ("queued", "8", "1280x720"), clip
done = client.videos.poll(clip.id)
assert done.status == "completed" and done.progress == 100 and done.expires_at, done
assert client.videos.download_content(clip.id).read()[4:8] == b"ftyp"
assert client.videos.download_content(clip.id, variant="thumbnail").read().startswith(b"\x89PNG")
control({"polls": 0})
started = client.videos.create(model="sora-2-pro", prompt="it runs", size="1792x1024", input_reference=picture)
# This release refuses its own `input_reference={"image_url": ...}` before it sends anything.
usual = client.videos.create(prompt="it runs")
assert (usual.model, usual.seconds, usual.size) == ("sora-2", "4", "720x1280"), usual
listed = [one.id for one in client.videos.list(limit=2)]  # over two pages
assert listed[:3] == [usual.id, started.id, clip.id], listed
assert client.videos.delete(clip.id).deleted
print("openai: videos parsed")

refused(openai.NotFoundError, "not_found", lambda: client.videos.retrieve(clip.id))
refused(openai.NotFoundError, "model_not_found", lambda: client.images.generate(model="dall-e-3", prompt="a fox"))
refused(openai.BadRequestError, "unknown_parameter",
    lambda: client.images.generate(model="gpt-image-2", prompt="a fox", style="vivid"))
refused(openai.BadRequestError, "invalid_value", lambda: client.videos.create(prompt="a fox", seconds="5"))
quota = {"error": {"message": "No.", "type": "insufficient_quota", "param": None, "code": "insufficient_quota"}}
control({"fault": "answer", "status": 429, "body": quota})
refused(openai.RateLimitError, "insufficient_quota",
    lambda: client.images.generate(model="gpt-image-2", prompt="a fox"))
control({"fault": "end", "body": {"code": "moderation_blocked", "message": "No."}})
failed = client.videos.create_and_poll(prompt="a fox")
assert failed.status == "failed" and failed.error.code == "moderation_blocked", failed
print("openai: errors are its own")
