"""``python -m query_api``: the query API on the port of the settings, until it is told to stop."""

import uvicorn
from threadpoolctl import threadpool_limits

from lib import logs
from lib.settings import Settings
from query_api.allocator import share_arenas
from query_api.app import create_app

GRACE_S = 5  # a client that waits for a run for hours must not keep the server from stopping


def main() -> None:
    """Serve."""
    share_arenas()
    # Requests are worked on side by side. Unasked, OpenBLAS takes a thread a core for each product, however small, and
    # these spin for tens of milliseconds after it.
    threadpool_limits(1, user_api="blas")
    settings = Settings()
    logs.configure(settings.log_level, file=settings.home_path / "logs" / "api.log")
    uvicorn.run(
        create_app(settings),
        host=settings.api_host,
        port=settings.api_port,
        log_config=None,  # what it says goes through our configuration
        log_level="warning",
        access_log=False,  # request_log.py
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )


if __name__ == "__main__":
    main()
