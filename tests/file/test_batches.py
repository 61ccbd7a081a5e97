"""However large records are, a reader has only a few of them in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from deskstore.adapters.file import FileStorage, layout
from deskstore.adapters.file.backend import FileBackend
from deskstore.adapters.file.loading import MOST_BYTES
from deskstore.adapters.file.reads import FileTickets, Glance
from deskstore.adapters.file.replica import FileReplica
from deskstore.adapters.file.tree import Tree
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_ticket

IDS: Final = [f"{number:02}" for number in range(20)]
LARGE: Final = b'{"a":"' + b"x" * (MOST_BYTES // 5) + b'"}'


class Weighed:
    """The reads of a company, with how many bytes of payloads each look gave."""

    def __init__(self, backend: FileBackend) -> None:
        self._backend = backend
        self.sizes: list[int] = []
        self.company_id: Final = backend.company_id
        self.write: Final = backend.write

    async def read(self, look: Callable[..., Any], *, glance: Glance[Any] | None = None) -> Any:  # Any: each look has its own result
        found: Any = await self._backend.read(look, glance=glance)
        self.sizes.append(sum(len(one.payload) for one in found[1] if one is not None))
        return found


@pytest.fixture
async def desk(desk: Desk) -> Desk:
    for ticket_id in IDS:
        await desk.keep(a_ticket(ticket_id, payload=LARGE))
    return desk


@pytest.fixture
def weighed(desk: Desk) -> Weighed:
    assert isinstance(desk.storage, FileStorage)
    return Weighed(desk.storage.backend(desk.company_id))


async def test_a_stream_reads_few_large_records_at_once_and_all_of_them(weighed: Weighed) -> None:
    found = [ticket.ticket_id async for ticket in FileTickets(weighed).stream()]

    assert found == IDS
    assert max(weighed.sizes) < 3 * MOST_BYTES


async def test_copies_are_few_large_ones_at_once_and_all_of_them(weighed: Weighed) -> None:
    found = [copy.thing.id async for copy in FileReplica(weighed).copies("ticket")]

    assert found == IDS
    assert max(weighed.sizes) < 3 * MOST_BYTES


async def test_a_rebuild_reads_few_large_records_at_once_and_all_of_them(
    desk: Desk, base: Path, new_storage: Callable[[], FileStorage], monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.storage.aclose()
    (base / "acme" / layout.DATABASE).unlink()
    read_many, counts = Tree.read_many, list[int]()

    def counted(tree: Tree, paths: Any) -> Any:  # Any: as in Tree
        counts.append(len(paths))
        return read_many(tree, paths)

    monkeypatch.setattr(Tree, "read_many", counted)
    progress = await Desk(new_storage(), "acme").progress()

    assert progress.total == len(IDS)
    assert max(counts) < len(IDS)
