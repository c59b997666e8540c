"""A web server for measurements, in a process of its own: files of a folder, by http or https."""

import asyncio
import multiprocessing
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path


def serve(ready: Connection, folder: Path, certificate: Path | None) -> None:
    """Serve the files of ``folder``, held in memory, on a free port until killed."""
    from aiohttp import web

    bodies = {f"/{path.name}": path.read_bytes() for path in folder.iterdir()}

    async def run() -> None:
        async def answer(request: web.BaseRequest) -> web.Response:
            return web.Response(body=bodies[request.path], content_type="image/jpeg")

        context = None
        if certificate is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate)
        loop = asyncio.get_running_loop()
        listening = await loop.create_server(web.Server(answer), "127.0.0.1", 0, ssl=context)
        ready.send(listening.sockets[0].getsockname()[1])
        await listening.serve_forever()

    asyncio.run(run())


@contextmanager
def server(folder: Path, certificate: Path | None = None) -> Iterator[int]:
    """Yield the port of a server in a process of its own."""
    here, there = multiprocessing.Pipe()
    arguments = (there, folder, certificate)
    process = multiprocessing.get_context("spawn").Process(target=serve, args=arguments, daemon=True)
    process.start()
    try:
        yield here.recv()
    finally:
        process.kill()
        process.join()
