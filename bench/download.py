"""Our downloader against urllib in threads: the client's processor time for a picture from loopback.

Peer: eight threads, each taking one URL after the other with ``urllib.request.urlopen``. Ours: the Fetcher that
scraping uses, with its checks of names and addresses, eight requests at a time. Both keep the body in memory; the
server is a process of its own and does not count. By https, as pictures on the web are, and by http. Goal: half.
"""

import asyncio
import os
import ssl
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import urlopen

from bench.loopback import server
from bench.paired import compare, print_machine, quick

AT_ONCE = 8
BODY = bytes(range(256)) * 400  # 100 kB, a small photograph
GOAL = 2.0


def write_certificate(path: Path) -> None:
    """Write a key and a certificate for 127.0.0.1 into one file, and have this process trust it."""
    options = "req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 2 -subj /CN=bench"
    address = ["-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(path), "-out", str(path.with_suffix(".crt"))]
    subprocess.run(["openssl", *options.split(), *address, *files], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + path.with_suffix(".crt").read_bytes())
    os.environ["SSL_CERT_FILE"] = str(path.with_suffix(".crt"))


def by_urllib(urls: list[str]) -> None:
    """Download in threads."""
    context = ssl.create_default_context() if urls[0].startswith("https") else None

    def download(url: str) -> int:
        with urlopen(url, context=context) as reply:  # noqa: S310  our own server
            return len(reply.read())

    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert set(pool.map(download, urls)) == {len(BODY)}


async def by_fetcher(urls: list[str], port: int) -> None:
    """Download as scraping does."""
    # Here, not above: aiohttp reads the trusted certificates when it is imported.
    from lib.scraping.addresses import AddressGuard
    from lib.scraping.download import Fetcher
    from lib.scraping.pace import Pace

    guard = AddressGuard.parse(f"127.0.0.1:{port}")
    async with Fetcher("bench", guard, Pace(delay_s=0.0, concurrency=AT_ONCE)) as fetcher:

        async def download(url: str) -> int:
            return len((await fetcher.get(url, hosts=["*"])).body or b"")

        assert set(await asyncio.gather(*map(download, urls))) == {len(BODY)}


def main() -> None:
    """Print the ratio by https and by http."""
    rounds, count = (3, 160) if quick() else (9, 400)
    print_machine()
    with tempfile.TemporaryDirectory() as folder:
        certificate = Path(folder) / "bench.pem"
        write_certificate(certificate)
        pictures = Path(folder) / "pictures"
        pictures.mkdir()
        (pictures / "0.jpg").write_bytes(BODY)
        for scheme, proof in (("https", certificate), ("http", None)):
            with server(pictures, proof) as port:
                urls = [f"{scheme}://127.0.0.1:{port}/0.jpg?{index}" for index in range(count)]
                compare(
                    f"download, 100 kB by {scheme}",
                    lambda urls=urls: by_urllib(urls),
                    lambda urls=urls, port=port: asyncio.run(by_fetcher(urls, port)),
                    items=count,
                    rounds=rounds,
                ).report(GOAL)


if __name__ == "__main__":
    main()
