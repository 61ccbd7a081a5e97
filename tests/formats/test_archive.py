"""The file of a backup: what is written is read again, and nothing that was changed, cut or made up passes."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import get_args

import msgspec
import pytest
import zstandard
from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st

from deskstore.domain import times
from deskstore.domain.mirror import PARTS, Copy, Part, Thing, Value, copy_of, digest_of
from deskstore.domain.processing import Claim, Processing, fresh
from deskstore.domain.suppressions import Suppression
from deskstore.domain.tallies import Tally
from deskstore.formats.archive import frames, tar
from deskstore.formats.archive.damage import Damaged
from deskstore.formats.archive.fields import FieldsLine
from deskstore.formats.archive.lines import line_of, read_line
from deskstore.formats.archive.manifest import HEAD, MANIFEST, Chunk, Head, Manifest, chunk_name, head_bytes, manifest_bytes
from deskstore.formats.archive.reading import Archive, scanned
from deskstore.formats.archive.shapes import Line, TicketLine
from deskstore.formats.archive.survey import Survey, check_totals
from deskstore.formats.archive.working import OneThread
from deskstore.formats.archive.writing import write_archive
from deskstore.testing import strategies
from deskstore.testing.clock import MORNING
from deskstore.testing.makers import a_checkpoint, a_summary, a_ticket, an_article

HEADED = Head(company="acme", store="a store", epoch=3, began_us=1_700_000_000_000_001)
TICKET = evolve(a_ticket("1"), version=7)
RECORD = [copy_of(TICKET), copy_of(fresh(TICKET.key, now=MORNING, version=7)), copy_of(evolve(a_summary(TICKET.key), number=1, version=9))]
VERSIONS = st.integers(1, times.LAST_US)


class Memory:
    """A file in memory that is read as others are."""

    def __init__(self, text: bytes) -> None:
        self._file = io.BytesIO(text)

    async def seek(self, offset: int, /) -> int:
        return self._file.seek(offset)

    async def read(self, size: int, /) -> bytes:
        return self._file.read(size)


async def looked_at(text: bytes, *, is_strict: bool = True) -> Archive:
    """A backup, once all of it was looked at."""
    archive = await scanned(Memory(text), len(text), OneThread())
    survey, told = Survey(is_strict=is_strict), archive.manifest.chunks
    for place in sorted(range(len(told)), key=lambda place: not told[place].is_of_changes):
        survey.take(place, told[place], await archive.chunks.frame(place, told[place]))
    check_totals(archive.manifest, survey.totals())
    return archive


async def written(tmp_path: Path, things: Sequence[Copy], changes: Sequence[Copy] = ()) -> bytes:
    """The file of a backup."""
    async with write_archive(tmp_path / "backup.tar", HEADED) as archive:
        for copy in things:
            await archive.add(copy)
        await archive.begin_changes()
        for copy in changes:
            await archive.add(copy)
        await archive.finish(ended_us=HEADED.began_us, damaged=[])
    text = (tmp_path / "backup.tar").read_bytes()
    (tmp_path / "backup.tar").unlink()
    return text


def made_up(things: Sequence[bytes], changes: Sequence[bytes] = (), *, head: Head = HEADED, counted: Sequence[Copy] = RECORD) -> bytes:
    """A backup that fits together as far as hashes tell, whatever its lines say."""
    members, chunks = [(HEAD, head_bytes(head))], list[Chunk]()
    for number, some in enumerate([part for part in (things, changes) if part]):
        raw = b"".join(some)
        frame, name = frames.pack(raw), chunk_name(number, is_of_changes=some is changes)
        first, last = (thing_in(some[place]) for place in (0, -1))
        chunks.append(
            Chunk(
                name=name,
                bytes=len(frame),
                sha256=sha256(frame).hexdigest(),
                raw_bytes=len(raw),
                lines=len(some),
                first=first,
                last=last,
            )
        )
        members.append((name, frame))
    return sealed(members, manifest_of(chunks, counted, head))


def manifest_of(chunks: Sequence[Chunk], counted: Sequence[Copy], head: Head = HEADED) -> Manifest:
    tally = Tally()
    for copy in counted:
        tally.add_copy(copy)
    totals = tally.totals()
    return Manifest(
        company="acme",
        ended_us=HEADED.began_us,
        head_sha256=sha256(head_bytes(head)).hexdigest(),
        chunks=chunks,
        counts={str(part): count for part, count in totals.counts.items()},
        content_digest=totals.content,
        replica_digest=totals.replica,
        damaged=[],
    )


def sealed(members: Sequence[tuple[str, bytes]], manifest: Manifest) -> bytes:
    whole = [*members, (MANIFEST, manifest_bytes(manifest))]
    return b"".join(block(name, content) for name, content in whole) + tar.END


def block(name: str, content: bytes) -> bytes:
    member = tar.Member(name=name, size=len(content), modified_s=HEADED.modified_s)
    return tar.header(member) + content + tar.padding(len(content))


def thing_in(line: bytes) -> Thing:
    try:
        return read_line(line.removesuffix(b"\n")).thing
    except Damaged:
        return Thing("ticket", "ticket", "zendesk", "1")


def at_version(value: Value, version: int) -> Copy:
    return copy_of(evolve(value, version=version))


def every_copy() -> st.SearchStrategy[Copy]:
    """Things of every part, hostile ones among them."""
    values = (
        strategies.tickets()
        | strategies.articles()
        | strategies.summaries().map(lambda one: evolve(one, number=3))
        | strategies.checkpoints()
        | st.builds(
            Processing,
            key=strategies.ticket_keys(),
            status=strategies.statuses(),
            attempts=st.integers(0, 9),
            error=st.none() | strategies.texts(),
            claim=st.none()
            | st.builds(
                Claim,
                worker=strategies.record_ids(),
                token=st.just("t"),
                lease_until=strategies.moments(),
                text_digest=st.binary(min_size=32, max_size=32),
            ),
            claimable_at=st.none() | strategies.moments(),
            changed_at=strategies.moments(),
        )
        | st.builds(
            Suppression,
            platform=strategies.platforms(),
            digest=st.binary(min_size=32, max_size=32).map(bytes.hex),
            secret=st.binary(min_size=32, max_size=32),
            created_at=strategies.moments(),
            tickets=st.integers(0, 9),
        )
    )
    return st.builds(at_version, values, VERSIONS)


# -- lines ---------------------------------------------------------------------------------------------------------------------------------


@given(copy=every_copy())
@example(copy=copy_of(evolve(a_ticket(payload=b' {\r\n"a":1}\n'), version=1)))
@example(copy=copy_of(evolve(a_ticket(payload=b'{"a":",\\"payload\\":{}"}'), version=1)))
@example(copy=copy_of(evolve(a_summary(TICKET.key, content=b'{"a": 1} '), number=1, version=1)))
def test_a_line_gives_back_the_thing_and_its_digest(copy: Copy) -> None:
    line = line_of(copy)

    read = read_line(line[:-1])

    assert (line.count(b"\n"), read.copy()) == (1, copy)
    assert copy.value is not None
    assert read.digest() == digest_of(copy.value).digest
    assert line.startswith(f'{{"part":"{copy.thing.part}"'.encode())


def hostile_texts() -> st.SearchStrategy[str | None]:
    """Texts of which some are too long for a field, or hold what none keeps."""
    return (
        st.none()
        | st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
        | st.sampled_from(["x" * 101, "x" * 501, "a\0b", "é" * 101])
    )


@given(
    fields=st.builds(
        FieldsLine,
        subject=hostile_texts(),
        status=hostile_texts(),
        priority=hostile_texts(),
        requester=hostile_texts(),
        created_at=st.none() | st.integers(-(2**56), 2**58),
        updated_at=st.none() | st.integers(-(2**56), 2**58),
        source_version=st.none() | st.tuples(st.sampled_from(["updated_at", "a\0b"]), st.integers(-(2**64), 2**64)),
        text_digest=st.sampled_from(["ab" * 32, "AB" * 32, "zz" * 32]),
    ),
    names=st.tuples(*[st.sampled_from(["a", "x" * 51, "a\n", "", " a"])] * 2),
)
@example(fields=FieldsLine.of(TICKET.fields), names=("zendesk", "1"))
def test_a_record_that_passes_is_given_back_byte_for_byte(fields: FieldsLine, names: tuple[str, str]) -> None:
    honest = read_line(line_of(RECORD[0])[:-1])
    assert isinstance(honest.line, TicketLine)
    line = msgspec.structs.replace(honest.line, fields=fields, platform=names[0], id=names[1])
    text = msgspec.json.encode(line)[:-1] + b',"payload":' + honest.last + b"}"

    try:
        read = read_line(text)
        read.check()
    except Damaged:
        assert (fields, *names) != (FieldsLine.of(TICKET.fields), "zendesk", "1")
    else:
        assert line_of(read.copy()) == text + b"\n"
        assert digest_of(read.copy().value or TICKET).digest == read.digest()


@pytest.mark.parametrize("part", PARTS)
def test_every_part_can_be_deleted(part: Part) -> None:
    gone = Copy(Thing(part, "ticket", "zendesk", "1", "", 2), 9, None)

    assert read_line(line_of(gone)[:-1]).copy() == gone


def test_there_is_a_line_for_every_part() -> None:
    tags = {str(one.__struct_config__.tag) for one in get_args(Line)}

    assert tags == set(PARTS) == set(get_args(Part))


# -- whole files ---------------------------------------------------------------------------------------------------------------------------


async def test_any_tar_reads_a_backup(tmp_path: Path) -> None:
    text = await written(tmp_path, RECORD)

    with tarfile.open(fileobj=io.BytesIO(text)) as opened:
        found = {one.name: opened.extractfile(one).read() for one in opened if one.isreg()}  # type: ignore[union-attr]  # of a regular file

    assert [*found] == [HEAD, "things/000000.ndjson.zst", MANIFEST]
    assert zstandard.decompress(found["things/000000.ndjson.zst"]) == b"".join(map(line_of, RECORD))


async def test_every_byte_that_is_changed_is_found(tmp_path: Path) -> None:
    text = await written(tmp_path, RECORD, [Copy(TICKET_GONE.thing, 9, None), *PARTS_GONE])
    await looked_at(text)

    missed = [place for place in range(len(text)) if not await is_found(flipped(text, place))]

    assert missed == []


async def test_every_place_where_a_file_is_cut_is_found(tmp_path: Path) -> None:
    text = await written(tmp_path, RECORD)

    missed = [size for size in range(len(text)) if not await is_found(text[:size])]

    assert missed == []


async def test_what_follows_the_end_is_found(tmp_path: Path) -> None:
    text = await written(tmp_path, RECORD)

    assert await is_found(text + b"\0")
    assert await is_found(text + text)
    assert await is_found(b"")


async def test_an_empty_company_has_a_backup(tmp_path: Path) -> None:
    archive = await looked_at(await written(tmp_path, []))

    assert sum(archive.manifest.counts.values()) == 0


async def test_a_file_that_was_given_up_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with write_archive(tmp_path / "backup.tar", HEADED) as archive:
            await archive.add(RECORD[0])
            raise ZeroDivisionError

    assert files_in(tmp_path) == []


async def test_a_file_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "backup.tar").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        async with write_archive(tmp_path / "backup.tar", HEADED):
            pass
    (tmp_path / "backup.tar").unlink()

    with pytest.raises(FileExistsError, match="meanwhile"):
        async with write_archive(tmp_path / "backup.tar", HEADED) as archive:
            await archive.finish(ended_us=1, damaged=[])
            (tmp_path / "backup.tar").write_bytes(b"mine")

    assert files_in(tmp_path) == [b"mine"]


TICKET_GONE = Copy(RECORD[0].thing, 9, None)
PARTS_GONE = [Copy(copy.thing, 9, None) for copy in RECORD[1:]]


def files_in(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.iterdir()]


def flipped(text: bytes, place: int) -> bytes:
    return text[:place] + bytes([text[place] ^ (1 << place % 8)]) + text[place + 1 :]


async def is_found(text: bytes) -> bool:
    try:
        await looked_at(text, is_strict=False)
    except Damaged:
        return True
    return False


# -- hostile files -------------------------------------------------------------------------------------------------------------------------


def entry(name: str, kind: bytes, content: bytes = b"") -> bytes:
    """A tar with one member of any kind."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as made:
        info = tarfile.TarInfo(name)
        info.type, info.size, info.linkname, info.mode, info.mtime = kind, len(content), "/etc/passwd", 0o600, HEADED.modified_s
        made.addfile(info, io.BytesIO(content))
    return file.getvalue()[: 512 + len(content) + len(tar.padding(len(content)))]


LINES = [line_of(copy) for copy in RECORD]
GOOD = made_up(LINES)
BEGINS = block(HEAD, head_bytes(HEADED))
REST = GOOD[len(BEGINS) :]
BOMB = zstandard.compress(bytes(2**30))
OTHER_HEAD = Head(company="globex", store="a store", epoch=3, began_us=HEADED.began_us)
FRAME = frames.pack(b"".join(LINES))
CHUNK = Chunk(
    name=chunk_name(0, is_of_changes=False),
    bytes=len(FRAME),
    sha256=sha256(FRAME).hexdigest(),
    raw_bytes=sum(map(len, LINES)),
    lines=3,
    first=RECORD[0].thing,
    last=RECORD[-1].thing,
)


def with_frame(frame: bytes, **told: object) -> bytes:
    chunk = msgspec.structs.replace(CHUNK, **{"bytes": len(frame), "sha256": sha256(frame).hexdigest(), **told})
    return sealed([(HEAD, head_bytes(HEADED)), (chunk.name, frame)], manifest_of([chunk], RECORD))


def with_manifest(**told: object) -> bytes:
    manifest = msgspec.structs.replace(manifest_of([CHUNK], RECORD), **told)
    return sealed([(HEAD, head_bytes(HEADED)), (CHUNK.name, FRAME)], manifest)


def spoiled(old: bytes, new: bytes) -> bytes:
    """A backup whose lines hold something else, with hashes that fit."""
    assert any(old in line for line in LINES), old
    changed = [line.replace(old, new) for line in LINES]
    return made_up(changed)


HOSTILE = {
    "nothing at all": b"",
    "another tar": entry("a.txt", tarfile.REGTYPE, b"hello"),
    "a path that leads out": BEGINS + entry("../../etc/cron.d/x", tarfile.REGTYPE, b"x") + REST,
    "an absolute path": BEGINS + entry("/etc/cron.d/x", tarfile.REGTYPE, b"x") + REST,
    "a path with dots in the middle": BEGINS + entry("things/../../x", tarfile.REGTYPE, b"x") + REST,
    "a symbolic link": BEGINS + entry("things/000000.ndjson.zst", tarfile.SYMTYPE) + REST,
    "a hard link": BEGINS + entry("things/000000.ndjson.zst", tarfile.LNKTYPE) + REST,
    "a device": BEGINS + entry("things/000000.ndjson.zst", tarfile.CHRTYPE) + REST,
    "a FIFO": BEGINS + entry("things/000000.ndjson.zst", tarfile.FIFOTYPE) + REST,
    "a directory": BEGINS + entry("things", tarfile.DIRTYPE) + REST,
    "a long name of GNU's": BEGINS + entry("././@LongLink", tarfile.GNUTYPE_LONGNAME, b"x" * 200) + REST,
    "a header of pax": BEGINS + entry("things/000000.ndjson.zst", tarfile.XHDTYPE, b"11 path=/x\n") + REST,
    "a member twice": BEGINS + block(CHUNK.name, FRAME) + REST,
    "the head twice": BEGINS + GOOD,
    "a member that nothing tells of": BEGINS + block("things/000001.ndjson.zst", FRAME) + REST,
    "a member behind the manifest": GOOD[: -len(tar.END)] + block("x", b"x") + tar.END,
    "a huge size in a header": BEGINS + tar.header(tar.Member(name=CHUNK.name, size=8**11 - 1, modified_s=HEADED.modified_s)) + REST[512:],
    "a size beyond the file": BEGINS + tar.header(tar.Member(name=CHUNK.name, size=2**20, modified_s=HEADED.modified_s)) + REST[512:],
    "a huge head": tar.header(tar.Member(name=HEAD, size=2**30, modified_s=HEADED.modified_s)) + GOOD[512:],
    "another company's head": block(HEAD, head_bytes(OTHER_HEAD)) + REST,
    "another company's manifest": with_manifest(company="globex"),
    "a company that is none": sealed([(HEAD, head_bytes(HEADED))], msgspec.structs.replace(manifest_of([], []), company="a\nb")),
    "a bomb that says so": with_frame(BOMB, raw_bytes=2**30),
    "a bomb that does not": with_frame(BOMB),
    "a frame of unknown size": with_frame(zstandard.ZstdCompressor(write_content_size=False).compress(b"".join(LINES))),
    "two frames": with_frame(FRAME + FRAME),
    "something behind a frame": with_frame(FRAME + b"x"),
    "no frame": with_frame(b"x" * 100),
    "a window beyond all measure": with_frame(b"\x28\xb5\x2f\xfd\x80\xf8" + CHUNK.raw_bytes.to_bytes(4, "little") + b"\1\0\0"),
    "too many lines": with_manifest(chunks=[msgspec.structs.replace(CHUNK, lines=4)]),
    "another first thing": with_manifest(chunks=[msgspec.structs.replace(CHUNK, first=RECORD[1].thing)]),
    "another last thing": with_manifest(chunks=[msgspec.structs.replace(CHUNK, last=RECORD[1].thing)]),
    "a manifest that counts more": with_manifest(counts={**manifest_of([], RECORD).counts, "ticket": 2}),
    "a manifest that counts what nobody knows": with_manifest(counts={**manifest_of([], RECORD).counts, "secret": 0}),
    "a manifest with another content": with_manifest(content_digest="0" * 64),
    "a manifest with another replica": with_manifest(replica_digest="0" * 64),
    "a manifest of a later layout": with_manifest(layout=2),
    "a manifest without its chunk": sealed([(HEAD, head_bytes(HEADED)), (CHUNK.name, FRAME)], manifest_of([], RECORD)),
    "a line of no JSON": made_up([b"x\n"]),
    "a line that is empty": made_up([b"\n"]),
    "a line cut off": made_up([LINES[0][:-5] + b"\n"]),
    "a line without an end": with_frame(frames.pack(b"".join(LINES)[:-1]), raw_bytes=CHUNK.raw_bytes - 1),
    "a key that nobody knows": spoiled(b'"version":7', b'"company":"globex","version":7'),
    "a part that nobody knows": spoiled(b'"part":"processing"', b'"part":"secret"'),
    "a version of zero": spoiled(b'"version":7', b'"version":0'),
    "a version beyond 64 bits": spoiled(b'"version":7', b'"version":9223372036854775808'),
    "a time beyond all years": spoiled(b'"changed_at":', b'"changed_at":9'),
    "a name that no storage takes": spoiled(b'"id":"1"', b'"id":"1\\n"'),
    "a platform that is too long": spoiled(b'"zendesk"', b'"' + b"z" * 51 + b'"'),
    "a status that is none": spoiled(b'"status":"pending"', b'"status":"done"'),
    "attempts below zero": spoiled(b'"attempts":0', b'"attempts":-1'),
    "another payload": spoiled(b'"description"', b'"Description"'),
    "a payload that is no JSON": made_up([line_of(copy_of(evolve(TICKET, payload=b'{"a":}', sha256=sha256(b'{"a":}').digest())))]),
    "a payload that is too deep": made_up(
        [line_of(copy_of(evolve(TICKET, payload=(deep := b'{"a":' * 201 + b"1" + b"}" * 201), sha256=sha256(deep).digest())))]
    ),
    "a payload that is no object": made_up([line_of(copy_of(evolve(TICKET, payload=b"[1]", sha256=sha256(b"[1]").digest())))]),
    "a summary that is no JSON": made_up(
        [*LINES[:2], line_of(copy_of(evolve(a_summary(TICKET.key, content=b'{"a"}'), number=1, version=9)))]
    ),
    "a thing twice": made_up([LINES[0], *LINES]),
    "things out of order": made_up(LINES[::-1]),
    "a part without its record": made_up(LINES[1:], counted=RECORD[1:]),
    "a deletion among the things": made_up([*LINES, line_of(PARTS_GONE[0])]),
    "a part of a record that was deleted": made_up(LINES, [line_of(TICKET_GONE)], counted=RECORD[1:]),
    "a changed part of a record that is nowhere": made_up(LINES[:1], [line_of(copy_of(fresh(a_ticket("2").key, now=MORNING, version=9)))]),
    "a change that is older": made_up(LINES, [line_of(copy_of(fresh(TICKET.key, now=MORNING, version=6)))]),
    "a change that is older than another": made_up(LINES, [line_of(PARTS_GONE[0]), LINES[1]]),
}


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in HOSTILE.items()])
async def test_a_hostile_file_is_refused(text: bytes) -> None:
    with pytest.raises(Damaged):
        await looked_at(text)


async def test_what_hostile_files_are_made_after_is_no_hostile_file() -> None:
    found = await looked_at(GOOD)

    assert found.manifest.counts["ticket"] == 1
    assert await looked_at(with_manifest())
    assert await looked_at(with_frame(FRAME))
    assert await looked_at(made_up(LINES, [line_of(copy_of(fresh(TICKET.key, now=MORNING, version=7)))]))


async def test_changes_count_and_what_they_delete_is_gone(tmp_path: Path) -> None:
    article = copy_of(evolve(an_article("1"), version=3))
    newer = copy_of(evolve(a_ticket("1", text="newer"), version=11))
    later = [newer, copy_of(evolve(a_checkpoint(), version=4)), Copy(article.thing, 8, None)]

    archive = await looked_at(await written(tmp_path, [article, *RECORD], later))

    expected = Tally()
    for copy in [newer, *RECORD[1:], later[1]]:
        expected.add_copy(copy)
    assert archive.manifest.replica_digest == expected.totals().replica
    assert archive.manifest.content_digest == expected.totals().content
    assert archive.manifest.counts == {**dict.fromkeys(PARTS, 0), "ticket": 1, "processing": 1, "summary": 1, "checkpoint": 1}
