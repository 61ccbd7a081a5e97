"""
Imports: records from exported files, received in batches, that go on where they were interrupted.

**One unit a batch.** The records of a batch and the checkpoint behind them are kept together, so that after a kill the checkpoint tells the
truth. The sources of a run are one long row of records; the checkpoint says how many of them are done, and holds a digest over all of
those. A run that resumes reads the done records again without receiving them, and compares the digest: where the files are not what they
were, it begins anew, which only repeats what has no effect. Rejected records are on the disk before the checkpoint that counts them.

**The same identity twice in one run.** Where the platform's own order says which payload is newer, that one stands. Where nothing says so,
the first stands and the later one is rejected as *duplicate id*; else two imports of one export would each replace the one by the other,
report updates for ever, and never say that two records share a name. Now "stored with other bytes" alone does not tell a repetition from a
record that changed since the last import, and the store cannot tell them apart either, because an unchanged record leaves no trace in it.
So the run itself remembers which records it has met: on the disk and exactly (`repeats`), because a set in memory grows with the run, and a
filter of fixed size would now and then reject a record that came once. What is decided of a record thus depends on the records before it in
the run and on the store, and on nothing else. A run that resumes meets the same records in the same order before it goes on, and the store
holds what the batches before the checkpoint left: so kills change no decision, and a second import makes the same ones.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from hashlib import blake2b
from pathlib import Path
from typing import Final

from attrs import Factory, define, evolve, field, frozen

from deskstore.domain import payloads
from deskstore.domain.ahead import ahead
from deskstore.domain.errors import ConfigurationError, CorruptRecord
from deskstore.domain.identifiers import Key, Kind
from deskstore.domain.ports import Storage
from deskstore.domain.processing import Checkpoint
from deskstore.domain.receiving import Head, Outcome
from deskstore.domain.records import Incoming
from deskstore.formats.platforms import Options
from deskstore.formats.streams import Detected, Reject
from deskstore.services.arrivals import Arrival, Arrivals, Reading, Source, in_batches, is_read_once
from deskstore.services.observing import use_case
from deskstore.services.receiving import BATCH_RECORDS, Heads, Plan, Requesters, damaged_among, foresee, head_of, keep, plan
from deskstore.services.rejects import RejectsFile, holds, refuse_source
from deskstore.services.repeats import Repeats, repeats

REJECTED: Final = "rejected"
DAMAGED: Final = "damaged"
SHOWN_REJECTS: Final = 5  #: in a report; the file has all
AS_GIVEN: Final = Options()
DUPLICATE: Final = (
    "duplicate id: {key} came before in this import with other content, and nothing says which is newer; if they are two records, name the "
    "field that tells them apart with --id-field, or import each language by itself with --locale"
)


@frozen(kw_only=True)
class ImportReport:
    """What became of the records of a run, the part before an interruption included."""

    kind: Kind | None  #: what the records are; None: nothing told
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    stale: int = 0
    suppressed: int = 0  #: of requesters who were erased, and whose tickets are kept out
    rejected: int = 0
    damaged: int = 0  #: of the rejected ones: those whose stored record cannot be trusted
    resumed_at: int = 0  #: how many records an interrupted run had done
    began_anew: bool = False  #: there was an interrupted run, but over other content
    detected: Mapping[str, Detected] = field(factory=dict[str, Detected])  #: what each source turned out to be
    likely: str | None = None  #: the platform whose records these look like, by the first one that tells
    rejects: tuple[Reject, ...] = ()  #: the first few since the last interruption
    rejects_file: Path | None = None  #: where all of them are: numbered where what the name holds is of another import

    @property
    def records(self) -> int:
        """All records of the run."""
        return self.created + self.updated + self.unchanged + self.stale + self.suppressed + self.rejected


@frozen(kw_only=True)
class ImportProgress:
    """How far an import has come."""

    records: int
    rejected: int
    read_bytes: int  #: of the sources as they lie on the disk


@frozen(kw_only=True)
class ResumePoint:
    """How far a run has come: what its checkpoint says."""

    records: int = 0
    digest: str = ""  #: over all of these records
    counts: Mapping[str, int] = field(factory=dict[str, int])
    rejects_bytes: int = 0
    rejects_file: str = ""  #: where those are
    is_finished: bool = False

    def as_cursor(self) -> str:
        """The text that a checkpoint keeps."""
        return json.dumps([self.records, self.digest, dict(self.counts), self.rejects_bytes, self.is_finished, self.rejects_file])

    @classmethod
    def of(cls, checkpoint: Checkpoint | None) -> ResumePoint:
        """What a checkpoint says; the beginning where there is none, or where the run came to its end."""
        if checkpoint is None:
            return BEGINNING
        records, digest, counts, size, is_finished, *file = json.loads(checkpoint.cursor)  # early checkpoints name no file
        if is_finished:
            return BEGINNING
        return cls(records=records, digest=digest, counts=counts, rejects_bytes=size, rejects_file="".join(file))

    @property
    def kept_in(self) -> Path | None:
        """Where the rejects are that it counts."""
        return Path(self.rejects_file) if self.rejects_file else None


BEGINNING: Final = ResumePoint()


class _OtherContent(Exception):
    """What was done before an interruption was done with other records than these."""


@use_case
async def import_records(
    storage: Storage,
    company_id: str,
    platform: str | None,
    sources: Sequence[Source],
    *,
    kind: Kind | None = None,
    locale: str | None = None,
    options: Options = AS_GIVEN,
    rejects: Path | None = None,
    on_progress: Callable[[ImportProgress], None] | None = None,
    restart: bool = False,
    dry_run: bool = False,
    batch_records: int = BATCH_RECORDS,
) -> ImportReport:
    """
    Receive all records of some exports, and go on where a run over the same exports was interrupted.

    Args:
        platform: Where the records come from; None only where each of them says so, as in an export with envelopes.
        kind: What they are; None: the first one's keys tell.
        locale: Of articles whose payloads do not say it.
        options: Fields that hold something else than the platform's own table says.
        rejects: A file for the records that cannot be kept; without it they are only counted. What it holds already stays: they go to a
            file of the next free name then, r-2.ndjson for r.ndjson, and the report says which.
        on_progress: Called after each batch.
        restart: Begin anew, whatever was interrupted.
        batch_records: How many records are kept in one unit, at most; 8 MB of them end it sooner.
        dry_run: Only say what would become of the records; takes memory for each record that is not stored yet.

    Raises:
        InvalidRecord: A source is no export of tickets or articles; nothing of any source was received.
        ConfigurationError: No platform was named, and the first record does not say its own; the rejects cannot be written; or what is
            read once is not what the interrupted run read.
        OSError: A source cannot be read.
    """
    run = _Run(
        storage=storage,
        company_id=company_id,
        arrivals=Arrivals(sources=sources, reading=Reading(platform=platform, kind=kind, locale=locale, options=options)),
        rejects=None if dry_run else rejects,
        on_progress=on_progress,
        is_dry=dry_run,
        batch_records=batch_records,
    )
    refuse_source(run.rejects, sources)
    await run.arrivals.refuse_strangers()
    point = BEGINNING if restart or dry_run else await run.interrupted()
    try:
        return await run.from_point(point)
    except _OtherContent:
        if once := next((source for source in sources if is_read_once(source)), None):
            said = once if isinstance(once, Path) else "standard input"
            raise ConfigurationError(f"{said} is not what the interrupted import read: begin anew with --restart") from None
        run.arrivals = evolve(run.arrivals, read_bytes=0)
        return evolve(await run.from_point(BEGINNING), began_anew=True)


@define(kw_only=True)
class _Run:
    """One import on its way."""

    storage: Storage
    company_id: str
    arrivals: Arrivals
    rejects: Path | None
    on_progress: Callable[[ImportProgress], None] | None
    is_dry: bool
    batch_records: int

    @property
    def stream(self) -> str:
        """The checkpoint's name: another one for other sources, or for the same read otherwise."""
        reading = self.arrivals.reading
        sources = [_name_of(source) for source in self.arrivals.sources]
        said = json.dumps([reading.platform, reading.kind, reading.locale, repr(reading.options), sources])
        return "import " + blake2b(said.encode("utf-8", errors="surrogateescape"), digest_size=16).hexdigest()

    @property
    def platform(self) -> str:
        return self.arrivals.reading.platform or "deskstore"

    async def interrupted(self) -> ResumePoint:
        """How far an interrupted run over the same sources came."""
        async with self.storage.unit_of_work(self.company_id) as uow:
            point = ResumePoint.of(await uow.progress.checkpoint(self.platform, self.stream))
        return point if holds(self.rejects, point.kept_in, point.rejects_bytes) else BEGINNING

    async def from_point(self, point: ResumePoint) -> ImportReport:
        """Receive all records behind a resume point."""
        with repeats() as met, RejectsFile(self.rejects, point.kept_in, point.rejects_bytes) as file:
            progress = _Progress(run=self, met=met, file=file, counts=Counter(point.counts))
            async with aclosing(self.arrivals.stream()) as arrivals:
                begun = await progress.pass_over(arrivals, point)
                async with aclosing(ahead(in_batches(arrivals, self.batch_records, begun=begun))) as batches:
                    async for batch in batches:
                        await progress.receive(batch)
            await progress.finish()
        return progress.report(resumed_at=point.records)


def _name_of(source: Source) -> str:
    """By which a later run knows the same source; where a pipe's name leads is another place each time."""
    if not isinstance(source, Path):
        return "-"
    return str(source.absolute() if is_read_once(source) else source.resolve())


@frozen(kw_only=True)
class _Batch:
    """Some records of a run, and those of them whose stored record cannot be trusted."""

    arrivals: Sequence[Arrival]
    damaged: Mapping[Key, CorruptRecord]

    @property
    def incoming(self) -> list[Incoming]:
        return [one.incoming for one in self.arrivals if one.incoming and one.incoming.key not in self.damaged]

    def results(self, made: Plan) -> Iterator[Outcome | Reject]:
        """What became of each record, in order."""
        planned = enumerate(made.outcomes)
        for one in self.arrivals:
            if one.incoming is None:
                yield one.refused(one.reason)
            elif error := self.damaged.get(one.incoming.key):
                yield one.refused(str(error))
            else:
                place, outcome = next(planned)
                yield one.refused(DUPLICATE.format(key=one.incoming.key)) if place in made.refused else outcome


def _counted(results: Iterable[Outcome | Reject]) -> Counter[str]:
    return Counter(REJECTED if isinstance(one, Reject) else one.value for one in results)


@define(kw_only=True)
class _Progress:
    """What a run knows of the records it has done."""

    run: _Run
    met: Repeats
    file: RejectsFile
    counts: Counter[str]
    records: int = 0
    digest: blake2b = Factory(blake2b)
    first_rejects: list[Reject] = Factory(list[Reject])
    kept_out: Requesters = Factory(Requesters)  #: whose tickets commits refused
    foreseen: dict[Key, Head] = Factory(dict[Key, Head])  #: what a dry run would have kept

    async def pass_over(self, arrivals: AsyncIterator[Sequence[Arrival]], point: ResumePoint) -> Sequence[Arrival]:
        """Read again what was done before an interruption, to know which records it met; what was read behind, or raises _OtherContent."""
        behind: Sequence[Arrival] = ()
        while self.records < point.records:
            try:
                some = await anext(arrivals)
            except StopAsyncIteration:
                raise _OtherContent from None
            done, behind = some[: point.records - self.records], some[point.records - self.records :]
            self._note(done)
            self._meet(done)
        if point.records and self.digest.hexdigest() != point.digest:
            raise _OtherContent
        return behind

    async def receive(self, arrivals: Sequence[Arrival]) -> None:
        """Keep what a batch holds, with the checkpoint behind it; a record whose stored one is damaged is rejected, and the rest kept."""
        self._note(arrivals)
        damaged: dict[Key, CorruptRecord] = {}
        while True:
            batch = _Batch(arrivals=arrivals, damaged=damaged)
            try:
                made = await self._kept(batch)
                break
            except CorruptRecord as error:
                if error.key is None or error.key in damaged:
                    raise
                among = {one.key: one for one in batch.incoming}
                damaged |= {error.key: error} | await damaged_among(self.run.storage, self.run.company_id, among)
        self._settle(batch, made)

    async def _kept(self, batch: _Batch) -> Plan:
        run = self.run

        def judged(heads: Heads, kept_out: Requesters) -> Plan:
            known = {**heads, **self.foreseen}
            return plan(batch.incoming, known, now=run.storage.clock(), was_met=self.met.__contains__, kept_out=kept_out)

        def checkpoint(made: Plan) -> Checkpoint | None:
            return self._checkpoint([*batch.results(made)])

        if run.is_dry:
            return await foresee(run.storage, run.company_id, batch.incoming, judged)
        made, _ = await keep(run.storage, run.company_id, batch.incoming, judged, checkpoint=checkpoint, kept_out=self.kept_out)
        return made

    def _checkpoint(self, results: Sequence[Outcome | Reject], *, is_finished: bool = False) -> Checkpoint | None:
        """Put the rejects on the disk, then say how far the run has come; None as long as nothing was kept that this could vouch for."""
        size = self.file.put(one for one in results if isinstance(one, Reject))
        counts = self.counts + _counted(results)
        if not any(counts[outcome.value] for outcome in Outcome):
            return None
        point = ResumePoint(
            records=self.records,
            digest=self.digest.hexdigest(),
            counts=counts,
            rejects_bytes=size,
            rejects_file=str(self.file.place.absolute()) if self.file.place else "",
            is_finished=is_finished,
        )
        return Checkpoint(platform=self.run.platform, stream=self.run.stream, cursor=point.as_cursor())

    def _settle(self, batch: _Batch, made: Plan) -> None:
        results = [*batch.results(made)]
        rejects = [one for one in results if isinstance(one, Reject)]
        self.counts += _counted(results)
        self.counts[DAMAGED] += sum(1 for one in batch.arrivals if one.incoming and one.incoming.key in batch.damaged)
        self.first_rejects += rejects[: SHOWN_REJECTS - len(self.first_rejects)]
        self.file.acknowledge()
        self._meet(batch.arrivals)
        if self.run.is_dry:
            self.foreseen |= {record.key: head_of(record) for record in made.saves.values()}
        self._tell()

    async def finish(self) -> None:
        """Say that the run came to its end, so that the next one begins anew."""
        checkpoint = self._checkpoint([], is_finished=True)
        if checkpoint is not None and not self.run.is_dry:
            async with self.run.storage.unit_of_work(self.run.company_id) as uow:
                uow.progress.save_checkpoint(checkpoint)
                await uow.commit()
        self.file.settle()  # behind the checkpoint that names the file, which a run that is killed before would look for

    def report(self, *, resumed_at: int) -> ImportReport:
        """What became of all records."""
        return ImportReport(
            kind=self.run.arrivals.reading.kind or self.run.arrivals.reading.found_kind,
            created=self.counts[Outcome.CREATED],
            updated=self.counts[Outcome.UPDATED],
            unchanged=self.counts[Outcome.UNCHANGED],
            stale=self.counts[Outcome.STALE],
            suppressed=self.counts[Outcome.SUPPRESSED],
            rejected=self.counts[REJECTED],
            damaged=self.counts[DAMAGED],
            resumed_at=resumed_at,
            detected=self.run.arrivals.detected,
            likely=self.run.arrivals.likely,
            rejects=tuple(self.first_rejects),
            rejects_file=self.file.place,
        )

    def _note(self, arrivals: Sequence[Arrival]) -> None:
        self.records += len(arrivals)
        for one in arrivals:
            self.digest.update(one.incoming.sha256 if one.incoming else payloads.digest(one.raw))

    def _meet(self, arrivals: Sequence[Arrival]) -> None:
        for one in arrivals:
            if one.incoming:
                self.met.add(one.incoming.key)

    def _tell(self) -> None:
        if self.run.on_progress is not None:
            rejected, read_bytes = self.counts[REJECTED], self.run.arrivals.read_bytes
            self.run.on_progress(ImportProgress(records=self.records, rejected=rejected, read_bytes=read_bytes))
