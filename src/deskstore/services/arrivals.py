"""The records of an import's sources, one after another: each on its way in, or refused with the reason."""

from __future__ import annotations

import json
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import IO, Final

from attrs import Factory, define, evolve, field, frozen

from deskstore.domain import payloads
from deskstore.domain.errors import ConfigurationError, InvalidRecord
from deskstore.domain.identifiers import TICKET, Key, Kind, checked_key
from deskstore.domain.payloads import Parsed
from deskstore.domain.records import Incoming
from deskstore.formats import platforms
from deskstore.formats.json import load
from deskstore.formats.platforms import Options
from deskstore.formats.streams import Detected, Place, RecordReader, Reject, Slice, is_exported, member, read_records
from deskstore.services.receiving import BATCH_BYTES, BATCH_RECORDS
from deskstore.services.rejects import raw_of

Source = Path | IO[bytes]
"""A file, or an open binary reader such as standard input, which is read once and left open."""


def is_read_once(source: Source) -> bool:
    """
    Whether what was read of a source is gone: of an open reader, and of a pipe or a device whatever its name.

    Raises:
        OSError: There is no such file.
    """
    if not isinstance(source, Path):
        return True
    mode = source.stat().st_mode
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


_ID: Final = "_deskstore_id"  #: under which an envelope's id is shown to the platform's mapping; the payload itself never holds it


@frozen(kw_only=True)
class Arrival:
    """One record of a source: on its way in, or refused."""

    place: Place
    raw: bytes  #: as it was read
    incoming: Incoming | None = None
    reason: str = ""  #: why it was refused

    def refused(self, reason: str) -> Reject:
        """The record as one that is not kept."""
        return Reject(place=self.place, reason=reason, raw=self.raw)


@frozen(kw_only=True)
class Reading:
    """How records are to be read."""

    platform: str | None  #: None: each record's envelope says it
    kind: Kind | None = None  #: None: the keys of the first record tell it
    found_kind: Kind | None = None  #: what they told
    found_platform: str | None = None  #: whose records they look like, as far as those keys tell it
    locale: str | None = None
    options: Options = field(factory=Options)

    def of_first(self, first: Slice) -> Reading:
        """The same reading, once the first record is known."""
        return self if self.kind or self.found_kind else evolve(self, found_kind=_kind_of(first.value))

    def incoming(self, payload: bytes, value: Parsed) -> Incoming:
        """
        A record on its way in.

        Raises:
            InvalidRecord: It is no such record, or cannot be kept as it is.
        """
        if is_exported(value):
            return self._unwrapped(payload)
        if (raw := raw_of(value)) is not None:
            return self.incoming(raw, load(raw))
        if self.platform is None:
            raise InvalidRecord(_without_platform(value))
        if reason := self.refusal(value):
            raise InvalidRecord(reason)
        return self._mapped(self.platform, payload, value, self.kind or self.found_kind or TICKET, self.options)

    def refusal(self, value: Parsed) -> str | None:
        """Why a record is none of those that are meant; None for one that is, or that says for itself what it is."""
        if is_exported(value) or raw_of(value) is not None:
            return None
        if self.platform is None:
            return _without_platform(value)
        is_another = self.kind is None and platforms.kind_of(value) not in (None, self.found_kind)
        return platforms.refusal(self.platform, value, self.found_kind if is_another else self.kind)

    def _mapped(self, platform: str, payload: bytes, value: Parsed, kind: Kind, options: Options) -> Incoming:
        if kind == TICKET:
            return platforms.ticket(platform, payload, value, options)
        return platforms.article(platform, payload, value, locale=self.locale, options=options)

    def _unwrapped(self, line: bytes) -> Incoming:
        found = member(line, "payload")
        said = load(line if found is None else line[: found[0]] + b"{}" + line[found[1] :])
        if found is None or said.get("payload") != {}:
            raise InvalidRecord("its envelope holds its payload twice, or spells that name with escapes: export it again")
        key, payload = _key_of(said), _exact(line[slice(*found)], said.get("sha256"))
        shown = {**load(payload), _ID: key.id}
        options = evolve(self.options, id_field=_ID)
        return evolve(self._mapped(key.platform, payload, shown, key.kind, options), key=key)


def _without_platform(value: Parsed) -> str:
    likely = platforms.platform_of(value)
    return f"nothing says which platform it is from: name one with --platform{f', probably {likely}' if likely else ''}"


def _exact(found: bytes, digest: object) -> bytes:
    """
    A payload as it was exported: out of its text, or with the white space around it if that was its own, which its digest tells.

    Raises:
        InvalidRecord: It is not the one that was exported.
    """
    payload = found.strip(b" \t\r\n")
    if payload.startswith(b'"'):
        payload = found = _text(payload).encode("utf-8", errors="surrogatepass")
    if digest is None:
        return payload
    for exact in (payload, found):
        if payloads.digest(exact).hex() == digest:
            return exact
    raise InvalidRecord(
        "its payload is not the one that was exported, as its sha256 says: export it again, or remove the sha256 if it is right"
    )


def _text(quoted: bytes) -> str:
    try:
        text: str = json.loads(quoted)
    except ValueError as error:
        raise InvalidRecord(f"the text of its payload is not valid JSON ({error}): export it again") from error
    return text


def _key_of(envelope: Parsed) -> Key:
    kind: object = envelope.get("kind")
    if kind not in ("ticket", "article"):
        raise InvalidRecord(f"its envelope is of the kind {kind!a}: this release knows ticket and article")
    return checked_key(Key(kind, envelope.get("platform", ""), envelope.get("id", ""), envelope.get("locale", "")))


def _kind_of(value: Parsed) -> Kind | None:
    """What a record is; None as long as nothing can tell, because it is one that an earlier import rejected, and still broken."""
    try:
        if is_exported(value):
            return _key_of(value).kind
        raw = raw_of(value)
        return platforms.kind_of(load(raw) if raw is not None else value) or TICKET
    except InvalidRecord:
        return None


@define(kw_only=True)
class Arrivals:
    """The sources of a run, read one after another."""

    sources: Sequence[Source]
    reading: Reading
    read_bytes: int = 0  #: of the sources as they lie on the disk
    detected: dict[str, Detected] = Factory(dict[str, Detected])  #: what each source turned out to be
    likely: str | None = None  #: the platform whose records these look like, by the first one that tells

    async def refuse_strangers(self) -> None:
        """Raise the error when a file begins with something that is no such record, before anything of any file is received."""
        for source in self.sources:
            if not is_read_once(source):
                async with self._open(source) as reader, aclosing(aiter(reader)) as found:
                    self._refuse_stranger(await anext(found, None))

    def _refuse_stranger(self, first: Slice | Reject | None) -> None:
        """Raise InvalidRecord, or ConfigurationError where the records may be all right and the call lacks their platform."""
        if isinstance(first, Slice) and (reason := self.reading.of_first(first).refusal(first.value)):
            error = ConfigurationError if self.reading.platform is None else InvalidRecord
            raise error(f"{first.place.file}: {reason}")

    async def stream(self) -> AsyncGenerator[Sequence[Arrival], None]:
        """
        The records in their order, as many at a time as were at hand.

        Refuses the first where it is a stranger, since nobody looks ahead in what is read once.
        """
        done_bytes = 0
        is_first = True
        for source in self.sources:
            async with self._open(source) as reader, aclosing(reader.several()) as found:
                async for some in found:
                    if is_first and some:
                        self._refuse_stranger(some[0])
                        is_first = False
                    yield [self._arrival(one) for one in some]
                    self.read_bytes = done_bytes + reader.source.taken_bytes
                done_bytes += reader.source.taken_bytes
                if reader.detected:
                    self.detected[reader.source.name] = reader.detected

    def _arrival(self, one: Slice | Reject) -> Arrival:
        if isinstance(one, Reject):
            return Arrival(place=one.place, raw=one.raw, reason=one.reason)
        self.reading = self.reading.of_first(one)
        self.likely = self.likely or platforms.platform_of(one.value)
        try:
            return Arrival(place=one.place, raw=one.payload, incoming=self.reading.incoming(one.payload, one.value))
        except InvalidRecord as error:
            return Arrival(place=one.place, raw=one.payload, reason=str(error))

    def _open(self, source: Source) -> RecordReader:
        chosen = self.reading.options.id_field
        return read_records(source, id_fields=[chosen, chosen.partition(".")[0]] if chosen else [])


async def in_batches(
    arrivals: AsyncIterator[Sequence[Arrival]], most: int = BATCH_RECORDS, *, begun: Sequence[Arrival] = ()
) -> AsyncGenerator[list[Arrival], None]:
    """
    The records in units of a batch, in their order; a record may come twice in one.

    Args:
        begun: Records that come before all others.
    """
    batch: list[Arrival] = []
    size_bytes = 0
    some: Sequence[Arrival] | None = begun
    while some is not None:
        for one in some:
            if len(batch) >= most or (batch and size_bytes + len(one.raw) > BATCH_BYTES):
                yield batch
                batch, size_bytes = [], 0
            batch.append(one)
            size_bytes += len(one.raw)
        some = await anext(arrivals, None)
    if batch:
        yield batch
