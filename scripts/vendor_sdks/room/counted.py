"""How many requests a stand-in got, and how many jobs they made: python counted.py VENDOR BASE_URL."""
import json, sys, urllib.parse, urllib.request

url = urllib.parse.urljoin(sys.argv[2], "/emulator/control")
request = urllib.request.Request(url, b"{}", {"content-type": "application/json"})
told = json.load(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request))
print(f"{sys.argv[1]}: {told['requests']} requests, {told['jobs']} jobs")
