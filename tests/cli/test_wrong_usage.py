"""Wrong input, at every command alike: one line that names the fault and the next step, the code 2, and nothing changed."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Final

import click
import pytest

from tests.cli.conftest import Deskstore, Ran
from tests.cli.every_command import commands, required
from tests.payloads import as_bytes, freshdesk

ALL: Final = [*commands()]
#: of the storage: backups need none, the demo has its own, and `adapters` is about all of them
NO_SETTINGS: Final = {"adapters list", "adapters test", "backup check", "backup list", "completion", "demo"}
NO_FILES: Final = {*NO_SETTINGS, "config show", *(name for name, _ in ALL if name.startswith("db "))}


def with_options(*names: str) -> list[object]:
    """Commands that take one of these options, and the option."""
    return [
        pytest.param(name, one, option, id=f"{name} {option}")
        for name, one in ALL
        for option in names
        if any(option in parameter.opts for parameter in one.params)
    ]


def line(name: str, one: click.Command) -> list[str]:
    """A whole line that lacks nothing."""
    chosen = [["--company", "x"], ["--no-backup"]] if name.startswith("migrate ") else []
    known = {option for parameter in one.params for option in (*parameter.opts, *parameter.secondary_opts)}
    return [*name.split(), *chain.from_iterable([*required(one), *(words for words in chosen if words[0] in known)])]


def is_one_line(ran: Ran, folder: Path) -> bool:
    return ran.code == 2 and ran.out == "" and ran.err.startswith("deskstore: ") and ran.err.count("\n") == 1 and not any(folder.iterdir())


@pytest.mark.parametrize(("name", "one"), [pytest.param(*found, id=found[0]) for found in ALL])
def test_an_option_that_no_command_has_is_refused_with_the_way_to_those_it_has(
    deskstore: Deskstore, tmp_path: Path, name: str, one: click.Command
) -> None:
    ran = deskstore(*line(name, one), "--no-such-option")

    assert is_one_line(ran, tmp_path)
    assert f"No such option '--no-such-option' (see deskstore {name} --help)" in ran.err


@pytest.mark.parametrize(("name", "one"), [pytest.param(*found, id=found[0]) for found in ALL if any(required(found[1]))])
def test_what_a_command_cannot_do_without_is_asked_for(deskstore: Deskstore, tmp_path: Path, name: str, one: click.Command) -> None:
    words = [*required(one)]

    for missing in range(len(words)):
        ran = deskstore(*name.split(), *chain.from_iterable(words[:missing] + words[missing + 1 :]))

        assert is_one_line(ran, tmp_path)
        assert "Missing " in ran.err
        assert f"(see deskstore {name} --help)" in ran.err


@pytest.mark.parametrize(("name", "one", "option"), with_options("--company", "--platform"))
@pytest.mark.parametrize("value", ["", " x", "a\nb"])
def test_a_name_that_nothing_can_have_is_refused_before_anything_is_read(
    deskstore: Deskstore, tmp_path: Path, name: str, one: click.Command, option: str, value: str
) -> None:
    ran = deskstore(*line(name, one), option, value)

    assert is_one_line(ran, tmp_path)
    assert any(word in ran.err for word in ("company", "platform"))


@pytest.mark.parametrize(("name", "one"), [pytest.param(*found, id=found[0]) for found in ALL if found[0] not in NO_SETTINGS])
def test_a_wrong_setting_is_named_with_what_to_write_instead(
    deskstore: Deskstore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, one: click.Command
) -> None:
    monkeypatch.setenv("STORAGE_TYPE", "postgres")
    monkeypatch.setenv("DESKSTORE_LOGLEVEL", "debug")

    ran = deskstore(*line(name, one))

    assert is_one_line(ran, tmp_path)
    assert "STORAGE_TYPE is 'postgres'; choose one of: file, hybrid, postgresql" in ran.err
    assert "DESKSTORE_LOGLEVEL means nothing to deskstore; did you mean DESKSTORE_LOG_LEVEL?" in ran.err


@pytest.mark.parametrize(("name", "one"), [pytest.param(*found, id=found[0]) for found in ALL if found[0] not in NO_FILES])
def test_a_data_path_that_is_a_file_is_said_to_be_one(
    deskstore: Deskstore, tmp_path: Path, data_path: Path, name: str, one: click.Command
) -> None:
    data_path.write_text("a letter")

    ran = deskstore(*line(name, one))

    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert f"DATA_PATH is '{data_path}', which is a file: name a directory" in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert data_path.read_text() == "a letter"


@pytest.mark.parametrize(
    ("platform", "meant"), [("freshdeks", "freshdesk"), ("Zendesk", "zendesk"), ("freshdesk", None), ("helpcenter", None)]
)
def test_a_platform_that_is_nearly_a_known_one_is_questioned(
    deskstore: Deskstore, tmp_path: Path, platform: str, meant: str | None
) -> None:
    (tmp_path / "t.json").write_bytes(as_bytes([freshdesk(1)]))

    ran = deskstore("import", "t.json", "--company", "acme", "--platform", platform)

    assert ran.code == 0
    assert ("did you mean" in ran.err) is (meant is not None)
    assert meant is None or f"{platform!r} is not a platform whose fields deskstore knows" in ran.err
    assert meant is None or f"did you mean {meant!r}?" in ran.err


@pytest.mark.parametrize(("platform", "is_doubted"), [("zendesk", True), ("freshdesk", False), ("helpcenter", False)])
def test_records_of_another_platform_than_the_named_one_are_questioned(
    deskstore: Deskstore, tmp_path: Path, platform: str, is_doubted: bool
) -> None:
    (tmp_path / "t.json").write_bytes(as_bytes([freshdesk(1)]))

    ran = deskstore("import", "t.json", "--company", "acme", "--platform", platform)

    assert ran.code == 0
    assert (f"these look like records of freshdesk, and were read as records of {platform}" in ran.err) is is_doubted
