"""Where the server's files lie and who runs it, checked on the real file system."""

import os
import shutil
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from newel.embedded.cluster import initialise
from newel.embedded.errors import DataGone
from newel.embedded.place import Account, Place, _copied, _installed, _reaches, settled
from newel.embedded.server import found, removed, started, used

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to drop to another account")


@pytest.fixture
def elsewhere(tmp_path_factory):
    """Give a stand-in for /var/lib/newel that every account can reach."""
    base = Path("/var/tmp") / f"newel-test-{os.getpid()}-{tmp_path_factory.mktemp('x').name}"
    base.mkdir(mode=0o755)
    yield base
    shutil.rmtree(base)


@pytest.fixture
def closed(tmp_path):
    """Give a directory on a path that only its owner may walk."""
    path = tmp_path / "closed"
    path.mkdir(mode=0o700)
    return path / "postgres"


def homes(elsewhere: Path) -> list[Path]:
    """Return the homes of data in a folder where copies of programs may lie, too."""
    return [path for path in elsewhere.iterdir() if not path.name.startswith("programs-")]


@as_root
def test_data_lie_elsewhere_when_the_account_cannot_reach_them(closed, elsewhere):
    """Root's server lives under /var/lib when its account is shut out, and is found again."""
    try:
        server = started(closed, durable=False, elsewhere=elsewhere)
        assert server.data_directory.is_relative_to(elsewhere)
        assert Path((closed / "elsewhere").read_text().strip()) == server.data_directory.parents[1]
        assert stat.S_IMODE(closed.parent.stat().st_mode) == 0o700
        assert found(closed, elsewhere=elsewhere) == server
    finally:
        removed(closed, elsewhere=elsewhere)
    assert homes(elsewhere) == []


@as_root
def test_data_stay_where_the_account_can_reach_them(elsewhere):
    """An open directory keeps its own data."""
    directory = elsewhere / "open"
    with used(directory, durable=False, remove=True) as server:
        assert server.data_directory == directory / "server" / "cluster"


@as_root
def test_vanished_data_are_never_replaced_by_an_empty_database(closed, elsewhere):
    """Where the recorded folder is gone, the refusal says what to do, and nothing is made."""
    closed.mkdir()
    (closed / "elsewhere").write_text(f"{elsewhere}/gone\n")
    with pytest.raises(DataGone, match="begin with an empty database"):
        started(closed, durable=False, elsewhere=elsewhere)
    assert homes(elsewhere) == []


def test_programs_work_from_a_copy(elsewhere):
    """A copy of the programs, readable by all, makes a cluster with its own libraries."""
    home = elsewhere / "home"
    home.mkdir()
    place = settled(home)
    copied = replace(place, programs=_copied(_installed(), elsewhere))
    assert copied.programs.is_relative_to(elsewhere)
    assert stat.S_IMODE((copied.programs / "initdb").stat().st_mode) == 0o755
    initialise(copied, durable=False)
    assert (copied.cluster / "PG_VERSION").read_text() == "18\n"
    assert _copied(_installed(), elsewhere) == copied.programs
    assert len(list(elsewhere.glob("programs-*"))) == 1


def test_an_account_is_shut_out_by_any_folder_on_the_way(closed):
    """A folder of mode 700 anywhere above closes the path to others, not to its owner."""
    owner = Account(name="owner", user=os.geteuid(), group=os.getegid())
    stranger = Account(name="stranger", user=2**16 + 1, group=2**16 + 1)
    assert _reaches(closed, owner)
    assert not _reaches(closed, stranger)
    assert _reaches(Path("/"), stranger)


def test_the_owner_of_a_place_is_the_account_that_runs_it(tmp_path):
    """Files handed over belong to the account; without one they stay with the caller."""
    mine = tmp_path / "mine"
    mine.touch()
    Place(directory=tmp_path, home=tmp_path, programs=tmp_path, account=None).own(mine)
    assert mine.stat().st_uid == os.geteuid()
