"""What people are told of Redis: whether it answers, which one it is, and what of its settings does a cache no good."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from time import perf_counter
from typing import Any, Final, Self, cast

from deskstore.adapters.redis.connection import Connection, NoAnswer
from deskstore.domain.errors import ConfigurationError
from deskstore.domain.findings import Check, Finding, Mended, Offer
from deskstore.domain.ports import CacheState, Inspectable, Inspection, Storage


async def state(connection: Connection) -> CacheState:
    """How Redis is doing; never raises."""
    began = perf_counter()
    try:
        await connection.run("PING")
        took_ms = 1_000 * (perf_counter() - began)
        told = await _info(connection)
    except NoAnswer as error:
        why = str(error).removeprefix(f"{connection.place} ")
        return CacheState(place=connection.place, is_answering=False, detail=f"{why}: everything is read from the database")
    return CacheState(place=connection.place, is_answering=True, detail=f"{_server(told)}answers in {took_ms:.1f} ms")


class CachedInspection:
    """The look through the storage beneath, with a line about Redis."""

    def __init__(self, beneath: Inspection, connection: Connection) -> None:
        self._beneath: Final = beneath
        self._connection: Final = connection

    @classmethod
    def before(cls, storage: Storage, connection: Connection) -> Self:
        """Of a storage with Redis before it; raises ConfigurationError where that one offers no look."""
        if not isinstance(storage, Inspectable):
            raise ConfigurationError("this storage cannot be looked through: choose STORAGE_TYPE=file")
        return cls(storage.inspection(), connection)

    async def checks(self) -> Sequence[Check]:
        """What can be told of the place beneath, and whether the cache answers; without it, all is slower and nothing is wrong."""
        found = await state(self._connection)
        return [*await self._beneath.checks(), Check(name="cache", is_fine=found.is_answering, detail=str(found))]

    async def companies(self) -> Sequence[str]:
        """Every company of which something is there."""
        return await self._beneath.companies()

    async def layout(self, company_id: str) -> int | None:
        """In which version of the layout a company is kept."""
        return await self._beneath.layout(company_id)

    def findings(self, company_id: str) -> AsyncIterator[Finding]:
        """Whatever of a company is not as it was left."""
        return self._beneath.findings(company_id)

    async def offer(self, finding: Finding) -> Offer:
        """What another hand wrote."""
        return await self._beneath.offer(finding)

    async def mend(self, finding: Finding) -> Mended:
        """Heal what was found, or set it aside."""
        return await self._beneath.mend(finding)

    async def release_claims(self, company_id: str) -> bool:
        """Hand tickets out again before the wait is over."""
        return await self._beneath.release_claims(company_id)


async def _info(connection: Connection) -> Mapping[str, str]:
    """What a server tells of itself; nothing where its access lists keep that from us."""
    try:
        told = await connection.run("INFO", "server")
    except NoAnswer:
        return {}
    return {str(name): str(value) for name, value in _sections(told).items()}


def _sections(told: Any) -> Mapping[str, object]:  # Any: one server's answer, or one of each node of a cluster
    if not isinstance(told, Mapping):
        return {}
    known = cast(Mapping[str, object], told)
    node = next(iter(known.values()), None)
    return cast(Mapping[str, object], node) if isinstance(node, Mapping) else known


def _server(told: Mapping[str, str]) -> str:
    """The name and the release of a server, to put before what it does."""
    if release := told.get("valkey_version"):
        return f"Valkey {release}, "
    return f"Redis {told['redis_version']}, " if "redis_version" in told else ""
