"""A proxy between a scraper and a site that spoils the answers for one path: late, torn, lying, endless, exploding.

Each fault takes the site's true answer and does its worst with it. All of them speak over real sockets, so what the
scraper meets is what a broken or hostile server would send it.
"""

import asyncio
import gzip
import random
import re
import socket
import struct
import subprocess
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeAlias

import zstandard

BOMB_BYTES = 200_000_000
PIECE = b"x" * 65_536
DRIP_S = 0.05


@dataclass
class Exchange:
    """A request that waits for its answer; ``head`` ends with the empty line, ``chance`` chooses places in it."""

    target: str
    head: bytes
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    chance: random.Random

    async def send(self, data: bytes) -> None:
        """Send these bytes; raises ConnectionError when nobody takes them any more."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, body: bytes, *headers: str, status: str = "200 OK") -> None:
        """Send a well-formed answer, but for what the headers say."""
        lines = [f"HTTP/1.1 {status}", "Content-Type: image/jpeg", "Connection: close", *headers, "", ""]
        await self.send("\r\n".join(lines).encode("latin-1") + body)

    async def for_ever(self, data: bytes, pause_s: float = 0.0) -> None:
        """Send these bytes until nobody takes them any more."""
        while True:
            await self.send(data)
            await asyncio.sleep(pause_s)

    def reset(self) -> None:
        """End the connection by RST, not by FIN."""
        end = self.writer.get_extra_info("socket")
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Fault: TypeAlias = Callable[[Exchange], Awaitable[None]]


async def _late(exchange: Exchange) -> None:
    await asyncio.sleep(exchange.chance.uniform(0.1, 0.6))
    await exchange.send(exchange.head)
    await asyncio.sleep(exchange.chance.uniform(0.1, 0.4))
    await exchange.send(exchange.body)


async def _in_pieces(exchange: Exchange) -> None:
    whole = exchange.head + exchange.body
    while whole:
        size = exchange.chance.randint(1, max(1, len(whole) // 4))
        await exchange.send(whole[:size])
        whole = whole[size:]
        await asyncio.sleep(0.005)


async def _closed_unanswered(_exchange: Exchange) -> None:
    return


async def _reset_unanswered(exchange: Exchange) -> None:
    exchange.reset()


async def _reset(exchange: Exchange) -> None:
    whole = exchange.head + exchange.body
    await exchange.send(whole[: exchange.chance.randrange(len(whole))])
    exchange.reset()


async def _cut_in_the_head(exchange: Exchange) -> None:
    await exchange.send(exchange.head[: exchange.chance.randrange(1, len(exchange.head))])


async def _cut_in_the_body(exchange: Exchange) -> None:
    await exchange.send(exchange.head + exchange.body[: exchange.chance.randrange(len(exchange.body))])


async def _silent(exchange: Exchange) -> None:
    await exchange.reader.read()  # until the other side has had enough


async def _head_in_drops(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nX-Drops: ")
    await exchange.for_ever(b"x", DRIP_S)


async def _body_in_drops(exchange: Exchange) -> None:
    await exchange.send(exchange.head)
    for place in range(len(exchange.body)):
        await exchange.send(exchange.body[place : place + 1])
        await asyncio.sleep(DRIP_S)


def _said_length(said: Callable[[int], str]) -> Fault:
    async def fault(exchange: Exchange) -> None:
        await exchange.answer(exchange.body, f"Content-Length: {said(len(exchange.body))}")

    return fault


def _two_lengths(length: int) -> str:
    return f"{length}\r\nContent-Length: {length // 2}"


def _chunked(spoil: Callable[[bytes], bytes]) -> Fault:
    async def fault(exchange: Exchange) -> None:
        await exchange.answer(spoil(exchange.body), "Transfer-Encoding: chunked")

    return fault


async def _endless_body(exchange: Exchange) -> None:
    await exchange.answer(exchange.body)
    await exchange.for_ever(PIECE)


async def _endless_chunks(exchange: Exchange) -> None:
    await exchange.answer(b"%x\r\n%s\r\n" % (len(exchange.body), exchange.body), "Transfer-Encoding: chunked")
    await exchange.for_ever(b"10000\r\n%s\r\n" % PIECE)


async def _endless_empty_chunks(exchange: Exchange) -> None:
    await exchange.answer(b"", "Transfer-Encoding: chunked")
    await exchange.for_ever(b"0" * 65_536)


async def _endless_trailers(exchange: Exchange) -> None:
    await exchange.answer(b"%x\r\n%s\r\n0\r\n" % (len(exchange.body), exchange.body), "Transfer-Encoding: chunked")
    await exchange.for_ever(b"X-More: more\r\n" * 100)


async def _endless_headers(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\n")
    await exchange.for_ever(b"X-More: more\r\n" * 100)


async def _endless_header(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nX-Long: ")
    await exchange.for_ever(PIECE)


async def _endless_hints(exchange: Exchange) -> None:
    await exchange.for_ever(b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n" * 20)


def _raw(data: bytes) -> Fault:
    async def fault(exchange: Exchange) -> None:
        await exchange.send(data + exchange.body)

    return fault


def _encoded(encodings: str, encode: Callable[[bytes], bytes]) -> Fault:
    """Return a fault that sends the picture, and zeros without end behind it, packed as it says, or not at all so."""

    async def fault(exchange: Exchange) -> None:
        packed = await asyncio.to_thread(encode, exchange.body)
        await exchange.answer(packed, f"Content-Encoding: {encodings}", f"Content-Length: {len(packed)}")

    return fault


def _bomb(packer: Callable[[], Any]) -> Callable[[bytes], bytes]:
    """Return a function that packs a body and zeros behind it, piece by piece: what it takes is not to be measured."""

    @cache
    def pack(body: bytes) -> bytes:
        compressor = packer()
        pieces = [compressor.compress(body), *(compressor.compress(_ZEROS) for _ in range(BOMB_BYTES // len(_ZEROS)))]
        return b"".join((*pieces, compressor.flush()))

    return pack


_ZEROS = bytes(1_000_000)
_gzip_bomb = _bomb(lambda: zlib.compressobj(wbits=31))
_deflate_bomb = _bomb(zlib.compressobj)
_zstd_bomb = _bomb(lambda: zstandard.ZstdCompressor().compressobj())


@cache
def _brotli_bomb(body: bytes) -> bytes:
    """Pack by the Node.js that Playwright brings along; Python has no Brotli of its own."""
    from playwright._impl._driver import compute_driver_executable

    read = f"const body = Buffer.concat([require('fs').readFileSync(0), Buffer.alloc({BOMB_BYTES})])"
    write = "process.stdout.write(require('zlib').brotliCompressSync(body, {params: {[1]: 5}}))"
    node = str(compute_driver_executable()[0])
    return subprocess.run([node, "-e", f"{read}; {write}"], input=body, check=True, capture_output=True).stdout


def _many_members(body: bytes) -> bytes:
    return gzip.compress(body) + gzip.compress(b"") * 200_000


def _redirect(status: str, location: Callable[[Exchange], str]) -> Fault:
    async def fault(exchange: Exchange) -> None:
        await exchange.answer(b"", f"Location: {location(exchange)}", "Content-Length: 0", status=status)

    return fault


def _one_further(exchange: Exchange) -> str:
    path, _, number = exchange.target.partition("?")
    return f"{path}?{int(number or 0) + 1}"


FAULTS: dict[str, Fault] = {
    "late": _late,
    "in pieces": _in_pieces,
    "closed unanswered": _closed_unanswered,
    "reset unanswered": _reset_unanswered,
    "reset at some byte": _reset,
    "cut in the head": _cut_in_the_head,
    "cut in the body": _cut_in_the_body,
    "silent": _silent,
    "head in drops": _head_in_drops,
    "body in drops": _body_in_drops,
    "length too long": _said_length(lambda length: str(length + 1000)),
    "length too short": _said_length(lambda length: str(length // 2)),
    "length of a petabyte": _said_length(lambda _: str(10**15)),
    "length beyond numbers": _said_length(lambda _: "9" * 400),
    "length below zero": _said_length(lambda length: str(-length)),
    "length of letters": _said_length(lambda length: f"{length}abc"),
    "two lengths": _said_length(_two_lengths),
    "chunk of letters": _chunked(lambda body: b"zz\r\n" + body),
    "chunk beyond numbers": _chunked(lambda body: b"f" * 40 + b"\r\n" + body),
    "chunk below zero": _chunked(lambda body: b"-5\r\n" + body),
    "chunk longer than it says": _chunked(lambda body: b"%x\r\n%s\r\n0\r\n\r\n" % (len(body) // 2, body)),
    "chunk without an end": _chunked(lambda body: b"%x\r\n%s" % (len(body) + 100, body)),
    "last chunk missing": _chunked(lambda body: b"%x\r\n%s\r\n" % (len(body), body)),
    "endless body": _endless_body,
    "endless chunks": _endless_chunks,
    "endless chunk size": _endless_empty_chunks,
    "endless trailers": _endless_trailers,
    "endless headers": _endless_headers,
    "endless header": _endless_header,
    "endless hints": _endless_hints,
    "no status line": _raw(b""),
    "another protocol": _raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "status without a number": _raw(b"HTTP/1.1 fine\r\n\r\n"),
    "version of the future": _raw(b"HTTP/9.9 200 OK\r\n\r\n"),
    "header without a name": _raw(b"HTTP/1.1 200 OK\r\n: x\r\n\r\n"),
    "header with a NUL": _raw(b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Type: image/jpeg\r\n\r\n"),
    "protocol switched": _raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"),
    "gzip bomb": _encoded("gzip", _gzip_bomb),
    "deflate bomb": _encoded("deflate", _deflate_bomb),
    "br bomb": _encoded("br", _brotli_bomb),
    "zstd bomb": _encoded("zstd", _zstd_bomb),
    "gzip in gzip": _encoded("gzip, gzip", lambda body: gzip.compress(_gzip_bomb(body))),
    "gzip in br": _encoded("gzip, br", lambda body: _brotli_bomb(gzip.compress(body))),
    "gzip of 200,000 members": _encoded("gzip", _many_members),
    "gzip cut": _encoded("gzip", lambda body: gzip.compress(body)[:-20]),
    "gzip that is none": _encoded("gzip", lambda body: body),
    "encoding of no name": _encoded("rot13", lambda body: body),
    "redirect loop": _redirect("302 Found", lambda exchange: exchange.target),
    "redirect chain": _redirect("307 Temporary Redirect", _one_further),
    "redirect to nothing": _redirect("301 Moved", lambda _: ""),
    "redirect to no URL": _redirect("301 Moved", lambda _: "http://[::"),
    "redirect to a long URL": _redirect("301 Moved", lambda _: "/" + "a" * 7000),
}
HARMLESS = ("late", "in pieces")


@dataclass
class FaultProxy:
    """A proxy under way; ``fault`` spoils what is asked for under ``path``."""

    port: int
    path: str = ""
    fault: Fault | None = None
    chance: random.Random = field(default_factory=random.Random)
    spoiled: int = 0

    def break_(self, path: str, fault: Fault) -> None:
        """Spoil the answers for ``path`` from now on."""
        self.path, self.fault, self.spoiled = path, fault, 0

    def mend(self) -> None:
        """Let all answers through as they are."""
        self.fault = None


@asynccontextmanager
async def fault_proxy(site_port: int, chance: random.Random) -> AsyncIterator[FaultProxy]:
    """Listen on loopback, and pass all requests on to the site on ``site_port``."""
    proxy = FaultProxy(0, chance=chance)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            request = await reader.readuntil(b"\r\n\r\n")
            target = request.split(b" ", 2)[1].decode("latin-1")
            exchange = Exchange(target, *await _true_answer(site_port, request), reader, writer, proxy.chance)
            if proxy.fault is not None and target.partition("?")[0] == proxy.path:
                proxy.spoiled += 1
                await proxy.fault(exchange)
            else:
                await exchange.send(exchange.head + exchange.body)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        proxy.port = server.sockets[0].getsockname()[1]
        yield proxy


async def _true_answer(site_port: int, request: bytes) -> tuple[bytes, bytes]:
    """Return the head and the body of the site's answer, the connection to end after it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site_port)
    line, _, rest = request.partition(b"\r\n")
    rest = re.sub(rb"(?im)^(connection|accept-encoding):[^\n]*\n", b"", rest)
    writer.write(line + b"\r\nConnection: close\r\n" + rest)
    answer = await reader.read(-1)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", body
