"""The reference pages leave out no command, option, exit code or setting."""

from __future__ import annotations

import re
from typing import Final

import click
import pytest

from deskstore.bootstrap import Settings
from deskstore.cli import failures
from tests.cli.every_command import commands
from tests.pages import ROOT

CLI: Final = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
SETTINGS: Final = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
EVERYWHERE: Final = {"--data-path", "--storage", "--json", "--verbose", "--help"}


def section(name: str) -> str:
    found = re.search(rf"^### {name}\n(.*?)(?=^##|\Z)", CLI, re.MULTILINE | re.DOTALL)
    assert found, f"docs/reference/cli.md has no section on {name}"
    return found[1]


@pytest.mark.parametrize(("name", "one"), [pytest.param(*found, id=found[0]) for found in commands()])
def test_a_command_is_on_the_page_with_its_options(name: str, one: click.Command) -> None:
    text = section("ticket list") + section(name) if name == "kb list" else section(name)

    options = {option for parameter in one.params if isinstance(parameter, click.Option) for option in parameter.opts[:1]}
    missing = sorted(option for option in options - EVERYWHERE if option not in text)

    assert missing == []


def test_the_page_has_no_command_that_does_not_exist() -> None:
    assert sorted(re.findall(r"^### (.+)$", CLI, re.MULTILINE)) == sorted(name for name, _ in commands())


@pytest.mark.parametrize("option", sorted(EVERYWHERE))
def test_options_of_every_command_are_on_the_page(option: str) -> None:
    assert f"`{option}" in CLI


def test_every_exit_code_is_on_the_page() -> None:
    codes = {value for name, value in vars(failures).items() if name.isupper() and isinstance(value, int)}

    shown = {int(code) for code in re.findall(r"^\| (\d+) \|", CLI, re.MULTILINE)}

    assert shown == codes


def test_every_setting_is_on_the_page_with_its_default() -> None:
    shown = dict(re.findall(r"^\| `([A-Z_]+)` \| ([^|]*)\|", SETTINGS, re.MULTILINE))

    assert {variable: value for variable, value, _ in Settings().shown()} == {name: value.strip(" `") for name, value in shown.items()}
