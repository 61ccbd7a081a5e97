"""The mutants of the file adapter, each with the search that finds it out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import frozen

from tests.file.mutants import Edit, Mutant
from tests.file.searches import (
    found_by_failed_syncs,
    found_by_kills,
    found_by_names,
    found_by_power_cuts,
    found_by_races,
    found_by_refusals,
)
from tests.file.workload import Adapter

Search = Callable[[Adapter, int], str | None]


@frozen
class Case:
    """A mutant and its search."""

    mutant: Mutant
    search: Search


def _case(name: str, search: Search, *edits: Edit, is_quick: bool = False) -> Case:
    return Case(Mutant(name=name, edits=edits, is_quick=is_quick), search)


_BELIEVE_TIMES: Final = """    for file in files:
        place, log = company.path / file, company.path / ".deskstore/state.sqlite3-wal"
        if place.exists() and log.exists() and place.stat().st_mtime_ns >= log.stat().st_mtime_ns:
            company.writer.execute("delete from redo where file = ?", (file,))
    for file in files:
"""

CASES: Final = [
    _case(
        "a commit that is not synced",
        found_by_power_cuts,
        Edit("group", "pragma synchronous=full", "pragma synchronous=normal"),
        is_quick=True,
    ),
    _case(
        "a checkpoint that does not sync files",
        found_by_power_cuts,
        Edit("tree", "descent.visit(path, lambda descriptor, _size: self._flush(descriptor))", "pass"),
        is_quick=True,
    ),
    _case(
        "a checkpoint of many files that does not sync the file system",
        found_by_power_cuts,
        Edit("tree", "_MANY = 64", "_MANY = 1"),
        Edit("tree", "return self._flush_all(self._root)", "return True"),
    ),
    _case(
        "a checkpoint that does not sync directories",
        found_by_power_cuts,
        Edit(
            "tree", "                    descent.flush(directory, self._flush)\n        self._flush_above()\n", "                    pass\n"
        ),
    ),
    _case(
        "a new company whose parents are not synced",
        found_by_power_cuts,
        Edit(
            "tree",
            "            for directory in _directories_above(path):\n                descent.flush(directory, self._flush)\n",
            "",
        ),
        Edit("opening", "        flush_directory(missing.parent)\n", ""),
        Edit("opening", "        flush_directory(company.path.parent.parent)", "        pass"),
        Edit("company_file", "    tree.make_durable([layout.COMPANY_FILE])\n", ""),
        is_quick=True,
    ),
    _case(
        "numbers of the journal that are given again",
        found_by_power_cuts,
        Edit("database", " autoincrement,", ","),
    ),
    _case(
        "a recovery that trusts what the journal says was written",
        found_by_power_cuts,
        Edit("recovery", 'company.index.set_meta("applied", 0)', "pass"),
        is_quick=True,
    ),
    _case(
        "a recovery that believes the times of files",
        found_by_power_cuts,
        Edit("recovery", "    if not files:\n        return\n    for file in files:\n", _BELIEVE_TIMES),
        is_quick=True,
    ),
    _case(
        "records written one by one, each atomically",
        found_by_kills,
        Edit(
            "journal",
            "    company.gathered_rows += len(rows)\n",
            """    company.gathered_rows += len(rows)
    for row in rows:
        company.tree.replace_many({row.file: row.body})
        company.tree.make_durable([row.file])
""",
        ),
    ),
    _case(
        "a failed commit that is not voided",
        found_by_refusals,
        Edit("group", "            _void(company, error)\n", "            pass\n"),
    ),
    _case(
        "files taken for durable after their sync failed",
        found_by_failed_syncs,
        Edit("journal", "        company.is_mark_in_doubt = True\n        _lower_mark(company, connection)\n", ""),
        is_quick=True,
    ),
    _case(
        "a checkpoint that drops what was written while it synced",
        found_by_power_cuts,
        Edit(
            "journal",
            "company.tree.make_durable(files, together=index.first_redo() > company.rows_before)\n",
            'company.tree.make_durable(files)\n        __import__("time").sleep(0.05)\n',
        ),
        Edit("journal", 'delete from redo where seq <= ?", (mark,)', 'delete from redo where seq <= ?", (index.number("applied"),)'),
    ),
    _case(
        "names that fold case",
        found_by_names,
        Edit(
            "names",
            "    if _PLAIN.fullmatch(identifier):\n        return identifier\n",
            "    if _PLAIN.fullmatch(identifier.casefold()):\n        return identifier.casefold()\n",
        ),
        is_quick=True,
    ),
    _case(
        "files written without the writer lock",
        found_by_races,
        Edit(
            "journal",
            "    with company.thread_lock, database.transaction(company.writer, durable=False, begin=company.begin):\n"
            "        company.check_in_place()\n",
            "    import contextlib, random, time\n    with contextlib.nullcontext():\n",
        ),
        Edit(
            "journal",
            "        _replace(company, {",
            "        time.sleep(random.random() / 25)\n        _replace(company, {",
        ),
        Edit(
            "journal",
            '        company.index.set_meta("applied", rows[-1][2])',
            '        time.sleep(random.random() / 25)\n        company.index.set_meta("applied", rows[-1][2])',
        ),
        is_quick=True,
    ),
]
