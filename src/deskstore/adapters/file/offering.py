"""What a file holds that another hand wrote: the payload, and the record it names."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

import msgspec

from deskstore.adapters.file import database, layout
from deskstore.adapters.file.place import Place
from deskstore.adapters.file.tree import OnDisk, Tree
from deskstore.domain.errors import InvalidRecord
from deskstore.domain.findings import Finding, Offer
from deskstore.domain.identifiers import ARTICLE, TICKET, Key, checked_key
from deskstore.formats.json import load


def offer(place: Place, finding: Finding) -> Offer:
    """What a file that another hand wrote holds; raises InvalidRecord."""
    path = place.of(finding.company_id)
    with database.translated(str(path)), closing(Tree.open(path)) as tree:
        (body,) = tree.read_many([finding.place])
    return offered(finding.company_id, finding.place, body)


def offered(company_id: str, file: str, body: OnDisk) -> Offer:
    if not isinstance(body, bytes):
        raise InvalidRecord("the file is missing" if body is None else "the file cannot be read")
    return read_offer(company_id, file, body)


def read_offer(company_id: str, file: str, body: bytes) -> Offer:
    """
    The payload in a file, and the record it names, if it is an envelope.

    Raises:
        InvalidRecord: It is no JSON object, or it names another company, or another record than its place does.
    """
    parts = _parts(body)
    if "deskstore" not in parts or "payload" not in parts:
        load(payload := body.strip())
        return Offer(payload=payload)
    load(payload := bytes(parts["payload"]))
    company, *names_of_key = (_text(parts, name) for name in ("company", "kind", "platform", "id", "locale"))
    if company != company_id:
        raise InvalidRecord("it names another company")
    key = _key(names_of_key)
    if layout.record_path(key) != file:
        raise InvalidRecord("it names another record than its place does")
    return Offer(payload=payload, key=key)


def _parts(body: bytes) -> dict[str, msgspec.Raw]:
    """The members of an object, each in its own bytes."""
    try:
        return msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidRecord(f"it is not a JSON object ({error})") from error


def _text(parts: dict[str, msgspec.Raw], name: str) -> str:
    try:
        return msgspec.json.decode(parts[name], type=str)
    except (msgspec.DecodeError, KeyError) as error:
        raise InvalidRecord(f"its envelope is broken: {name!r} is missing, or no text") from error


def _key(names_of_key: Sequence[str]) -> Key:
    kind, platform, identifier, locale = names_of_key
    return checked_key(Key(ARTICLE if kind == ARTICLE else TICKET, platform, identifier, locale))
