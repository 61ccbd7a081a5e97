"""What every command shares: the options that may stand anywhere, the settings they lead to, and an open storage."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import click
from attrs import Factory, define
from click.decorators import FC

if TYPE_CHECKING:
    from deskstore.bootstrap import Settings
    from deskstore.domain.ports import Storage

STORAGES: Final = ("file", "hybrid", "postgresql")


@define
class Shared:
    """What was said with the options that every command has."""

    as_json: bool = False
    is_verbose: bool = False
    chosen: dict[str, str] = Factory(dict[str, str])  #: variables that an option overrides
    if_interrupted: str = "interrupted: what was acknowledged is kept"  #: what to say after Ctrl-C

    def settings(self) -> Settings:
        """The settings, options before the environment."""
        from deskstore.bootstrap import Layer, Settings

        return Settings.from_layers([Layer(name="option", values=self.chosen), Layer(name="environment", values=os.environ)])

    def run(self, work: Callable[[Storage], Awaitable[int]]) -> int:
        """Open the storage, do the work, close it, and give the exit code."""
        import asyncio

        from deskstore.bootstrap import open_storage

        settings = self.settings()
        log(settings, is_verbose=self.is_verbose)

        async def opened() -> int:
            async with open_storage(settings) as storage:
                return await work(storage)

        return asyncio.run(opened())


def shared() -> Shared:
    """The options of the command that is running."""
    return click.get_current_context().find_root().ensure_object(Shared)


def log(settings: Settings, *, is_verbose: bool) -> None:
    """Send deskstore's log to stderr, as the settings ask."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if settings.log_format == "json" else logging.Formatter("deskstore: %(levelname)s: %(message)s"))
    logger = logging.getLogger("deskstore")
    logger.handlers = [handler]
    logger.setLevel(logging.DEBUG if is_verbose else settings.log_level.upper())
    logger.propagate = False


class _JsonLines(logging.Formatter):
    """One JSON object a line, with the keys that deskstore adds."""

    def format(self, record: logging.LogRecord) -> str:
        import json
        from datetime import UTC, datetime

        said = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        said |= {key: str(value) for key in ("company_id", "platform", "operation") if (value := getattr(record, key, None)) is not None}
        return json.dumps(said, ensure_ascii=False)


# -- options that every command has --------------------------------------------------------------------------------------------------------


def _note(context: click.Context, parameter: click.Parameter, value: Any) -> None:  # Any: each option has a type of its own
    said = context.find_root().ensure_object(Shared)
    if parameter.name == "json" and value:
        said.as_json = True
    elif parameter.name == "verbose" and value:
        said.is_verbose = True
    elif parameter.name == "data_path" and value:
        said.chosen["DATA_PATH"] = value
    elif parameter.name == "storage" and value:
        said.chosen["STORAGE_TYPE"] = value


def _shared_options() -> Sequence[click.Option]:
    return [
        click.Option(["--data-path"], metavar="DIR", expose_value=False, callback=_note, help="Where the files are (DATA_PATH)."),
        click.Option(
            ["--storage"], type=click.Choice(STORAGES), expose_value=False, callback=_note, help="What keeps them (STORAGE_TYPE)."
        ),
        click.Option(["--json"], is_flag=True, expose_value=False, callback=_note, help="Print one JSON document."),
        click.Option(
            ["--verbose"], is_flag=True, expose_value=False, callback=_note, help="Log everything, and show where an error arose."
        ),
    ]


class Command(click.Command):
    """A command that takes the shared options wherever they stand."""

    def __init__(self, *arguments: Any, **named: Any) -> None:  # Any: what click passes on is its own affair
        super().__init__(*arguments, **named)
        self.params = [*self.params, *_shared_options()]


class Group(click.Group):
    """A command with commands below it, which takes the shared options too."""

    command_class = Command

    def __init__(self, *arguments: Any, **named: Any) -> None:  # Any: what click passes on is its own affair
        super().__init__(*arguments, **named)
        self.params = [*self.params, *_shared_options()]


def company_option(function: FC) -> FC:
    """--company, which every command needs that reads or writes records."""
    return click.option("--company", "company_id", required=True, metavar="NAME", help="Whose records.")(function)


def platform_option(*, required: bool) -> Callable[[FC], FC]:
    """--platform, as needed."""
    text = "Where the records come from: freshdesk, zendesk, intercom, jira, or any other name."
    return click.option("--platform", required=required, metavar="NAME", help=text)
