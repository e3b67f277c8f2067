"""DashScope's own package against its stand-in: python dashscope.py BASE_URL."""
import sys
sys.path.pop(0)  # this folder has a file of the same name
import dashscope
from dashscope import MultiModalConversation, VideoSynthesis

dashscope.base_http_api_url = sys.argv[1]
KEY = "test-key-1"

messages = [{"role": "user", "content": [{"text": "a fox"}]}]
made = MultiModalConversation.call(model="qwen-image-plus", messages=messages, api_key=KEY, n=1, size="1328*1328")
assert made.status_code == 200, made
assert made.output.choices[0].message.content[0]["image"].startswith("http"), made
print("dashscope: MultiModalConversation.call parsed")

refused = MultiModalConversation.call(model="qwen-image-plus", messages=messages, api_key=KEY, size="1*1")
assert (refused.status_code, refused.code) == (400, "InvalidParameter"), refused
print("dashscope: a refusal parsed")

task = VideoSynthesis.async_call(model="wan2.6-t2v", prompt="a fox", api_key=KEY, size="1280*720", duration=5)
assert task.status_code == 200 and task.output.task_id, task
done = VideoSynthesis.wait(task, api_key=KEY)
assert done.output.task_status == "SUCCEEDED" and done.output.video_url.startswith("http"), done
listed = VideoSynthesis.list(api_key=KEY)
assert listed.output["data"][0]["task_id"] == task.output.task_id, listed
late = VideoSynthesis.cancel(task, api_key=KEY)
assert (late.status_code, late.code) == (400, "UnsupportedOperation"), late
print("dashscope: VideoSynthesis.async_call, wait, list, cancel parsed")
