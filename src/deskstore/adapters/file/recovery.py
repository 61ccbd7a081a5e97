"""What the first process to open a company does after a crash: make the files say what the journal says."""

from __future__ import annotations

import logging
from typing import Final

import orjson

from deskstore.adapters.file import database, journal, layout
from deskstore.adapters.file.company import OpenCompany, checksum
from deskstore.adapters.file.tree import StrangerInTree

logger: Final = logging.getLogger("deskstore")


def recover(company: OpenCompany) -> None:
    """
    Finish what a crash left undone; only for who is alone in the company.

    The newest redo row of a file is right, whatever the file's times say. A file that holds none of the versions the journal knows of,
    and is whole JSON, was written by somebody else: it is moved to .deskstore/edited/ and named.
    """
    company.tree.wipe_temporary()
    company.rows_before = 0  # what they tell of is written anew
    files = [file for (file,) in company.writer.execute("select distinct file from redo order by file").fetchall()]
    if not files:
        return
    for file in files:
        _set_aside_if_foreign(company, file)
    with database.transaction(company.writer, durable=False):
        company.index.set_meta("applied", 0)
    journal.write_files(company)
    company.gathered_rows = len(files)  # or the rows of processes that never come to a checkpoint would add up
    logger.info("%s: recovered %d files from the journal", company.path, len(files), extra={"company_id": company.company_id})


def _set_aside_if_foreign(company: OpenCompany, file: str) -> None:
    try:
        body = company.tree.read(file)
    except StrangerInTree:
        return
    if body is None or checksum(body) in _history(company, file) or not _is_json(body):
        return
    place = company.tree.move(file, f"{layout.EDITED}/{file}")
    logger.error(
        "%s: %s was changed outside deskstore; it was moved to %s", company.path, file, place, extra={"company_id": company.company_id}
    )


def _history(company: OpenCompany, file: str) -> set[int]:
    rows = company.writer.execute("select crc, before from redo where file = ?", (file,))
    return {crc for row in rows for crc in row if crc is not None}


def _is_json(body: bytes) -> bool:
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return True
