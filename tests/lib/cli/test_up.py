"""The command line's small decisions: ports, homes, what a taken port says."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from lib.cli import ports
from lib.cli.home_lock import is_supervised, only_supervisor
from lib.cli.homes import default_home
from lib.cli.processes import MAX_DEATHS, Processes, ProcessFailed
from lib.cli.up import with_demo_site
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
@pytest.mark.parametrize("told_to_ignore", ["", "signal.signal(signal.SIGTERM, signal.SIG_IGN)"])
def test_a_killed_supervisor_leaves_no_child(tmp_path: Path, told_to_ignore: str) -> None:
    script = (
        "import signal, sys, time; from pathlib import Path; from lib.cli.processes import Processes\n"
        f"{told_to_ignore}\n"
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


def test_a_home_has_one_supervisor_and_the_second_is_told_who_it_is(tmp_path: Path) -> None:
    with only_supervisor(tmp_path):
        assert is_supervised(tmp_path)
        with pytest.raises(ConfigurationError, match=rf"pid {os.getpid()}"), only_supervisor(tmp_path):
            pytest.fail("two supervisors")
    assert not is_supervised(tmp_path)


def test_a_killed_supervisor_does_not_bar_the_next(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from lib.cli.home_lock import only_supervisor\n"
        "with only_supervisor(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False).returncode == -9
    with only_supervisor(tmp_path):
        assert is_supervised(tmp_path)


def test_a_process_that_died_is_started_again_by_the_same_command(tmp_path: Path) -> None:
    with Processes(tmp_path, {}) as processes:
        first = processes.start("sleeper", sys.executable, "-c", "import time; time.sleep(600)", python=False)
        first.kill()
        first.wait()
        assert processes.has_ended("sleeper")
        processes.bury("sleeper")
        processes.start_again("sleeper")
        assert not processes.has_ended("sleeper")


def test_a_dead_process_takes_what_it_started_along(tmp_path: Path) -> None:
    parent = (
        "import subprocess, sys, time\n"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).pid, flush=True)\n"
        "time.sleep(600)"
    )
    with Processes(tmp_path, {}) as processes:
        started = processes.start("parent", sys.executable, "-c", parent, python=False)
        processes.wait_until(lambda: bool(processes.tail("parent")), name="parent", timeout_s=20)
        child = psutil.Process(int(processes.tail("parent")))
        started.kill()
        started.wait()
        processes.bury("parent")
        assert not psutil.wait_procs([child], timeout=10)[1]


def test_a_process_that_dies_again_and_again_is_given_up_with_the_end_of_its_log(tmp_path: Path) -> None:
    with Processes(tmp_path, {}) as processes:
        processes.start("broken", "no_such_module_of_ours").wait()
        for _ in range(MAX_DEATHS - 1):
            processes.bury("broken")
            processes.start_again("broken").wait()
        with pytest.raises(ProcessFailed, match="No module named no_such_module_of_ours"):
            processes.bury("broken")


def test_a_port_that_a_killed_supervisor_left_taken_is_waited_for(tmp_path: Path) -> None:
    script = (
        "import socket, time; server = socket.create_server(('127.0.0.1', 0))\n"
        "print(server.getsockname()[1], flush=True); time.sleep(3)"
    )
    environment = {**os.environ, "VITRINE_HOME": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE) as ending:
        assert ending.stdout is not None
        port = int(ending.stdout.readline())
        with pytest.raises(ConfigurationError, match="held by"):
            ports.require_free(port, what="the API", remedy="choose another", home=tmp_path / "of somebody else")
        ports.require_free(port, what="the API", remedy="choose another", home=tmp_path)
