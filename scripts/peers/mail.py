"""A forgotten password, by a letter through aiosmtpd."""

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from email import message_from_bytes, policy

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

letters = []


class Box:
    async def handle_DATA(self, server, session, envelope):
        letters.append((envelope.rcpt_tos, message_from_bytes(envelope.content, policy=policy.default)))
        return "250 taken"


def authenticate(server, session, envelope, mechanism, data):
    known = isinstance(data, LoginPassword) and (data.login, data.password) == (b"gate", b"s3cret=")
    return AuthResult(success=known, handled=False)


class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments):
        return None


opener = urllib.request.build_opener(Stay)


def post(url, **fields):
    try:
        with opener.open(url, urllib.parse.urlencode(fields).encode()) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read().decode()


def main(program):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Controller(Box(), hostname="127.0.0.1", port=port, authenticator=authenticate, auth_required=True,
                        auth_require_tls=False)
    server.start()
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "RYNJER_SMTP__URL": f"smtp://127.0.0.1:{port}", "RYNJER_SMTP__USER": "gate",
            "RYNJER_SMTP__FROM": "Gateway <gate@example.com>", "RYNJER_SMTP_PASSWORD": "s3cret=",
        }
        gateway = subprocess.Popen([program, "serve", "--data-dir", folder, "--listen", "127.0.0.1:0", "--json"],
                                   env=environment, stdout=subprocess.PIPE, text=True)
        try:
            ready = json.loads(gateway.stdout.readline())
            ticket = ready["setup_url"].split("ticket=")[1]
            base = ready["base_url"]
            first, second = "correct horse battery", "a new and longer one"
            status, _ = post(f"{base}/setup", ticket=ticket, email="me@example.com", password=first)
            assert status == 303, status
            for address in ["nobody@example.com", "me@example.com"]:
                status, page = post(f"{base}/forgot", email=address)
                assert status == 200 and "a letter is under way" in page, status
            for _ in range(200):
                if letters:
                    break
                time.sleep(0.05)
            (to, letter), = letters
            assert to == ["me@example.com"] and letter["from"] == "Gateway <gate@example.com>", (to, letter["from"])
            link = re.search(r"http\S+", letter.get_content().split("within an hour:")[1])[0]
            assert link.startswith(f"{base}/reset?ticket="), link
            status, _ = post(f"{base}/reset", ticket=link.split("ticket=")[1], password=second)
            assert status == 303, status
            status, _ = post(f"{base}/login", email="me@example.com", password=first)
            assert status == 401, status
            status, _ = post(f"{base}/login", email="me@example.com", password=second)
            assert status == 303, status
        finally:
            gateway.terminate()
            gateway.wait()
            server.stop()
    print("mail: one letter through aiosmtpd, one new password")


main(sys.argv[1])
