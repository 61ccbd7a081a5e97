"""
Looking for damage in what a storage keeps, and mending it.

Nothing is changed unless it is asked for. What a repair has to give up is set aside and named, so that no company is ever silently shorter.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from attrs import evolve

from deskstore.domain.errors import ConfigurationError, InvalidRecord
from deskstore.domain.findings import BLOCKING, Finding, FindingKind, Mended, Offer, Remedy
from deskstore.domain.identifiers import TICKET, Key
from deskstore.domain.payloads import Parsed
from deskstore.domain.ports import Inspectable, Inspection, Storage
from deskstore.domain.records import Incoming, new_article, new_ticket
from deskstore.formats import platforms
from deskstore.formats.json import load
from deskstore.formats.platforms import Options
from deskstore.services.attempts import until_saved
from deskstore.services.receiving import version_of

BY_ANOTHER_HAND: Final = frozenset({FindingKind.EDITED, FindingKind.ADDED})
_OF_NO_CONCERN: Final = frozenset({FindingKind.LEFTOVER, FindingKind.WAITING, FindingKind.CLAIMS})
_ID: Final = "_deskstore_id"  #: under which the id of an envelope is shown to the platform's mapping; the payload itself never holds it


def inspection_of(storage: Storage) -> Inspection:
    """What looks through a storage; raises ConfigurationError for one that has no such look."""
    if isinstance(storage, Inspectable):
        return storage.inspection()
    raise ConfigurationError("this storage cannot be looked through: choose STORAGE_TYPE=file")


async def inspect_company(storage: Storage, company_id: str) -> AsyncIterator[Finding]:
    """Whatever of a company is not as it was left; changes nothing, and takes no more memory for more records."""
    async for finding in inspection_of(storage).findings(company_id):
        yield finding


async def repair_company(storage: Storage, company_id: str, *, dry_run: bool = False) -> AsyncIterator[Mended]:
    """
    Heal what was found where something still holds what deskstore wrote, else set it aside; one durable commit each.

    A record that nothing holds any more is given up: what is left of its file is moved out of the way, and it is named as lost. What was
    set aside is never deleted.
    """
    inspection = inspection_of(storage)
    looks = 2  # a company whose database had to be made anew is looked through again
    while looks:
        looks -= 1
        is_settled = False
        async for finding in inspection.findings(company_id):
            if finding.kind not in _OF_NO_CONCERN:
                mended = _foreseen(finding) if dry_run else await inspection.mend(finding)
                is_settled |= finding.kind in BLOCKING and mended.remedy is Remedy.HEALED
                yield mended
        if dry_run or not is_settled:
            return


async def accept_edits(storage: Storage, company_id: str, *, dry_run: bool = False) -> AsyncIterator[Mended]:
    """
    Take in what another hand wrote, as ordinary saves: files that were changed as new versions, files that were added as new records.

    The payload goes through the platform's mapping. Whatever the platform's own order says, the edit counts as the newer one; a changed
    text returns an unclaimed ticket to pending. What cannot be a record is left, with the reason.
    """
    inspection = inspection_of(storage)
    async for finding in inspection.findings(company_id):
        if finding.kind in BY_ANOTHER_HAND:
            yield await _taken_in(storage, inspection, finding, dry_run=dry_run)


async def release_claims(storage: Storage, company_id: str) -> bool:
    """End the wait after a database was rebuilt, in which no ticket is handed out; False when nobody had to wait."""
    return await inspection_of(storage).release_claims(company_id)


def _foreseen(finding: Finding) -> Mended:
    """What a repair would come to, judged by the finding alone."""
    if finding.kind in (FindingKind.ADDED, FindingKind.STRANGER):
        return Mended(finding=finding, remedy=Remedy.SET_ASIDE)
    if finding.kind is FindingKind.LAYOUT:
        return Mended(finding=finding, remedy=Remedy.LEFT, detail=finding.advice)
    return Mended(finding=finding, remedy=Remedy.LOST if finding.is_loss else Remedy.HEALED)


async def _taken_in(storage: Storage, inspection: Inspection, finding: Finding, *, dry_run: bool) -> Mended:
    try:
        incoming = _incoming(finding, await inspection.offer(finding))
    except InvalidRecord as error:
        return Mended(finding=finding, remedy=Remedy.LEFT, detail=str(error))
    if not dry_run:
        await _saved(storage, finding.company_id, incoming)
    return Mended(finding=finding, remedy=Remedy.TAKEN_IN)


def _incoming(finding: Finding, offer: Offer) -> Incoming:
    key = offer.key or finding.key
    if key is None:
        raise InvalidRecord("its name does not tell which record it is: take it in with `deskstore import`")
    value = load(offer.payload)
    if offer.key is not None:
        return evolve(_mapped(key, offer.payload, {**value, _ID: key.id}, Options(id_field=_ID)), key=key)
    incoming = _mapped(key, offer.payload, value, Options())
    if incoming.key != key:
        raise InvalidRecord("its payload has another id than its name: take it in with `deskstore import`")
    return incoming


def _mapped(key: Key, payload: bytes, value: Parsed, options: Options) -> Incoming:
    if key.kind == TICKET:
        return platforms.ticket(key.platform, payload, value, options)
    return platforms.article(key.platform, payload, value, locale=key.locale, options=options)


async def _saved(storage: Storage, company_id: str, incoming: Incoming) -> None:
    """Save a record, also one whose payload is the stored one: its file has to be written anew."""

    async def attempt() -> None:
        async with storage.unit_of_work(company_id) as uow:
            version, now = await version_of(uow, incoming.key), storage.clock()
            if incoming.key.kind == TICKET:
                uow.tickets.save(evolve(new_ticket(incoming, now=now), version=version))
            else:
                uow.articles.save(evolve(new_article(incoming, now=now), version=version))
            await uow.commit()

    await until_saved(attempt)
