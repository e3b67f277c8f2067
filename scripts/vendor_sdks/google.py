"""Google's own package against its stand-in: python google.py BASE_URL. Tokens are google-auth's own."""
import base64, json, sys, urllib.request
sys.path.pop(0)  # this folder has a file of the same name
from google import genai
from google.genai import errors, types
import google.auth.transport.requests
from google.oauth2 import service_account

base = sys.argv[1].rstrip("/").removesuffix("/v1beta")  # the package adds the version
KEY = "test-key-1"


kept = []  # a client that nobody holds closes its connections


def client(version=None):
    kept.append(genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=base, api_version=version)))
    return kept[-1]


def pictures(version):
    config = types.GenerateContentConfig(
        response_modalities=["IMAGE"], seed=7,
        image_config=types.ImageConfig(aspect_ratio="16:9", image_size="1K"))
    made = client(version=version).models.generate_content(
        model="gemini-3-pro-image", contents=["a fox"], config=config)
    picture = [part for part in made.parts if part.inline_data][-1].inline_data
    assert picture.mime_type == "image/png" and picture.data.startswith(b"\x89PNG"), made
    assert made.candidates[0].finish_reason == types.FinishReason.STOP, made
    edit = client(version=version).models.generate_content(
        model="gemini-3.1-flash-image", config=config,
        contents=[types.Part.from_bytes(data=picture.data, mime_type="image/png"), "make it blue"])
    assert [part for part in edit.parts if part.inline_data], edit


def order(body):
    request = urllib.request.Request(base + "/emulator/control", json.dumps(body).encode(),
                                     {"content-type": "application/json"})
    urllib.request.urlopen(request).read()


def interactions(version):
    order({"polls": 1})
    google = client(version=version)
    picture = base64.b64encode(b"any bytes").decode()
    job = google.interactions.create(
        model="gemini-omni-1.2-flash", background=True,
        input=[{"type": "image", "data": picture, "mime_type": "image/png"},
               {"type": "text", "text": "a fox runs"}],
        response_format={"type": "video", "delivery": "uri", "aspect_ratio": "9:16", "resolution": "720p",
                         "duration": "4s"},
        generation_config={"seed": 7, "video_config": {"task": "image_to_video"}})
    assert job.id and job.status == "in_progress", job
    assert google.interactions.get(job.id).status == "in_progress"
    done = google.interactions.get(job.id)
    assert done.status == "completed", done
    outputs = [step for step in done.steps if step.type == "model_output"]
    video = [content for content in outputs[0].content if content.type == "video"][0]
    assert video.mime_type == "video/mp4", video
    name = video.uri.split("/files/")[1].split(":")[0]
    assert google.files.get(name="files/" + name).state == types.FileState.ACTIVE
    assert google.files.download(file="files/" + name)[4:8] == b"ftyp"
    other = google.interactions.create(model="gemini-omni-1.1-flash", background=True, input="a fox")
    assert google.interactions.cancel(other.id).status == "cancelled"
    order({"polls": 0})


def cloud():
    account = json.loads(urllib.request.urlopen(base + "/service-account.json").read())
    scopes = ["https://www.googleapis.com/auth/cloud-platform"]
    credentials = service_account.Credentials.from_service_account_info(account, scopes=scopes)
    credentials.refresh(google.auth.transport.requests.Request())
    assert credentials.token.startswith("ya29."), credentials.token
    options = types.HttpOptions(base_url=base)
    platform = genai.Client(vertexai=True, project=account["project_id"], location="us-central1",
                            credentials=credentials, http_options=options)
    order({"polls": 1})
    operation = platform.models.generate_videos(
        model="veo-3.1-generate-001", source=types.GenerateVideosSource(prompt="a fox"),
        config=types.GenerateVideosConfig(number_of_videos=2, duration_seconds=4, aspect_ratio="16:9",
                                          resolution="720p", seed=7, generate_audio=True))
    operation = platform.operations.get(operation)
    assert not operation.done, operation
    operation = platform.operations.get(operation)
    assert operation.done and len(operation.response.generated_videos) == 2, operation
    assert operation.response.generated_videos[0].video.video_bytes[4:8] == b"ftyp"
    order({"polls": 0, "fault": "end", "body": {"error": {"code": 3, "message": "usage guidelines"}}})
    operation = platform.operations.get(platform.models.generate_videos(
        model="veo-3.1-fast-generate-001", source=types.GenerateVideosSource(prompt="a fox")))
    assert operation.done and operation.error["code"] == 3, operation


def refusals():
    def refused(call):
        try:
            call()
        except Exception as error:
            return error
        raise AssertionError("no refusal")

    def picture(model):
        return client().models.generate_content(model=model, contents="a fox")

    gone = refused(lambda: picture("gemini-2.0-flash-image"))
    assert isinstance(gone, errors.ClientError) and (gone.code, gone.status) == (404, "NOT_FOUND"), gone
    order({"fault": "answer", "status": 503, "body": {
        "error": {"code": 503, "status": "UNAVAILABLE", "message": "The model is overloaded."}}})
    busy = refused(lambda: picture("gemini-3-pro-image"))
    assert isinstance(busy, errors.ServerError) and busy.code == 503, busy
    wrong = refused(lambda: client().interactions.create(
        model="gemini-omni-1.2-flash", input="a fox", background=True,
        response_format={"type": "video", "duration": "99s"}))
    assert type(wrong).__name__ == "BadRequestError" and "duration" in str(wrong), repr(wrong)
    unknown = refused(lambda: client().interactions.get("v1_none"))
    assert "Invalid interaction name" in str(unknown), repr(unknown)
    order({"fault": "end", "body": {"candidates": [{"finishReason": "IMAGE_SAFETY"}]}})
    blocked = picture("gemini-3-pro-image")
    assert blocked.candidates[0].finish_reason == types.FinishReason.IMAGE_SAFETY, blocked


for version in [None, "v1beta"]:
    pictures(version)
    print("google: models.generate_content parsed", version or "")
    interactions(version)
    print("google: interactions.create, get, cancel and files parsed", version or "")
cloud()
print("google: models.generate_videos and operations.get on the cloud platform parsed")
refusals()
print("google: errors are the package's own")
