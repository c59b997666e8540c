"""The embedded server, started for real: sharing, stopping, and surviving SIGKILL of each of its parts."""

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from lib.errors import DatabaseUnavailable, InsufficientSpace
from lib.storage.embedded import EmbeddedServer
from lib.storage.embedded_binaries import copied_package, wheel_package
from lib.storage.embedded_cluster import require_space
from lib.storage.embedded_guardian import is_locked

REPOSITORY = Path(__file__).parents[3]
NOBODY = pwd.getpwnam("nobody")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")

HOLD = """
import sys, time
from pathlib import Path
from lib.storage.embedded import EmbeddedServer
started = time.monotonic()
server = EmbeddedServer.start(Path(sys.argv[1]))
print(server.url("postgres"), flush=True)
sys.stdin.read()
server.close()
"""
BECOME_NOBODY = f"""
import os, shutil, sys
import lib.storage.embedded, psycopg, sqlalchemy.dialects.postgresql.psycopg
os.setgroups([]); os.setgid({NOBODY.pw_gid}); os.setuid({NOBODY.pw_uid})
if not os.access(os.path.realpath(sys.executable), os.X_OK):
    sys.executable = shutil.which("python3", path="/usr/bin:/usr/local/bin")
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A home that every user can reach, unlike pytest's own temporary folders."""
    folder = Path(tempfile.mkdtemp(prefix="vitrine-test-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    assert gone(folder, within_s=20)
    shutil.rmtree(folder)


@pytest.fixture
def hidden_home(tmp_path: Path) -> Iterator[Path]:
    """A home below a folder that nobody but its owner can enter, as /root is."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    yield closed / "home"
    shutil.rmtree((closed / "home" / "postgres").resolve(), ignore_errors=True)


@pytest.fixture
def hold(home: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a process that holds the server of ``home`` until its input is closed."""
    holders: list[subprocess.Popen[str]] = []

    def start(prelude: str = "") -> subprocess.Popen[str]:
        command = [sys.executable, "-c", prelude + HOLD, str(home)]
        holder = subprocess.Popen(
            command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        holders.append(holder)
        return holder

    yield start
    for holder in holders:
        holder.kill()
        holder.communicate()
    assert gone(home, within_s=20)


def first_line(holder: subprocess.Popen[str]) -> str:
    assert holder.stdout is not None
    return holder.stdout.readline().strip()


def scalar(url: str, query: str) -> object:
    engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        return connection.scalar(sa.text(query))


def execute(url: str, statement: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(statement))


def eventually(condition: Callable[[], bool], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def gone(home: Path, within_s: float) -> bool:
    """Whether every process of the server, and its guardian, ends in time."""
    locks = [home / "postgres" / name for name in ("server.lock", "guardian.lock")]
    return eventually(lambda: not any(lock.exists() and is_locked(lock) for lock in locks), within_s)


def postmaster(home: Path) -> int:
    return int((home / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0])


def guardian(home: Path) -> int:
    lock = home / "postgres" / "guardian.lock"
    assert eventually(lambda: lock.read_text() != "", within_s=10)
    return int(lock.read_text())


def test_starts_and_answers_a_query(home: Path) -> None:
    with EmbeddedServer.start(home) as server:
        assert scalar(server.url("postgres"), "SELECT 6 * 7") == 42
        assert scalar(server.url("postgres", "postgresql+psycopg2"), "SELECT 6 * 7") == 42


def test_a_warm_start_takes_less_than_two_seconds(home: Path) -> None:
    EmbeddedServer.start(home).close()
    started = time.monotonic()
    with EmbeddedServer.start(home):
        assert time.monotonic() - started < 2


def test_a_database_is_made_once_and_has_pgvector(home: Path) -> None:
    with EmbeddedServer.start(home) as server:
        server.create_database_if_missing('odd "name"')
        server.create_database_if_missing('odd "name"')
        url = server.url('odd "name"')
        execute(url, "CREATE EXTENSION vector")
        assert scalar(url, "SELECT extversion FROM pg_extension WHERE extname = 'vector'") == "0.8.6"
        assert scalar(url, "SELECT '[3,4]'::vector <-> '[0,0]'") == 5


def test_text_is_utf8_and_time_is_utc_whatever_the_machine_says(home: Path) -> None:
    with EmbeddedServer.start(home) as server:
        url = server.url("postgres")
        assert scalar(url, "SELECT upper('жук')") == "ЖУК"
        assert scalar(url, "SHOW timezone") == "UTC"


def test_a_second_process_shares_the_server(home: Path, hold: Callable[..., subprocess.Popen[str]]) -> None:
    with EmbeddedServer.start(home) as server:
        started_at = scalar(server.url("postgres"), "SELECT pg_postmaster_start_time()")
        other_url = first_line(hold())
        assert other_url == server.url("postgres")
        assert scalar(other_url, "SELECT pg_postmaster_start_time()") == started_at


def test_processes_that_start_at_once_share_one_server(home: Path, hold: Callable[..., subprocess.Popen[str]]) -> None:
    urls = [first_line(holder) for holder in [hold(), hold(), hold()]]
    assert len({(url, scalar(url, "SELECT pg_postmaster_start_time()")) for url in urls}) == 1


def test_stops_when_the_last_holder_leaves_and_not_before(home: Path) -> None:
    first, second = EmbeddedServer.start(home), EmbeddedServer.start(home)
    first.close()
    time.sleep(0.5)
    assert scalar(second.url("postgres"), "SELECT 1") == 1
    second.close()
    assert gone(home, within_s=0)
    with pytest.raises(sa.exc.OperationalError):
        scalar(second.url("postgres"), "SELECT 1")


def test_stops_after_its_last_holder_was_killed(home: Path, hold: Callable[..., subprocess.Popen[str]]) -> None:
    one, two = hold(), hold()
    url = first_line(one)
    assert first_line(two) == url
    one.kill()
    time.sleep(0.5)
    assert scalar(url, "SELECT 1") == 1
    two.kill()
    assert gone(home, within_s=5)


def test_acknowledged_rows_survive_a_killed_postmaster(home: Path) -> None:
    with EmbeddedServer.start(home) as server:
        url = server.url("postgres")
        execute(url, "CREATE TABLE kept (n int)")
        execute(url, "INSERT INTO kept SELECT generate_series(1, 1000)")
        os.kill(postmaster(home), signal.SIGKILL)
        with EmbeddedServer.start(home) as again:
            assert scalar(again.url("postgres"), "SELECT count(*) FROM kept") == 1000


def test_a_busy_backend_that_outlives_its_postmaster_does_not_bar_the_next_start(home: Path) -> None:
    with EmbeddedServer.start(home) as server:
        url = sa.make_url(server.url("postgres"))
        with psycopg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False)) as busy:
            busy.pgconn.send_query(b"SELECT count(*) FROM generate_series(1, 2000000000) a, generate_series(1, 100) b")
            time.sleep(0.5)
            os.kill(postmaster(home), signal.SIGKILL)
            server.ensure_running()
            assert scalar(server.url("postgres"), "SELECT 1") == 1
            busy.pgconn.finish()


def test_a_holder_gets_a_killed_guardian_and_server_back_under_the_same_url(home: Path) -> None:
    with EmbeddedServer.start(home) as server:
        url = server.url("postgres")
        killed = guardian(home)
        os.kill(killed, signal.SIGKILL)
        os.kill(postmaster(home), signal.SIGKILL)
        server.ensure_running()
        assert eventually(lambda: guardian(home) != killed, within_s=10)
        assert server.url("postgres") == url
        assert scalar(url, "SELECT 1") == 1


def test_stops_although_its_guardian_was_killed(home: Path) -> None:
    server = EmbeddedServer.start(home)
    os.kill(guardian(home), signal.SIGKILL)
    server.close()
    assert gone(home, within_s=0)


def test_the_next_holder_restores_a_killed_guardian(home: Path, hold: Callable[..., subprocess.Popen[str]]) -> None:
    first = hold()
    url = first_line(first)
    os.kill(guardian(home), signal.SIGKILL)
    first.kill()
    first.wait()
    assert scalar(url, "SELECT 1") == 1  # nobody was left to stop it
    second = hold()
    assert first_line(second) == url
    second.kill()
    assert gone(home, within_s=5)


def test_a_killed_first_start_leaves_nothing_in_the_way(home: Path, hold: Callable[..., subprocess.Popen[str]]) -> None:
    holder = hold()
    assert eventually(lambda: any((home / "postgres").glob("initializing-*/data/global")), within_s=20)
    holder.kill()
    with EmbeddedServer.start(home) as server:
        assert scalar(server.url("postgres"), "SELECT 1") == 1
    assert not list((home / "postgres").glob("initializing-*"))


@pytest.mark.parametrize("over_tcp", [False, True], ids=["socket", "tcp"])
def test_a_wrong_password_is_refused(home: Path, over_tcp: bool) -> None:
    with EmbeddedServer.start(home, tcp_port=free_port()) as server:
        url = server.url("postgres", over_tcp=over_tcp)
        assert scalar(url, "SELECT 1") == 1
        wrong = sa.make_url(url).set(password="wrong").render_as_string(hide_password=False)
        with pytest.raises(sa.exc.OperationalError, match="password authentication failed"):
            scalar(wrong, "SELECT 1")


def test_listens_on_no_tcp_port_unless_asked(home: Path) -> None:
    with EmbeddedServer.start(home) as server:
        assert scalar(server.url("postgres"), "SHOW listen_addresses") == ""
        with pytest.raises(DatabaseUnavailable, match="no TCP port"):
            server.url("postgres", over_tcp=True)
        with pytest.raises(DatabaseUnavailable, match="already runs"):
            EmbeddedServer.start(home, tcp_port=free_port())


def test_a_taken_tcp_port_is_named_with_the_log_and_what_to_do(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(DatabaseUnavailable, match=r"choose another one[\s\S]*could not bind IPv4"):
            EmbeddedServer.start(home, tcp_port=taken.getsockname()[1])
    assert gone(home, within_s=5)
    with EmbeddedServer.start(home) as server:
        assert scalar(server.url("postgres"), "SELECT 1") == 1


def test_passwords_data_and_socket_are_private(home: Path) -> None:
    with EmbeddedServer.start(home) as server:
        folder = home / "postgres"
        socket_folder = Path(str(sa.make_url(server.url("postgres")).query["host"]))
        assert mode(folder / "password") == mode(folder / "server.log") == 0o600
        assert mode(folder / "data") == mode(socket_folder) == 0o700
    assert not socket_folder.exists()


def test_a_home_with_a_very_long_path_works(home: Path) -> None:
    deep = home.joinpath(*["a-folder-with-quite-a-long-name"] * 8)
    deep.mkdir(parents=True)
    with EmbeddedServer.start(deep) as server:
        assert len(str(deep)) > 200
        assert scalar(server.url("postgres"), "SELECT 1") == 1


def test_a_stale_pid_file_whose_number_is_taken_again_does_no_harm(home: Path) -> None:
    server = EmbeddedServer.start(home)
    execute(server.url("postgres"), "CREATE TABLE kept AS SELECT 7 AS n")
    stale = home / "postgres" / "data" / "postmaster.pid"
    lines = stale.read_text().splitlines()
    os.kill(int(lines[0]), signal.SIGKILL)
    server.close()
    assert gone(home, within_s=5)
    owner = stale.stat().st_uid
    # Of the server's own user, whose processes Postgres takes for another postmaster.
    with subprocess.Popen(["/bin/sleep", "60"], user=owner if os.geteuid() == 0 else None) as bystander:
        try:
            stale.write_text("\n".join([str(bystander.pid), *lines[1:], ""]))
            with EmbeddedServer.start(home) as again:
                assert scalar(again.url("postgres"), "SELECT n FROM kept") == 7
            assert bystander.poll() is None
        finally:
            bystander.kill()


def test_a_lost_password_is_an_error_that_says_so(home: Path) -> None:
    EmbeddedServer.start(home).close()
    (home / "postgres" / "password").unlink()
    with pytest.raises(DatabaseUnavailable, match="does not know the password"):
        EmbeddedServer.start(home)


def test_broken_data_is_an_error_with_the_end_of_the_log(home: Path) -> None:
    EmbeddedServer.start(home).close()
    (home / "postgres" / "data" / "global" / "pg_control").unlink()
    with pytest.raises(DatabaseUnavailable, match="pg_control"):
        EmbeddedServer.start(home)


def test_a_full_disk_is_an_error_that_says_how_much_is_needed(tmp_path: Path) -> None:
    with pytest.raises(InsufficientSpace, match=r"needs 1000000000000 MB free"):
        require_space(tmp_path, 10**18)


@as_root
def test_an_ordinary_user_gets_a_server_of_their_own(home: Path, hold: Callable[..., subprocess.Popen[str]]) -> None:
    os.chown(home, NOBODY.pw_uid, NOBODY.pw_gid)
    holder = hold(BECOME_NOBODY)
    url = first_line(holder)
    assert scalar(url, "SELECT 1") == 1
    assert (home / "postgres" / "data").stat().st_uid == NOBODY.pw_uid
    holder.kill()
    assert gone(home, within_s=5)


@as_root
def test_root_keeps_the_data_elsewhere_when_its_user_cannot_reach_the_home(hidden_home: Path) -> None:
    before = mode(hidden_home.parent)
    with EmbeddedServer.start(hidden_home) as server:
        assert scalar(server.url("postgres"), "SELECT 1") == 1
        assert not (hidden_home / "postgres").resolve().is_relative_to(hidden_home)
        assert mode(hidden_home.parent) == before
    with EmbeddedServer.start(hidden_home) as server:
        assert scalar(server.url("postgres"), "SELECT 1") == 1


@as_root
def test_root_runs_a_copy_of_programs_that_its_user_cannot_reach(home: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    hidden = copied_package(wheel_package(), tmp_path)
    (hidden / "__init__.py").touch()
    script = (
        "import json, sys; from pathlib import Path; from lib.storage.embedded import EmbeddedServer\n"
        "with EmbeddedServer.start(Path(sys.argv[1])) as server: print(json.dumps(str(server._cluster.programs)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(home)],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(hidden.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    programs = Path(json.loads(done.stdout))
    try:
        assert programs.is_relative_to("/var")
        assert (home / "postgres" / "data" / "PG_VERSION").read_text().strip() == "18"
    finally:
        shutil.rmtree(programs.parents[2])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777
