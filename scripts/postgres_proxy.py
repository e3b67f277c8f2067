"""A TCP proxy in front of PostgreSQL that cuts connections: at random moments, and around COMMIT.

Runs as a process of its own, so that it is quick beside a busy client: `postgres_proxy.py LISTEN_PORT TARGET_PORT`. It
takes one JSON object a line on stdin, {"cut_every_seconds": S, "commit_cut_share": P, "commit_late_share": Q}, answers
each with its counts as one line on stdout, and ends with its stdin. Not here: what must hold meanwhile.
"""

import asyncio
import json
import random
import socket
import struct
import subprocess
import sys
import threading
from collections import Counter
from contextlib import suppress

HOST = "127.0.0.1"
# The client is refused encryption by the server's one byte, and starts again.
ENCRYPTION_REQUESTS = {80877103, 80877104}
# How long a COMMIT may be on its way after its client lost the connection.
LATE_SECONDS = (0.05, 3.0)


class Cut(Exception):
    """This connection is to be cut now."""


class Proxy:
    """All connections, and how they are treated."""

    def __init__(self, target_port):
        self.target_port = target_port
        self.cut_every_seconds = 0.0
        self.commit_cut_share = 0.0
        self.commit_late_share = 0.0
        self.counts = Counter()
        self.open = set()

    async def serve(self, reader, writer):
        """One connection from its start to its end."""
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection(HOST, self.target_port)
        except OSError:
            abort(writer)
            self.counts["refused"] += 1
            return
        self.counts["connections"] += 1
        link = Link(self, reader, writer, upstream_reader, upstream_writer)
        self.open.add(link)
        try:
            await link.run()
        finally:
            self.open.discard(link)

    async def cut_at_random(self):
        """Cuts one connection now and then, whatever it does."""
        while True:
            if self.cut_every_seconds <= 0:
                await asyncio.sleep(0.05)
                continue
            await asyncio.sleep(random.expovariate(1 / self.cut_every_seconds))
            if self.open and self.cut_every_seconds > 0:
                self.counts["cut at random"] += 1
                random.choice(list(self.open)).cut()


class Link:
    """A client's connection and the server's."""

    def __init__(self, proxy, reader, writer, upstream_reader, upstream_writer):
        self.proxy = proxy
        self.reader, self.writer = reader, writer
        self.upstream_reader, self.upstream_writer = upstream_reader, upstream_writer
        self.swallow = False
        self.swallowed = asyncio.Event()

    async def run(self):
        """Passes on both ways until one of them ends."""
        ways = [asyncio.create_task(self.to_server()), asyncio.create_task(self.to_client())]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        self.cut()
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)

    def cut(self):
        """Ends both sides at once, with a reset."""
        abort(self.writer)
        abort(self.upstream_writer)

    async def to_server(self):
        """Message by message, so that a COMMIT is seen."""
        with suppress(OSError, asyncio.IncompleteReadError, Cut):
            while True:
                head = await self.reader.readexactly(8)
                length, code = struct.unpack("!II", head)
                self.upstream_writer.write(head + await self.reader.readexactly(length - 8))
                await self.upstream_writer.drain()
                if code not in ENCRYPTION_REQUESTS:
                    break
            while True:
                head = await self.reader.readexactly(5)
                body = await self.reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)
                if is_commit(head[:1], body):
                    await self.commit(head + body)
                else:
                    self.upstream_writer.write(head + body)
                    await self.upstream_writer.drain()

    async def commit(self, message):
        """A COMMIT passes, is lost, loses its answer, or comes when its client has gone elsewhere."""
        counts = self.proxy.counts
        counts["commits"] += 1
        if random.random() < self.proxy.commit_late_share:
            counts["late commits"] += 1
            abort(self.writer)
            await asyncio.sleep(random.uniform(*LATE_SECONDS))
            self.swallow = True
            self.upstream_writer.write(message)
            await self.upstream_writer.drain()
            await self.swallowed.wait()
            raise Cut
        if random.random() >= self.proxy.commit_cut_share:
            self.upstream_writer.write(message)
            await self.upstream_writer.drain()
            return
        way = random.choice(["before", "after", "after", "answered", "answered"])
        counts[f"cut {way} a commit" if way != "answered" else "cut at a commit's answer"] += 1
        if way == "before":
            raise Cut
        if way == "answered":
            # The server has committed when its answer begins; the client never sees a byte of it.
            self.swallow = True
            self.upstream_writer.write(message)
            await self.upstream_writer.drain()
            await self.swallowed.wait()
            raise Cut
        self.upstream_writer.write(message)
        await self.upstream_writer.drain()
        # With an orderly end the server still reads what came before it.
        self.upstream_writer.write_eof()
        raise Cut

    async def to_client(self):
        """Bytes as they come, unless they are to be lost."""
        with suppress(OSError):
            while data := await self.upstream_reader.read(65536):
                if self.swallow:
                    self.swallowed.set()
                    await asyncio.sleep(60)
                self.writer.write(data)
                await self.writer.drain()


def is_commit(kind, body):
    """Whether a message asks for the end of a transaction, as a simple query or to be prepared."""
    if kind == b"Q":
        return b"COMMIT" in body.upper().replace(b"ON COMMIT", b"")
    return kind == b"P" and body.split(b"\0", 2)[1].strip().upper().startswith(b"COMMIT")


def abort(writer):
    """Closes with a reset, as a broken network does."""
    with suppress(OSError, AttributeError):
        connection = writer.get_extra_info("socket")
        if connection is not None and not writer.is_closing():
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def serve(listen_port, target_port):
    """Runs until stdin ends."""
    proxy = Proxy(target_port)
    server = await asyncio.start_server(proxy.serve, HOST, listen_port)
    cutting = asyncio.create_task(proxy.cut_at_random())
    loop, lines = asyncio.get_running_loop(), asyncio.Queue()

    def read():
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(lines.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()
    while (line := await lines.get()) is not None:
        for name, value in json.loads(line).items():
            setattr(proxy, name, value)
        print(json.dumps(proxy.counts), flush=True)
    cutting.cancel()
    server.close()


class ProxyProcess:
    """The proxy, as those who use it see it."""

    def __init__(self, listen_port, target_port):
        self.port = listen_port
        command = [sys.executable, __file__, str(listen_port), str(target_port)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self.set()

    def set(self, cut_every_seconds=0.0, commit_cut_share=0.0, commit_late_share=0.0):
        """How connections are treated from now on; what was done so far."""
        wanted = {"cut_every_seconds": cut_every_seconds}
        wanted |= {"commit_cut_share": commit_cut_share, "commit_late_share": commit_late_share}
        self.process.stdin.write(json.dumps(wanted) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        """Ends it."""
        self.process.kill()
        self.process.wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
