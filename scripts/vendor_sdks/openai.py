"""OpenAI's own package against its stand-in: python openai.py BASE_URL."""
import sys, base64
sys.path.pop(0)  # this folder has a file of the same name
from openai import OpenAI

client = OpenAI(api_key="test-key-1", base_url=sys.argv[1], max_retries=0)
made = client.images.generate(model="gpt-image-2.6-flare", prompt="a fox", n=2, size="1536x1024")
assert len(made.data) == 2 and base64.b64decode(made.data[0].b64_json).startswith(b"\x89PNG"), made
print("openai: images.generate parsed")
