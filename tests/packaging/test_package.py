"""The wheel and the source distribution hold what they must, and what was installed from them works with nothing else beside it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import venv
import zipfile
from email.message import Message
from pathlib import Path

import pytest
from trove_classifiers import classifiers

import deskstore
import dev
from tests.packaging.building import build, files_of_wheel, metadata_of, unpack
from tests.packaging.lending import lend

ROOT = Path(__file__).resolve().parent.parent.parent
HERE = Path(__file__).resolve().parent
INFO = f"deskstore-{deskstore.__version__}.dist-info"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, unpacked."""
    return unpack(build(ROOT, "sdist", tmp_path_factory.mktemp("sdist")), tmp_path_factory.mktemp("unpacked"))


@pytest.fixture(scope="module")
def wheel(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is made of the source distribution, as installers do that find no wheel."""
    return build(unpacked, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    return metadata_of(wheel)


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that holds the wheel, what it requires, and nothing else."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    dev.make_environment(folder, sys.executable)
    dev.install(folder, "--no-index", "--no-deps", str(wheel))
    (site_packages,) = folder.glob("lib/python*/site-packages")
    lend(PROJECT["dependencies"], site_packages)
    return folder / "bin" / "python"


def test_the_wheel_holds_the_package_its_licence_and_nothing_else(wheel: Path, unpacked: Path) -> None:
    ours = {str(path.relative_to(ROOT / "src")) for path in (ROOT / "src/deskstore").rglob("*") if is_source(path)}
    about = {f"{INFO}/{name}" for name in ["METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"]}

    held = files_of_wheel(wheel)

    assert {*held} == ours | about
    assert {"deskstore/py.typed", "deskstore/adapters/postgres/migrations/versions/v0001_first.sql"} <= {*held}
    assert held[f"{INFO}/licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()
    assert [name for name in ours if held[name] != (unpacked / "src" / name).read_bytes()] == []


def test_the_source_distribution_holds_what_git_keeps(unpacked: Path) -> None:
    held = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}

    assert git_files("--cached") - held == {".gitattributes"}  # says how git shows differences
    assert held - {"PKG-INFO"} - git_files("--cached", "--others", "--exclude-standard") == set()


def test_a_build_twice_gives_the_same_bytes(wheel: Path, unpacked: Path, tmp_path: Path) -> None:
    again = build(unpacked, "wheel", tmp_path)

    assert again.read_bytes() == wheel.read_bytes()
    assert zipfile.ZipFile(again).testzip() is None


def test_the_metadata_say_what_it_is_and_for_whom(metadata: Message) -> None:
    said = {name: metadata.get_all(name, []) for name in ["Name", "Version", "License-Expression", "License-File", "Requires-Python"]}
    pythons = [line.rpartition(" ")[2] for line in metadata.get_all("Classifier", []) if ":: 3." in line]

    assert [*said.values()] == [["deskstore"], [deskstore.__version__], ["MIT"], ["LICENSE"], [">=3.11"]]
    assert pythons == [*reversed(dev.PYTHONS)]
    assert {*metadata.get_all("Classifier", [])} - {*classifiers} == set()
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])


def test_the_metadata_ask_for_what_the_project_asks_for(metadata: Message) -> None:
    required = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]

    assert len(required) == len(PROJECT["dependencies"])
    assert {*metadata.get_all("Provides-Extra", [])} == {*PROJECT["optional-dependencies"]}


def test_it_works_with_nothing_but_what_it_requires(python: Path, tmp_path: Path) -> None:
    ended = subprocess.run([str(python), "-I", str(HERE / "smoke.py")], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_an_environment_without_a_library_that_is_required_is_found(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", symlinks=True)
    (site_packages,) = tmp_path.glob("venv/lib/python*/site-packages")
    zipfile.ZipFile(wheel).extractall(site_packages)
    lend([line for line in PROJECT["dependencies"] if not line.startswith("stamina")], site_packages)

    walked = "import sys; sys.argv = ['']; from runpy import run_path; run_path(sys.orig_argv[-1])['every_module_is_at_home']()"
    ended = subprocess.run(
        [str(tmp_path / "venv/bin/python"), "-I", "-c", walked, str(HERE / "smoke.py")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert "No module named 'stamina'" in ended.stderr


def test_whoever_checks_types_sees_ours(python: Path, tmp_path: Path) -> None:
    (tmp_path / "mypy.ini").touch()  # none of the checkout's settings, and none of its paths
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(python), str(HERE / "client.py")]

    ended = subprocess.run([*command, "--config-file=mypy.ini"], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stdout) == (0, "Success: no issues found in 1 source file\n")


def is_source(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts


def git_files(*which: str) -> set[str]:
    listed = subprocess.run(["git", "ls-files", "-z", *which], cwd=ROOT, check=True, capture_output=True, text=True)
    return {name for name in listed.stdout.split("\0") if name}
