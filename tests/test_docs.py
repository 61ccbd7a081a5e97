"""What the pages show is what happens."""

import os
import re
from pathlib import Path

import pytest

import deskstore
from deskstore.bootstrap import StorageType
from deskstore.cli.demo.servers import remove
from tests.pages import BLOCK, ROOT, Command, commands, examples, pages, prints, run_page

LINK = re.compile(r"\]\(([^)#]+)\)")
WITH_EXAMPLES = [page for page in pages() if examples(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=[str(page.relative_to(ROOT)) for page in WITH_EXAMPLES])
def test_the_examples_of_a_page_do_what_the_page_says(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    run_page(page.read_text(encoding="utf-8"), str(page), tmp_path)
    remove(tmp_path / "servers")  # for root the files of the tutorial's PostgreSQL lie elsewhere

    assert examples(page.read_text(encoding="utf-8"))


def test_the_readme_has_an_example() -> None:
    assert ROOT / "README.md" in WITH_EXAMPLES


def test_the_korean_readme_shows_what_the_english_one_shows() -> None:
    english, korean = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.ko.md"))

    assert [one.code for one in examples(korean)] == [one.code for one in examples(english)]
    assert names_in_code(korean) == names_in_code(english)
    assert LINK.findall(korean)[1:] == LINK.findall(english)[1:]


def test_every_page_is_found_from_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / target).resolve() for target in LINK.findall(index.read_text(encoding="utf-8"))}

    decisions = {*ROOT.glob("docs/adr/[0-9]*.md"), ROOT / "docs/adr/template.md"}  # the page on decisions lists them
    assert {*pages()} - decisions - {index} == linked


def test_no_page_puts_off_to_a_later_release_what_is_there() -> None:
    promise = re.compile(r"later\s+releases?\b|all there is today|with\s+the\s+releases?\s+that")
    decisions = {*ROOT.glob("docs/adr/*.md")}  # are never rewritten

    assert [str(page.relative_to(ROOT)) for page in pages() if page not in decisions and promise.search(read(page))] == []


@pytest.mark.parametrize("page", ["README.md", "README.ko.md", "docs/reference/cli.md", "docs/reference/settings.md"])
def test_where_a_page_names_the_storages_it_names_all_of_them(page: str) -> None:
    rows = [line for line in read(ROOT / page).splitlines() if line.startswith(("| `STORAGE_TYPE` |", "| `--storage TYPE` |"))]

    assert [{f"`{one.value}`" for one in StorageType} - {*re.findall(r"`[a-z]+`", row)} for row in rows] == [set()]


def test_the_page_on_the_library_names_each_public_name_once() -> None:
    rows = [line.split(" | ")[1] for line in read(ROOT / "docs/reference/library.md").splitlines() if line.startswith("| ") and "`" in line]

    assert sorted(name for row in rows for name in re.findall(r"`(\w+)`", row)) == sorted(deskstore.__all__)


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def names_in_code(text: str) -> set[str]:
    """What stands in the text as code: variables, functions, options and paths."""
    return set(re.findall(r"`([^`\n]+)`", BLOCK.sub("", text)))


def test_blocks_of_python_and_our_commands_are_examples_and_nothing_else_is() -> None:
    page = (
        fenced("python", "x = 1")
        + fenced("console", "$ deskstore status", "$ git status")
        + fenced("console", "$ git status")
        + fenced("text", "y")
    )

    found = examples(page)

    assert [(example.language, example.line) for example in found] == [("python", 1), ("console", 4)]
    assert [command.line for command in commands(found[1].code)] == ["deskstore status"]


def test_a_marked_block_is_not_run() -> None:
    page = "<!-- not run -->\n" + fenced("python", "raise SystemExit") + fenced("python", "x = 1")

    assert [example.code for example in examples(page)] == ["x = 1\n"]


def test_a_command_may_follow_variables_and_has_its_output_below_it() -> None:
    first, second = commands("$ DATA_PATH=here deskstore status\na\nb\n$ deskstore --version\n")

    assert (first.line, first.shown) == ("DATA_PATH=here deskstore status", "a\nb")
    assert (second.line, second.shown) == ("deskstore --version", "")


def test_the_blocks_of_a_page_share_their_names_and_may_await(tmp_path: Path) -> None:
    page = fenced("python", "import asyncio", "x = []") + fenced("python", "await asyncio.sleep(0)", "x.append(1)")

    with pytest.raises(AssertionError, match="ran to the end"):
        run_page(page + fenced("python", "assert x != [1], 'ran to the end'"), "page.md", tmp_path)


@pytest.mark.parametrize(
    ("shown", "output", "same"),
    [("", "a\n", True), ("a", "a\n", True), ("a ... c", "a b c\n", True), ("a", "b\n", False), ("a", "a\nb\n", False)],
)
def test_what_is_printed_is_compared_where_the_page_shows_something(shown: str, output: str, same: bool) -> None:
    assert prints(Command(line="deskstore", shown=shown), output) is same


def test_what_a_page_exports_and_saves_is_there_for_what_follows(tmp_path: Path) -> None:
    page = (
        fenced("json", "not", "a file")
        + "<!-- file place.sh -->\n"
        + fenced("json", "export DATA_PATH=there")
        + "<!-- file which.py -->\n"
        + fenced("python", "import os", "print(os.environ['DATA_PATH'], os.environ['STORAGE_TYPE'])")
        + fenced("console", "$ . ./place.sh", "$ export STORAGE_TYPE=file", "$ python which.py", "there file")
    )

    run_page(page, "page.md", tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == [".bin", "place.sh", "which.py"]


def test_what_runs_on_is_there_until_the_page_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    program = [
        "import os, pathlib, time",
        "pathlib.Path('pid').write_text(str(os.getpid()))",
        "print('ready', flush=True)",
        "time.sleep(600)",
    ]
    page = "<!-- file on.py -->\n" + fenced("python", *program) + "<!-- runs on -->\n" + fenced("console", "$ python on.py", "ready")
    look = fenced("python", "import os, pathlib", "os.kill(int(pathlib.Path('pid').read_text()), 0)")

    run_page(page + look, "page.md", tmp_path)

    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_output_that_differs_from_the_page_is_found(tmp_path: Path) -> None:
    page = fenced("console", "$ deskstore --version", "surely not this")

    with pytest.raises(AssertionError, match="the page shows"):
        run_page(page, "page.md", tmp_path)


def test_a_command_that_ends_with_another_code_than_the_page_says_is_found(tmp_path: Path) -> None:
    page = "<!-- exits 77 -->\n" + fenced("console", "$ deskstore --version")

    with pytest.raises(AssertionError, match="ended with"):
        run_page(page, "page.md", tmp_path)


def fenced(language: str, *lines: str) -> str:
    return "\n".join([f"```{language}", *lines, "```", ""])
