"""The command line's small decisions: ports, homes, what a taken port says."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lib.cli import ports
from lib.cli.processes import Processes, ProcessFailed
from lib.cli.up import default_home, with_demo_site
from lib.errors import ConfigurationError
from lib.settings import Settings


def test_a_taken_port_names_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"{port}.*pid {os.getpid()}"):
            ports.require_free(port, what="the API", remedy="choose another")


def test_a_free_port_is_free() -> None:
    assert ports.is_free(ports.free_port())


def test_without_sources_the_demo_is_the_default_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VITRINE_HOME", raising=False)
    assert default_home(Settings()) == tmp_path / ".vitrine"
    (tmp_path / ".vitrine" / "demo").mkdir(parents=True)
    assert default_home(Settings()) == tmp_path / ".vitrine" / "demo"
    (tmp_path / "sources.yaml").write_text("sources: []")
    assert default_home(Settings()) == tmp_path / ".vitrine"


def test_only_the_demos_library_opens_the_demos_port(tmp_path: Path) -> None:
    assert with_demo_site(Settings(home=tmp_path)).allowed_addresses == ""
    (tmp_path / "site_port").write_text("8123")
    assert with_demo_site(Settings(home=tmp_path)).allowed_addresses == "127.0.0.1:8123"


def test_a_process_that_ends_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    with Processes(tmp_path, {}) as processes:
        child = processes.start("broken", "no_such_module_of_ours")
        child.wait()
        with pytest.raises(ProcessFailed, match="No module named no_such_module_of_ours"):
            processes.require_alive()


def test_leaving_ends_a_process_that_will_not_listen(tmp_path: Path) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf', flush=True); time.sleep(600)"
    )
    with Processes(tmp_path, {}) as processes:
        processes.stop_timeout_s = 0.5
        child = processes.start("stubborn", sys.executable, "-c", stubborn, python=False)
        processes.wait_until(lambda: "deaf" in processes.tail("stubborn"), name="stubborn", timeout_s=20)
    assert child.poll() == -9


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's word on a parent's death is Linux's own")
def test_a_killed_supervisor_leaves_no_child(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from lib.cli.processes import Processes\n"
        "child = Processes(Path(sys.argv[1]), {}).start('child', 'http.server', '0', '--bind', '127.0.0.1')\n"
        "print(child.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE) as supervisor:
        assert supervisor.stdout is not None
        pid = int(supervisor.stdout.readline())
        supervisor.kill()
        supervisor.wait()
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2]:
            return
        subprocess.run(["sleep", "0.05"], check=True)
    pytest.fail("the child outlived its supervisor by five seconds")
