"""The programs that go on, as real processes: they answer, they work, they end when asked."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import httpx2
import pytest

from newel.cli.app import answered
from newel.cli.scaffold import written_project
from tests import patience
from tests.cli.conftest import COMMAND, NOW, command, environment, unreserved
from tests.patience import PATIENCE_S


@contextlib.contextmanager
def program(directory: Path, *arguments: str):
    """Run a command in a project with data of its own; it is killed if it does not end."""
    there = {**environment(directory / ".newel"), "PYTHONUNBUFFERED": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with patience.program([*COMMAND, *arguments], cwd=directory, env=there, **pipes) as started:
        yield started


def ended(started, number):
    """Ask a program to end, and give its status and what it said on standard error."""
    started.send_signal(number)
    _, err = started.communicate(timeout=PATIENCE_S)
    return started.returncode, err


@pytest.fixture
def home(tmp_path) -> Path:
    """Give a project with nothing deployed."""
    directory: Path = tmp_path / "home"
    written_project(directory, now=NOW)
    return directory


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.slow
def test_the_server_answers_and_ends_when_asked(home, number):
    """`newel serve` tells its address, answers there, and ends with 0 on SIGTERM and Ctrl-C.

    Slow: a PostgreSQL of its own is made.
    """
    with program(home, "serve", "--port", "0", "--json") as serving:
        address = json.loads(serving.stdout.readline())["address"]
        with httpx2.Client(trust_env=False) as client:
            assert client.get(f"{address}/api/v1/health").status_code == 200
            assert client.get(f"{address}/api/v1/ready").status_code == 200
        assert ended(serving, number) == (0, "")


@pytest.mark.slow
def test_successive_commands_see_one_deployment(home):
    """What one command started, the next lists, a worker drives, and nothing stays behind.

    Slow: a PostgreSQL of its own is made, and a worker.
    """
    unreserved(home)
    assert command(home, "runs").returncode == 1
    assert json.loads(command(home, "migrate", "--json").stdout)["applied"][0].startswith("0001_")
    assert json.loads(command(home, "migrate", "--json").stdout) == {"applied": []}
    run = json.loads(command(home, *START).stdout)["run"]
    assert json.loads(command(home, "runs", "--json").stdout)["runs"][0]["run"] == run
    with program(home, "worker") as working:
        lines = [json.loads(working.stdout.readline()) for _ in range(3)]
        assert sorted(line["event"] for line in lines if line["run"] is None) == ["service.started"]
        assert {line["run"] for line in lines} == {run, None}
        assert {"event", "audit", "worker"} - set(lines[0]) <= {"worker"}
        working.send_signal(signal.SIGTERM)
        out, err = working.communicate(timeout=PATIENCE_S)
        assert (working.returncode, err) == (0, "")
        assert json.loads(out.splitlines()[-1])["event"] == "service.stopped"
    tasks = json.loads(command(home, "tasks", "--json").stdout)["tasks"]
    assert [task["run"] for task in tasks] == [run]
    assert not (home / ".newel" / "postgres" / "postmaster.pid").exists()


START = ("start", "onboarding", "--input", "example.json", "--json")


@pytest.mark.slow
def test_dev_plays_the_systems_nobody_has_configured(home):
    """`newel dev` runs all of it: stand-ins, worker, console; a changed source is told.

    Slow: a PostgreSQL of its own is made, six simulators, a server and a worker.
    """
    with program(home, "dev", "--port", "0") as developing:
        address = developing.stdout.readline().split()[-1]
        said = [developing.stdout.readline() for _ in range(7)]
        assert sum("stand-in" in line for line in said) == 6
        with httpx2.Client(trust_env=False) as client:
            answer = client.get(f"{address}/api/v1/processes")
            assert "onboarding" in answer.text
        source = home / "company" / "people.py"
        os.utime(source, ns=(1, 1))
        assert "company/people.py has changed" in developing.stdout.readline()
        assert ended(developing, signal.SIGINT) == (0, "")


def test_a_taken_port_is_said_in_a_sentence(deployed, newel):
    """Where somebody listens already, the server says so and what to do."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = newel("serve", "--port", str(port))
    assert said.status == 1
    assert f"Cannot listen on 127.0.0.1:{port}" in said.err
    assert "--port 0" in said.err


def test_a_server_that_does_not_answer_is_said_in_a_sentence(project, newel, monkeypatch):
    """A PostgreSQL that is not there is no traceback, and its password is not shown."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setenv("NEWEL_DATABASE_URL", f"postgresql://me:hunter2@127.0.0.1:{port}/x")
    said = newel("runs")
    assert said.status == 1
    assert "the settings name does not answer" in said.err
    assert "hunter2" not in said.err
    assert said.err.count("\n") == 1


def test_a_wrong_setting_is_said_by_name(project, newel, monkeypatch):
    """A setting that does not exist, or does not fit, is named."""
    monkeypatch.setenv("NEWEL_LEASE", "1")
    said = newel("runs")
    assert (said.status, "two heartbeats" in said.err) == (1, True)


def test_without_a_deployment_reading_says_what_to_do(project, newel):
    """Reading makes no deployment: it says how one is made."""
    said = newel("runs")
    assert (said.status, "`newel dev`" in said.err) == (1, True)
    assert not (project / ".newel").exists()


def test_a_schema_of_another_version_is_refused(project, newel, monkeypatch, postgres):
    """A server of one's own without the migrations is refused with the command that helps."""
    monkeypatch.setenv("NEWEL_DATABASE_URL", postgres.dsn)
    said = newel("runs")
    assert (said.status, "`newel migrate`" in said.err) == (1, True)


def test_answered_is_what_the_command_runs(capsys):
    """The command line without a command shows the help and ends with 0."""
    assert answered([]) == 0
    assert "Usage: newel COMMAND" in capsys.readouterr().out
