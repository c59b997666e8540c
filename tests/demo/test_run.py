"""The demo's small decisions."""

import socket
from pathlib import Path

import pytest

from demo.run import is_our_site, kept_port
from demo.serve import in_background
from lib.errors import ConfigurationError


def test_the_sites_port_is_kept(tmp_path: Path) -> None:
    first = kept_port(tmp_path / "site_port")
    assert kept_port(tmp_path / "site_port") == first


def test_a_port_on_which_our_own_site_is_served_will_do(tmp_path: Path) -> None:
    with in_background() as port:
        (tmp_path / "site_port").write_text(str(port))
        assert kept_port(tmp_path / "site_port") == port


def test_a_port_that_somebody_else_took_is_said_plainly(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (tmp_path / "site_port").write_text(str(port))
        assert not is_our_site(port)
        with pytest.raises(ConfigurationError, match=f"port {port}, wanted for the demo's web site, is held by"):
            kept_port(tmp_path / "site_port")
