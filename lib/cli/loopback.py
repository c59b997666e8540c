"""Whether a server answers."""

import urllib.error
import urllib.request

LOOK_S = 2.0


def answers(url: str) -> bool:
    """Return whether ``url`` answers with success."""
    try:
        with urllib.request.urlopen(url, timeout=LOOK_S) as reply:  # noqa: S310  an address of our own settings
            return bool(reply.status == 200)
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False
