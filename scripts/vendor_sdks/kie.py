"""kie's stand-in against the bodies of its pages: python kie.py BASE_URL.

kie publishes no SDK, so these calls are written by hand, from docs.kie.ai/market/common/get-task-detail,
veo3-api, 4o-image-api, suno-api and common-api as of 2026-08-19. Nothing but Python's own library is used.
"""
import json, sys, urllib.error, urllib.request

BASE = sys.argv[1]


def call(path, body=None, key="test-key-1"):
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(BASE + path, data=data, headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def made(path, body):
    status, answer = call(path, body)
    assert (status, answer["code"], answer["msg"]) == (200, 200, "success"), answer
    return answer["data"]["taskId"]


def asked(path, task):
    status, answer = call(f"{path}?taskId={task}")
    assert (status, answer["code"]) == (200, 200) and answer["data"]["taskId"] == task, answer
    return answer["data"]


def downloaded(url):
    with urllib.request.urlopen(url) as answer:
        return answer.read()


def refused(code, path, body=None):
    status, answer = call(path, body)
    assert (status, answer["code"], answer["data"]) == (200, code, None) and answer["msg"], answer


BACK = "https://example.com/hear"
RECORD, CREATE = "/api/v1/jobs/recordInfo", "/api/v1/jobs/createTask"

# Market jobs: JSON stands in strings.
request = {"model": "google/nano-banana", "callBackUrl": BACK,
           "input": {"prompt": "a fox", "output_format": "png", "image_size": "1:1", "nsfw_checker": True}}
data = asked(RECORD, made(CREATE, request))
assert data["state"] == "success" and json.loads(data["param"]) == request, data
assert downloaded(json.loads(data["resultJson"])["resultUrls"][0]).startswith(b"\x89PNG"), data
for key in ("model", "failCode", "failMsg", "costTime", "createTime", "updateTime", "completeTime"):
    assert key in data, key
assert data["failCode"] is None and isinstance(data["createTime"], int)
for model, fields in [
    ("nano-banana-pro", {"image_input": [BACK], "resolution": "4K", "output_format": "jpg", "aspect_ratio": "auto"}),
    ("qwen/text-to-image", {"image_size": "square", "num_inference_steps": 30, "acceleration": "none"}),
    ("qwen/image-edit", {"image_url": BACK, "num_images": "4", "enable_safety_checker": True}),
    ("grok-imagine/text-to-image", {"enable_pro": True}),
    ("grok-imagine/text-to-video", {"duration": 30, "resolution": "480p", "mode": "fun"}),
    ("wan/2-6-text-to-video", {"duration": "15", "multi_shots": True}),
    ("bytedance/v1-pro-image-to-video", {"image_url": BACK, "camera_fixed": True, "seed": -1}),
    ("bytedance/seedance-1.5-pro", {"aspect_ratio": "1:1", "duration": 4, "generate_audio": False}),
]:
    made(CREATE, {"model": model, "input": {"prompt": "a fox", **fields}})
print("kie: createTask and recordInfo as documented")

# Veo.
task = made("/api/v1/veo/generate", {"prompt": "a fox", "imageUrls": [BACK, BACK], "aspect_ratio": "9:16",
                                     "enableTranslation": True, "watermark": "x", "seeds": 12345})
data = asked("/api/v1/veo/record-info", task)
assert data["successFlag"] == 1 and data["errorCode"] is None, data
assert downloaded(data["response"]["resultUrls"][0])[4:8] == b"ftyp", data
_, answer = call(f"/api/v1/veo/get-1080p-video?taskId={task}&index=0")
assert answer["data"]["resultUrl"], answer

# 4o pictures.
task = made("/api/v1/gpt4o-image/generate", {"size": "2:3", "prompt": "a fox", "callBackUrl": BACK})
data = asked("/api/v1/gpt4o-image/record-info", task)
assert (data["successFlag"], data["status"], data["progress"]) == (1, "SUCCESS", "1.00"), data
assert downloaded(data["response"]["resultUrls"][0]).startswith(b"\x89PNG"), data

# Suno.
song = {"model": "V5", "customMode": False, "instrumental": True, "prompt": "calm", "callBackUrl": BACK}
data = asked("/api/v1/generate/record-info", made("/api/v1/generate", song))
assert data["status"] == "SUCCESS" and len(data["response"]["sunoData"]) == 2, data
for track in data["response"]["sunoData"]:
    assert track["duration"] > 0 and len(downloaded(track["audioUrl"])) > 1000, track
custom = {**song, "model": "V5_5", "customMode": True, "style": "folk", "title": "Fox", "duration": 30}
made("/api/v1/generate", custom)
print("kie: Veo, 4o and Suno as documented")

# Refusals stand in the body.
refused(422, CREATE, {"model": "google/nano-banana-pro", "input": {"prompt": "a fox"}})
refused(422, CREATE, {"model": "z-image", "input": {"prompt": "a fox"}})
refused(422, CREATE, {"model": "wan/2-6-text-to-video", "input": {"prompt": "a fox", "duration": 5}})
refused(422, CREATE, {"model": "wan/2-6-text-to-video", "input": {"prompt": "a fox", "aspect_ratio": "1:1"}})
refused(422, "/api/v1/generate", {key: song[key] for key in song if key != "callBackUrl"})
refused(422, "/api/v1/generate", {**song, "duration": 30})
refused(422, "/api/v1/veo/generate", {"prompt": "a fox", "aspectRatio": "16:9"})
refused(400, RECORD)
refused(422, RECORD + "?taskId=none")
status, answer = call(RECORD + "?taskId=none", key="")
assert (status, answer["code"]) == (401, 401), answer
_, answer = call("/api/v1/chat/credit")
assert answer["data"] > 0, answer
print("kie: refusals as documented")
