"""
What must work wherever deskstore is installed, with nothing but itself and what it requires.

It is run in an empty folder by the Python of that place, and knows nothing of the checkout, so that what it uses is what was installed.
"""

import asyncio
import importlib
import importlib.metadata
import importlib.resources
import pkgutil
import subprocess
import sys
from pathlib import Path

import deskstore

PROGRAM = Path(sys.executable).with_name("deskstore")
PAYLOAD = b'{"id": 42, "subject": "\\ud83d Cannot log in", "status": 2, "big": 123456789012345678901234567890, "x": -0.0, "x": 1}'
#: two need an extra, `testing` and `otel`; the other two are programs, which alembic and Python run
NOT_IMPORTED = (
    "deskstore.testing",
    "deskstore.adapters.otel",
    "deskstore.adapters.postgres.migrations.env",
    "deskstore.cli.__main__",
)


def main() -> None:
    it_is_what_was_installed()
    every_module_is_at_home()
    an_export_comes_out_as_it_went_in()
    the_schema_comes_along()
    asyncio.run(a_unit_of_work_is_kept())


def it_is_what_was_installed() -> None:
    assert Path(deskstore.__file__).is_relative_to(sys.prefix), deskstore.__file__
    assert importlib.metadata.version("deskstore") == deskstore.__version__
    assert command("--version").split() == ["deskstore", deskstore.__version__]
    assert importlib.resources.files("deskstore").joinpath("py.typed").is_file()


def every_module_is_at_home() -> None:
    """Nothing is imported that the wheel does not ask for."""
    for module in pkgutil.walk_packages(deskstore.__path__, "deskstore."):
        if not module.name.startswith(NOT_IMPORTED):
            importlib.import_module(module.name)


def an_export_comes_out_as_it_went_in() -> None:
    Path("tickets.ndjson").write_bytes(PAYLOAD + b"\n")
    command("import", "tickets.ndjson", "--company", "acme", "--platform", "freshdesk")
    command("export", "--company", "acme", "--platform", "freshdesk", "-o", "out.ndjson")
    assert Path("out.ndjson").read_bytes() == PAYLOAD + b"\n"


def the_schema_comes_along() -> None:
    assert "CREATE TABLE deskstore.ticket " in command("db", "sql")


async def a_unit_of_work_is_kept() -> None:
    async with deskstore.open_storage() as storage:
        async with storage.unit_of_work("acme") as uow:
            processing = await uow.progress.find("freshdesk", "42")
            assert processing is not None
            uow.progress.save(processing.completed(now=storage.clock()))
            await uow.commit()
        progress = await deskstore.get_processing_progress(storage, "acme", "freshdesk")
    assert (progress.total, progress.completed) == (1, 1)


def command(*words: str) -> str:
    return subprocess.run([str(PROGRAM), *words], check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
