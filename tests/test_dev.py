"""dev.py finds its way on any machine, and says so in one line where it cannot."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import dev

ROOT = Path(__file__).resolve().parent.parent


def test_help_names_every_command() -> None:
    said = run(ROOT, "--help").stdout

    assert all(re.search(rf"^  {name} ", said, re.MULTILINE) for name in dev.COMMANDS)


def test_an_unknown_command_is_refused() -> None:
    ended = run(ROOT, "tset")

    assert ended.returncode == 2
    assert "tset" in ended.stderr


def test_it_works_from_any_folder(checkout: Path, tmp_path: Path) -> None:
    ready(checkout)

    ended = run(checkout, "test", "tests/marked.py", cwd=tmp_path)

    assert (ended.returncode, ended.stdout.split()) == (0, ["-m", "pytest", "tests/marked.py"])


def test_a_file_named_from_the_callers_folder_is_found(checkout: Path, tmp_path: Path) -> None:
    ready(checkout)
    (tmp_path / "mine.py").touch()

    ended = run(checkout, "test", "mine.py::test_one", "-x", cwd=tmp_path)

    assert ended.stdout.split() == ["-m", "pytest", f"{tmp_path}/mine.py::test_one", "-x"]


def test_all_tests_run_on_every_processor(checkout: Path) -> None:
    ready(checkout)

    ended = run(checkout, "test")

    assert ended.stdout.split() == ["-m", "pytest", "-n", "auto", "--dist", "worksteal"]


def test_the_exit_code_is_the_programs_own(checkout: Path) -> None:
    ready(checkout, "exit 5")

    assert run(checkout, "test").returncode == 5


def test_the_callers_environment_does_not_lead_astray(checkout: Path) -> None:
    ready(checkout, 'echo "<$PYTHONPATH|$VIRTUAL_ENV|$PYTHONOPTIMIZE>"')
    misled = {"PYTHONPATH": "/elsewhere", "VIRTUAL_ENV": "/elsewhere", "PYTHONOPTIMIZE": "1"}

    ended = run(checkout, "test", variables=misled)

    assert ended.stdout.strip() == "<||>"


def test_what_is_not_there_yet_is_said_in_one_line(checkout: Path) -> None:
    ready(checkout)

    ended = run(checkout, "bench")

    assert ended.returncode == 2
    assert ended.stderr == "dev.py: `bench` has nothing to run yet: there is no bench in this checkout\n"


def test_an_environment_is_built_once_and_again_when_the_lock_changed(checkout: Path) -> None:
    path = with_uv(checkout)

    run(checkout, "test", variables=path)
    first = built(checkout)
    run(checkout, "test", variables=path)
    second = built(checkout)
    (checkout / "requirements.lock").write_text("attrs==1\n")
    run(checkout, "test", variables=path)

    assert first == ["venv", "packages", "project"]
    assert second == first
    assert built(checkout) == [*first, *first]


def test_a_new_lint_rule_is_no_reason_to_install_and_a_new_script_is(checkout: Path) -> None:
    path = with_uv(checkout)
    settings = checkout / "pyproject.toml"
    run(checkout, "test", variables=path)

    settings.write_text(settings.read_text().replace("max-complexity = 10", "max-complexity = 11"))
    run(checkout, "test", variables=path)
    after_the_rule = built(checkout)
    settings.write_text(settings.read_text().replace("[project.scripts]", '[project.scripts]\nother = "deskstore.cli:main"'))
    run(checkout, "test", variables=path)

    assert after_the_rule == ["venv", "packages", "project"]
    assert built(checkout) == [*after_the_rule, "project"]


def test_an_environment_is_usable_only_while_something_can_install_into_it(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = checkout / ".venv"
    pip = environment / "lib" / "python3.11" / "site-packages" / "pip"
    monkeypatch.setenv("PATH", str(checkout / "nothing"))

    made_by_uv = dev.can_install(environment)
    pip.mkdir(parents=True)

    assert (made_by_uv, dev.can_install(environment)) == (False, True)


@pytest.mark.parametrize(("step", "before"), [("venv", ["venv"]), ("packages", ["venv", "packages"])])
def test_a_build_that_was_killed_is_done_again(step: str, before: list[str], checkout: Path) -> None:
    killed = run(checkout, "test", variables={**with_uv(checkout), "KILLED_AT": step})

    ended = run(checkout, "test", variables=with_uv(checkout))

    assert (killed.returncode, ended.returncode) == (-signal.SIGKILL, 0)
    assert built(checkout) == [*before, "venv", "packages", "project"]


def test_two_commands_that_start_together_build_once(checkout: Path) -> None:
    command = [sys.executable, str(checkout / "dev.py"), "test"]
    variables = {**os.environ, **with_uv(checkout)}

    both = [subprocess.Popen(command, env=variables, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) for _ in range(2)]

    assert [one.wait() for one in both] == [0, 0]
    assert built(checkout) == ["venv", "packages", "project"]


def test_a_failed_build_says_why_in_the_words_of_the_tool(checkout: Path) -> None:
    pretend(checkout / "bin" / "uv", "echo no space left; exit 3")

    ended = run(checkout, "test", variables={"PATH": f"{checkout / 'bin'}:{os.environ['PATH']}"})

    assert ended.returncode == 2
    assert "no space left\ndev.py: the environment could not be built" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_ctrl_c_while_building_ends_with_130_and_no_traceback(checkout: Path) -> None:
    pretend(checkout / "bin" / "uv", "exec sleep 30")
    command = [sys.executable, str(checkout / "dev.py"), "test"]
    variables = {**os.environ, "PATH": f"{checkout / 'bin'}:{os.environ['PATH']}"}
    with subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True, start_new_session=True) as started:
        assert started.stderr
        began = started.stderr.readline()

        os.killpg(started.pid, signal.SIGINT)
        rest = started.stderr.read()

    assert began.startswith("setting up .venv")
    assert (started.returncode, rest) == (130, "")


def test_a_debian_without_venv_is_told_what_to_install(checkout: Path) -> None:
    pretend(checkout / "bin" / "python3.12", 'case "$*" in *ensurepip*) exit 1;; *) echo 3 12 1;; esac')

    ended = run(checkout, "--python", "3.12", "test", variables={"PATH": str(checkout / "bin")})

    assert ended.returncode == 2
    assert ended.stderr.endswith(
        "dev.py: this Python has no venv module: sudo apt install python3.12-venv (Debian, Ubuntu), or put uv on the path\n"
    )


def test_a_python_that_is_not_here_is_named() -> None:
    with pytest.raises(dev.Refusal, match=r"Python 3\.99 is not here"):
        dev.find_python("3.99")


def test_a_python_that_is_too_old_looks_for_a_newer_one_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(tmp_path / "python3.13", "exit 127")
    pretend(tmp_path / "python3.12", "echo 3 12 1")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert dev.newer_python() == str(tmp_path / "python3.12")


def test_a_python_that_is_too_old_says_so_where_there_is_no_newer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    with pytest.raises(dev.Refusal, match=r"is too old: install 3\.11 or newer"):
        dev.newer_python()


def test_clean_removes_what_was_made_and_keeps_data(checkout: Path) -> None:
    for name in [".venv/bin", ".venv-3.12", ".mypy_cache", ".hypothesis", "src/deskstore/__pycache__", "data/acme"]:
        (checkout / name).mkdir(parents=True)

    ended = run(checkout, "clean")

    assert ended.returncode == 0
    assert sorted(path.name for path in checkout.iterdir()) == ["data", "dev.py", "pyproject.toml", "requirements.lock", "src"]
    assert not list(checkout.rglob("__pycache__"))


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# One & two\n\n[up](../README.md#there) [here](#one--two) [out](https://example.org/x.md)\n")
    (tmp_path / "README.md").write_text("# There\n\n[gone](docs/b.md) [no such heading](docs/a.md#three)\n\n```\n[code](nowhere.md)\n```\n")

    assert dev.dead_links(tmp_path) == ["README.md: docs/b.md leads nowhere", "README.md: docs/a.md#three leads nowhere"]


def test_every_step_of_check_runs_even_after_one_failed(checkout: Path) -> None:
    ready(checkout)
    for tool in ["pyright", "mypy", "lint-imports", "sphinx-build"]:
        pretend(checkout / ".venv" / "bin" / tool, "echo noise")
    pretend(checkout / ".venv" / "bin" / "ruff", "echo a fault; exit 1")

    ended = run(checkout, "check")

    said = re.sub(r" +\d+\.\d s$", "", ended.stdout, flags=re.MULTILINE).split("\n")
    assert ended.returncode == 1
    assert said[:6] == ["FAIL  ruff check", "a fault", "", "FAIL  ruff format", "a fault", ""]
    assert said[6:] == ["ok    pyright", "ok    mypy", "ok    lint-imports", "ok    links", "ok    site", ""]


def test_the_lock_holds_every_dependency_with_a_hash_and_no_address() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pinned = {name for name, _ in re.findall(r"^([a-z0-9-]+)(==\S+)", lock, re.MULTILINE)}

    assert wanted_packages() <= pinned
    assert all("--hash=sha256:" in entry for entry in re.split(r"\n(?=\w)", lock.strip()))
    assert "://" not in lock
    assert not re.search(r"^-", lock, re.MULTILINE)


def test_the_lock_is_kept_without_the_lines_that_name_an_index() -> None:
    assert (
        dev.without_addresses("--index-url https://example.org\nattrs==1 \\\n    --hash=sha256:0\n") == "attrs==1 \\\n    --hash=sha256:0\n"
    )


def wanted_packages() -> set[str]:
    """The names of all that pyproject.toml asks for."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = settings["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["testing"], *settings["dependency-groups"]["dev"]]
    return {re.split(r"[^\w-]", line)[0] for line in asked}


@pytest.fixture
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which nothing was set up yet."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ["dev.py", "pyproject.toml", "requirements.lock"]:
        shutil.copy(ROOT / name, folder)
    (folder / "src" / "deskstore").mkdir(parents=True)
    return folder


def ready(checkout: Path, script: str = 'echo "$@"') -> None:
    """Give the checkout an environment that counts as built, and whose Python runs that script."""
    described = "import dev, json; print(json.dumps(dev.stamps_wanted(dev.sys.version_info[:3])))"
    stamps = subprocess.run([sys.executable, "-c", described], cwd=checkout, capture_output=True, text=True, check=True)
    pretend(checkout / ".venv" / "bin" / "python", script)
    (checkout / ".venv" / "dev.json").write_text(stamps.stdout)


def pretend(program: Path, script: str) -> None:
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)


def with_uv(checkout: Path) -> dict[str, str]:
    """The variables with which a uv is found that notes what it is asked for, and makes a Python that does nothing."""
    script = """
        case "$*" in venv*) step=venv;; *--editable*) step=project;; *) step=packages;; esac
        echo $step >> "$(dirname "$0")/built"
        [ "$step" = "$KILLED_AT" ] && kill -9 $PPID
        for folder; do :; done
        [ $step = venv ] && mkdir -p "$folder/bin" && cp "$(dirname "$0")/python" "$folder/bin/python"
        exit 0
    """
    pretend(checkout / "bin" / "python", "exit 0")
    pretend(checkout / "bin" / "uv", script)
    return {"PATH": f"{checkout / 'bin'}:{os.environ['PATH']}"}


def built(checkout: Path) -> list[str]:
    return (checkout / "bin" / "built").read_text().split()


def run(checkout: Path, *arguments: str, cwd: Path = ROOT, variables: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(checkout / "dev.py"), *arguments],
        cwd=cwd,
        env={**os.environ, **(variables or {})},
        capture_output=True,
        text=True,
        check=False,
    )
