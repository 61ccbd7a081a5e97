"""What an import reads and writes: files, pipes and devices, each read once where it can be read only once, and none written over."""

import asyncio
import io
import json
import os
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from deskstore.adapters.memory import MemoryStorage
from deskstore.domain.errors import ConfigurationError, StorageUnavailable
from deskstore.formats.platforms import Options
from deskstore.services.companies import list_companies
from deskstore.services.importing import import_records
from tests.services.test_importing import FailingStorage

ACME = "acme"
NOWHERE = Path("/dev/null")
MANY = b"".join(b'{"id":%d,"text":"%s"}\n' % (number, b"x" * 300) for number in range(2_000))  # more than a pipe or a window holds


@contextmanager
def fifo(path: Path, given: bytes) -> Generator[Path]:
    """A named pipe into which somebody writes."""

    def write() -> None:
        with suppress(BrokenPipeError):  # the reader left before the end
            path.write_bytes(given)

    os.mkfifo(path)
    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    yield path
    writer.join()


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def is_device(path: Path) -> bool:
    return path.is_char_device()


# -- sources -----------------------------------------------------------------------------------------------------------------------------


async def test_a_named_pipe_is_read_once_from_its_first_byte_to_its_last(storage: MemoryStorage, tmp_path: Path) -> None:
    with fifo(tmp_path / "pipe", MANY) as pipe:
        report = await asyncio.wait_for(import_records(storage, ACME, "docs", [pipe]), 30)

    assert (report.created, report.rejected) == (2_000, 0)


async def test_a_pipe_among_files_comes_in_whole(storage: MemoryStorage, tmp_path: Path) -> None:
    file = tmp_path / "t.ndjson"
    file.write_bytes(b'{"id":"of a file"}\n')

    with fifo(tmp_path / "pipe", MANY) as pipe:
        report = await asyncio.wait_for(import_records(storage, ACME, "docs", [file, pipe, file]), 30)

    assert (report.created, report.unchanged, report.rejected) == (2_001, 1, 0)
    assert [*report.detected] == [str(file), str(pipe)]


async def test_an_import_of_a_pipe_that_was_interrupted_goes_on_when_the_same_comes_again(tmp_path: Path) -> None:
    storage = FailingStorage()
    storage.fails_at = 3
    with fifo(tmp_path / "pipe", MANY) as pipe, pytest.raises(StorageUnavailable):
        await asyncio.wait_for(import_records(storage, ACME, "docs", [pipe], batch_records=100), 30)
    (tmp_path / "pipe").unlink()

    with fifo(tmp_path / "pipe", MANY) as pipe:
        report = await asyncio.wait_for(import_records(storage, ACME, "docs", [pipe], batch_records=100), 30)

    assert (report.resumed_at, report.created) == (200, 2_000)


async def test_what_is_read_once_is_refused_as_a_file_is_where_its_first_record_is_a_stranger(
    storage: MemoryStorage, tmp_path: Path
) -> None:
    source = io.BytesIO(b'{"id":1,"subject":"a"}\n{"id":2,"subject":"b"}\n')

    with pytest.raises(ConfigurationError, match="standard input: nothing says which platform it is from: name one with --platform"):
        await import_records(storage, ACME, None, [source], rejects=tmp_path / "r.ndjson")

    assert rejects_in(tmp_path) == []
    assert await list_companies(storage) == []


# -- rejects -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["t.ndjson", "link.ndjson", "hard.ndjson"])
async def test_what_is_read_never_takes_the_rejects_by_whatever_name(storage: MemoryStorage, tmp_path: Path, name: str) -> None:
    source = tmp_path / "t.ndjson"
    source.write_bytes(b'{"id":1}\nbroken\n' + MANY)
    (tmp_path / "link.ndjson").symlink_to("t.ndjson")
    os.link(source, tmp_path / "hard.ndjson")

    with pytest.raises(ConfigurationError, match="is read and would take the rejected records too: name another file"):
        await import_records(storage, ACME, "docs", [tmp_path / name], rejects=source)
    with source.open("rb") as opened, pytest.raises(ConfigurationError, match="name another file"):
        await import_records(storage, ACME, "docs", [opened], rejects=tmp_path / name)

    assert source.read_bytes() == b'{"id":1}\nbroken\n' + MANY
    assert await list_companies(storage) == []


async def test_rejects_may_go_nowhere(storage: MemoryStorage) -> None:
    report = await import_records(storage, ACME, "docs", [io.BytesIO(b'{"id":1}\nbroken\n')], rejects=NOWHERE)

    assert (report.created, report.rejected) == (1, 1)
    assert is_device(NOWHERE)


async def test_a_pipe_gets_each_reject_once_however_often_its_batch_is_tried(tmp_path: Path) -> None:
    storage = FailingStorage()
    storage.fails_at = 1
    pipe = tmp_path / "rejects"
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as pool:
        read = pool.submit(pipe.read_bytes)
        source = io.BytesIO(b'{"id":1}\nbroken\n')

        with pytest.raises(StorageUnavailable):
            await import_records(storage, ACME, "docs", [source], rejects=pipe)
        source.seek(0)
        await import_records(storage, ACME, "docs", [source], rejects=pipe)

        assert [json.loads(line)["raw"] for line in read.result(30).splitlines()] == ["broken"]


async def test_rejects_of_another_import_are_never_written_over(storage: MemoryStorage, tmp_path: Path) -> None:
    sources = [written(tmp_path / name, f'{{"id":1}}\nbroken in {name}\n'.encode()) for name in ("a", "b", "c")]

    reports = [await import_records(storage, ACME, "docs", [source], rejects=tmp_path / "r.ndjson") for source in sources]

    assert [report.rejects_file for report in reports] == [tmp_path / name for name in ("r.ndjson", "r-2.ndjson", "r-3.ndjson")]
    assert [raw_in(tmp_path / name) for name in ("r.ndjson", "r-2.ndjson", "r-3.ndjson")] == [[f"broken in {name}"] for name in "abc"]


async def test_an_import_that_is_repeated_has_one_file_of_rejects(storage: MemoryStorage, tmp_path: Path) -> None:
    source = written(tmp_path / "t.ndjson", b'{"no":1}\nbroken\n')

    reports = [await import_records(storage, ACME, "docs", [source], rejects=tmp_path / "r.ndjson") for _ in range(3)]

    assert {report.rejects_file for report in reports} == {tmp_path / "r.ndjson"}
    assert rejects_in(tmp_path) == ["r.ndjson"]
    assert raw_in(tmp_path / "r.ndjson") == ['{"no":1}', "broken"]


async def test_rejects_that_somebody_mended_stay_when_the_import_is_repeated(storage: MemoryStorage, tmp_path: Path) -> None:
    source = written(tmp_path / "t.ndjson", b'{"no":1}\nbroken\n')
    await import_records(storage, ACME, "docs", [source], rejects=tmp_path / "r.ndjson")
    write(tmp_path / "r.ndjson", (tmp_path / "r.ndjson").read_bytes().replace(b"broken", b"mended"))

    report = await import_records(storage, ACME, "docs", [source], rejects=tmp_path / "r.ndjson")

    assert report.rejects_file == tmp_path / "r-2.ndjson"
    assert (raw_in(tmp_path / "r.ndjson"), raw_in(tmp_path / "r-2.ndjson")) == (['{"no":1}', "mended"], ['{"no":1}', "broken"])


async def test_an_interrupted_import_goes_on_in_the_numbered_file_that_it_began(tmp_path: Path) -> None:
    storage = FailingStorage()
    write(tmp_path / "r.ndjson", b"of another import\n")
    source = written(tmp_path / "t.ndjson", b"".join(b'{"id":%d}\nbroken %d\n' % (number, number) for number in range(4)))
    storage.fails_at = 3
    with pytest.raises(StorageUnavailable):
        await import_records(storage, ACME, "docs", [source], rejects=tmp_path / "r.ndjson", batch_records=2)

    report = await import_records(storage, ACME, "docs", [source], rejects=tmp_path / "r.ndjson", batch_records=2)

    assert (report.resumed_at, report.rejected, report.rejects_file) == (4, 4, tmp_path / "r-2.ndjson")
    assert raw_in(tmp_path / "r-2.ndjson") == [f"broken {number}" for number in range(4)]
    assert (tmp_path / "r.ndjson").read_bytes() == b"of another import\n"


async def test_what_a_run_left_that_never_acknowledged_anything_is_within_the_next_ones_file(tmp_path: Path) -> None:
    storage = FailingStorage()
    source = written(tmp_path / "t.ndjson", b'{"id":1}\nbroken 1\n{"id":2}\nbroken 2\n')
    storage.fails_at = 1
    with pytest.raises(StorageUnavailable):
        await import_records(storage, ACME, "docs", [source], rejects=tmp_path / "r.ndjson", batch_records=2)
    left = raw_in(tmp_path / "r.ndjson")

    report = await import_records(storage, ACME, "docs", [source], rejects=tmp_path / "r.ndjson", batch_records=2)

    assert (left, report.rejects_file) == (["broken 1"], tmp_path / "r.ndjson")
    assert rejects_in(tmp_path) == ["r.ndjson"]
    assert raw_in(tmp_path / "r.ndjson") == ["broken 1", "broken 2"]


def rejects_in(folder: Path) -> list[str]:
    return [one.name for one in folder.glob("r*")]


def raw_in(path: Path) -> list[str]:
    return [json.loads(line)["raw"] for line in path.read_bytes().splitlines()]


# -- names -------------------------------------------------------------------------------------------------------------------------------


async def test_names_that_are_not_utf_8_are_escaped_where_they_are_written(storage: MemoryStorage, tmp_path: Path) -> None:
    source = Path(os.fsdecode(os.fsencode(tmp_path) + b"/x\xff.ndjson"))
    write(source, b'{"id":1}\nbroken\n')
    options = Options(id_field=os.fsdecode(b"z\xff"))

    report = await import_records(storage, ACME, "docs", [source], options=options, rejects=tmp_path / "r.ndjson")

    assert report.rejected == 2
    kept = [json.loads(line) for line in (tmp_path / "r.ndjson").read_bytes().splitlines()]
    assert [one["raw"] for one in kept] == ['{"id":1}', "broken"]
    assert kept[0]["file"].endswith("x\\udcff.ndjson")
