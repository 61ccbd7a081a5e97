"""Which server is used: the one that is named, else a wheel's, else the system's, else none, and that is said."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from deskstore.adapters.embedded import places
from deskstore.adapters.embedded.programs import PostgresPrograms, for_others, postgres_here, postgres_programs, redis_program
from deskstore.domain.errors import ConfigurationError
from tests.servers.choosing import GivenServer, postgres, redis


def test_the_newest_is_used_and_a_wheels_before_the_systems() -> None:
    here = [programs.major for programs in postgres_here()]

    assert postgres_programs().major == max(here)
    assert {16, 18} <= {*here}
    assert all(postgres_programs(major).package for major in (16, 18))


def test_a_version_that_is_not_here_is_named_with_those_that_are() -> None:
    with pytest.raises(ConfigurationError, match=r"no PostgreSQL 99 on this machine \(here: .*18.*16.*pip install 'deskstore\[embedded\]'"):
        postgres_programs(99)


def test_a_run_without_servers_fails_in_one_line() -> None:
    with pytest.raises(pytest.fail.Exception) as caught, postgres(99):
        pass

    assert str(caught.value).count("\n") == 0
    assert str(caught.value).endswith("or set TEST_DATABASE_URL and TEST_REDIS_URL")


def test_what_is_named_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_DATABASE_URL", "postgresql://owner@db/desk")
    monkeypatch.setenv("TEST_REDIS_URL", "redis://cache")

    with postgres() as database, redis() as cache:
        assert (database, cache) == (GivenServer("postgresql://owner@db/desk"), GivenServer("redis://cache"))


def test_the_systems_own_redis_is_used_where_there_is_no_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "redis-server"
    program.touch(mode=0o700)
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setenv("PATH", str(tmp_path))
    with_it = redis_program()
    program.unlink()

    assert with_it == program
    with pytest.raises(ConfigurationError, match=r"no Redis or Valkey on this machine: pip install 'deskstore\[embedded\]'"):
        redis_program()


def test_programs_in_a_folder_of_ours_alone_can_be_run_by_the_servers_account(monkeypatch: pytest.MonkeyPatch, open_folder: Path) -> None:
    closed = programs_in(open_folder / "closed")
    monkeypatch.setattr(tempfile, "tempdir", str(open_folder))
    who = places.account()

    opened = for_others(closed)
    said = subprocess.run(
        [opened.folder / "initdb", "--version"],  # which finds its libraries by a relative path, or does not start
        user=who.uid if who else None,
        capture_output=True,
        text=True,
        check=True,
    )

    assert closed.version in said.stdout
    assert opened.fingerprint == closed.fingerprint == postgres_programs(18).fingerprint


def programs_in(folder: Path) -> PostgresPrograms:
    """The programs of a wheel, installed where nobody else can reach them."""
    found = postgres_programs(18)
    assert found.package
    folder.mkdir(mode=0o700)
    for part in (found.package, found.package.with_name(f"{found.package.name}.libs")):
        shutil.copytree(part, folder / part.name, symlinks=True)
    package = folder / found.package.name
    return PostgresPrograms(version=found.version, folder=package / found.folder.relative_to(found.package), package=package)


def test_what_was_cached_is_made_again_when_a_file_of_it_is_missing(monkeypatch: pytest.MonkeyPatch, open_folder: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(open_folder))
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "file").write_text(f"{len(made)}")

    first = places.cached("thing", make)
    again = places.cached("thing", make)
    (first / "file").unlink()
    mended = places.cached("thing", make)

    assert first == again == mended
    assert (mended / "file").read_text() == "2"


def test_a_cache_that_belongs_to_somebody_else_is_refused(monkeypatch: pytest.MonkeyPatch, open_folder: Path, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(open_folder))
    planted = places.cache()
    planted.rmdir()
    planted.symlink_to(tmp_path)

    with pytest.raises(ConfigurationError, match="belongs to somebody else: set TMPDIR"):
        places.cache()
