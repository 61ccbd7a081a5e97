"""What a commit does to a company that is open: decide, then write rows and redo bodies, all inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from attrs import Factory, define, evolve

from deskstore.adapters.file import envelope, journal, layout
from deskstore.adapters.file.company import OpenCompany, checksum
from deskstore.adapters.file.company_file import CompanyFile, write_company_file
from deskstore.adapters.file.database import CLAIMS_FROM
from deskstore.adapters.file.envelope import Settled
from deskstore.adapters.file.index import Index, RecordRow, Row, row_of
from deskstore.domain import claims, times
from deskstore.domain.changes import Changes, Committed
from deskstore.domain.commits import NOTHING, Standing, decide
from deskstore.domain.errors import CompanyErased, CompanyMoved
from deskstore.domain.identifiers import Key
from deskstore.domain.mirror import CompanyState, Copy, Thing, applicable, copy_of
from deskstore.domain.processing import Checkpoint, Processing
from deskstore.domain.records import Article, Ticket
from deskstore.domain.summaries import Summary
from deskstore.domain.suppressions import Suppression, names_of
from deskstore.domain.things import check_beginning, check_succession

_AT_ONCE: Final = 200  #: records whose files are in memory


def commit(company: OpenCompany, changes: Changes, now: datetime) -> Committed:
    """Carry out a unit's changes; raises what UnitOfWork.commit() raises."""
    state = _writable(company)
    index = company.index
    rows = {key: index.row(key) for key in changes.keys}
    standing = {key: _standing(index, key, row) for key, row in rows.items()}
    for key in (change.key for change in changes.deletes):
        standing[key] = evolve(standing[key], summaries=tuple(index.summary_numbers(key)))
    named = ((change.checkpoint.platform, change.checkpoint.stream) for change in changes.checkpoints)
    known = {name: found.version for name in named if (found := index.checkpoint(*name))}
    decision = decide(
        changes,
        standing,
        checkpoints=known,
        floor=index.number("floor"),
        now=now,
        suppressions=index.suppressions_named(changes.suppression_names),
        kept_out=_kept_out(index, changes),
    )
    _keep(company, state, decision.copies, rows, now)
    return decision.committed


def _kept_out(index: Index, changes: Changes) -> set[Key]:
    """The tickets whose requester is suppressed."""
    if not changes.records or not (secrets := index.secrets()):
        return set()
    named = names_of((change.record for change in changes.records), secrets)
    return {key for name in index.suppressions_named(named) for key in named[name]}


def claim(company: OpenCompany, wanted: claims.Request, now: datetime) -> Sequence[Processing]:
    """Take tickets for a worker; none while claims from before a lost database may still live."""
    state = _writable(company)
    now_us = times.microseconds(now)
    if now_us < company.index.number(CLAIMS_FROM):
        return []
    taken = claims.take(company.index.claimable(wanted.platform, now_us, wanted.n), wanted, floor=company.index.number("floor"), now=now)
    copies = [copy_of(processing) for processing in taken]
    _keep(company, state, copies, {}, now)
    return taken


def apply_copies(company: OpenCompany, copies: Collection[Copy], now: datetime) -> int:
    """Keep those copies of another store that are newer than what stands here, and say how many those were."""
    index = company.index
    known = {copy.thing: max(index.version(copy.thing), index.tombstone_version(copy.thing)) for copy in copies}
    rows = {copy.thing.key: index.row(copy.thing.key) for copy in copies if copy.thing.is_of_record}
    kept = applicable(copies, known, lambda key: rows[key] is not None)
    _keep(company, index.state(), kept, rows, now)
    return len(kept)


def compare_and_set_state(company: OpenCompany, expected: CompanyState | None, wanted: CompanyState) -> bool:
    """Set the state if it is as expected; the company's file first, so that a lost database never knows an older one."""
    known = company.index.state() if company.index.is_registered else None
    if known != expected:
        return False
    if known is None:
        check_beginning(company.company_id, company.index.state().epoch - 1, wanted)  # it would begin in the one after the last
    else:
        check_succession(company.company_id, known, wanted)
    set_state(company, wanted)
    return True


def forbid(company: OpenCompany) -> int:
    """Refuse every commit from now on, in all processes, since the company is being erased; says in which epoch it is."""
    state = company.index.state()
    set_state(company, evolve(state, erased=True, epoch=state.epoch + 1))
    return state.epoch + 1


def set_state(company: OpenCompany, state: CompanyState) -> None:
    """Keep where the company lives: durably in its file, then in the caller's transaction."""
    write_company_file(company.tree, CompanyFile(company_id=company.company_id, store_id=company.store_id, state=state))
    company.index.register()
    company.index.set_state(state)


def _standing(index: Index, key: Key, row: Row | None) -> Standing:
    """What a commit decides by."""
    if row is None:
        return NOTHING
    last, version = index.last_summary(key)
    return Standing(version=row.version, text_digest=row.text_digest, processing=row.processing, last_summary=last, summary_version=version)


def _writable(company: OpenCompany) -> CompanyState:
    state = company.index.state()
    if state.erased:
        raise CompanyErased(company.company_id)
    if state.primary != company.store_id or state.swapping_to is not None:
        raise CompanyMoved(company.company_id, primary=state.primary, epoch=state.epoch, swapping_to=state.swapping_to)
    return state


def _keep(company: OpenCompany, state: CompanyState, copies: Collection[Copy], rows: dict[Key, Row | None], now: datetime) -> None:
    if copies:
        company.index.register()
    files = _FileWriter(company=company, rows=rows)
    for copy in copies:
        files.take(copy)
        for consumer in state.owed_by(company.store_id):
            company.index.owe(consumer, copy.thing, copy.version)
        if state.consumers:
            files.note_tombstone(copy)
    files.write_records()
    files.write_suppressions()
    company.index.touch_platforms(sorted(files.platforms), times.microseconds(now))


@define(kw_only=True)
class _FileWriter:
    """The files that follow from the copies of one commit, one a record, however many of its parts changed."""

    company: OpenCompany
    rows: dict[Key, Row | None]
    records: dict[Key, Ticket | Article] = Factory(dict[Key, Ticket | Article])
    processing: dict[Key, Processing] = Factory(dict[Key, Processing])
    suppresses: bool = False  #: whether somebody's tickets are kept out from now on, or let in again
    platforms: set[str] = Factory(set[str])  #: in which tickets came, went, or changed their status

    def take(self, copy: Copy) -> None:
        row = self._row(copy.thing.key) if copy.thing.part in ("ticket", "processing") else None
        if copy.moves_progress(row.processing if row else None):
            self.platforms.add(copy.thing.platform)
        match copy.value:
            case None:
                self._remove(copy.thing, copy.version)
            case Ticket() | Article() as record:
                self.records[record.key] = record
            case Processing() as processing:
                self.processing[processing.key] = processing
            case Summary() as summary:
                self._write_summary(summary)
            case Checkpoint() as checkpoint:
                self.company.index.put_checkpoint(checkpoint)
            case Suppression() as suppression:
                self.suppresses = True
                self.company.index.put_suppression(suppression)

    def write_suppressions(self) -> None:
        if self.suppresses:
            from deskstore.adapters.file import suppressing  # hardly any unit

            suppressing.write(self.company)

    def write_records(self) -> None:
        changed = sorted(self.records)
        for start in range(0, len(changed), _AT_ONCE):
            self._write_some(changed[start : start + _AT_ONCE])
        for key in sorted(self.processing.keys() - self.records.keys()):
            self._write_processing(self.processing[key])

    def _write_some(self, keys: Sequence[Key]) -> None:
        """Write many records a step at a time, so that each step finds its code and data in the processor's caches."""
        rows = [self._record_row(self.records[key]) for key in keys]
        self.company.index.put_records([row for row, _ in rows])
        journal.append_many(self.company, [redo for _, redo in rows])

    def _record_row(self, record: Ticket | Article) -> tuple[RecordRow, journal.Redo]:
        row, processing = self._row(record.key), self.processing.get(record.key)
        settled = _settled_json(processing) or (row.settled if row else None)
        body = envelope.record_file(self.company.company_id, record, settled)
        crc = checksum(body)
        kept = row_of(record, processing or (row.processing if row else None), settled, crc)
        return kept, journal.Redo(layout.record_path(record.key), body, crc, row.crc if row else None)

    def _write_processing(self, processing: Processing) -> None:
        settled = _settled_json(processing)
        if settled is None:
            self.company.index.put_processing(processing)
            return
        key = processing.key
        row, file = self._row(key), layout.record_path(key)
        if row is None:
            raise LookupError(f"{key} has a processing and no record")
        body = envelope.with_settled(journal.newest(self.company, file, row.crc, key), settled)
        journal.append(self.company, file, body, row.crc)
        self.company.index.put_processing(processing, settled=settled, crc=checksum(body))

    def note_tombstone(self, copy: Copy) -> None:
        if copy.value is None:
            self.company.index.put_tombstone(copy.thing, copy.version)
        else:
            self.company.index.remove_tombstone(copy.thing)

    def _before(self, key: Key) -> int | None:
        row = self._row(key)
        return row.crc if row else None

    def _row(self, key: Key) -> Row | None:
        if key not in self.rows:
            self.rows[key] = self.company.index.row(key)
        return self.rows[key]

    def _write_summary(self, summary: Summary) -> None:
        body = envelope.summary_file(self.company.company_id, summary)
        known = self.company.index.summary(summary.key, summary.number)
        file = layout.summary_path(summary.key, summary.number)
        journal.append(self.company, file, body, known[1] if known else None)
        self.company.index.put_summary(summary, checksum(body))

    def _remove(self, thing: Thing, version: int) -> None:
        index = self.company.index
        match thing.part:
            case "ticket" | "article":
                self._remove_file(thing, self._before(thing.key))
                index.delete_record(thing.key)
                for number in index.summary_numbers(thing.key):
                    self._remove_summary(Thing("summary", *thing.key, number))
            case "summary":
                self._remove_summary(thing)
            case "checkpoint":
                index.delete_checkpoint(thing.platform, thing.id)
            case "suppression":
                self.suppresses = True
                index.delete_suppression(thing.platform, thing.id)
            case "processing":
                pass  # goes with its ticket
        index.set_meta("floor", max(index.number("floor"), version))

    def _remove_summary(self, thing: Thing) -> None:
        self._remove_file(thing, self.company.index.summary_crc(thing.key, thing.number))
        self.company.index.delete_summary(thing.key, thing.number)

    def _remove_file(self, thing: Thing, before: int | None) -> None:
        file = layout.path_of(thing)
        if file is not None and before is not None:
            journal.append(self.company, file, None, before)


def _settled_json(processing: Processing | None) -> bytes | None:
    """What a ticket's file says of its processing, when that changes: a claim is known to the database alone."""
    return None if processing is None or processing.claim is not None else envelope.settled_json(Settled.of(processing))
