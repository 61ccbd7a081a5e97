"""`deskstore doctor`: whether everything is as deskstore left it, and mending what is not."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Final

import click
from attrs import Factory, define

from deskstore.cli.failures import FAILED, OK, code_of, tell
from deskstore.cli.output import counted, on_terminal, print_json, print_table
from deskstore.cli.shared import Command, one_company_option, shared

if TYPE_CHECKING:
    from deskstore.cli.records import Shown
    from deskstore.domain.errors import StorageUnavailable
    from deskstore.domain.findings import Check, Finding, Mended
    from deskstore.domain.identifiers import Key
    from deskstore.domain.ports import Inspection, Storage

EXAMPLES: Final = """\b
Examples:
  deskstore doctor
  deskstore doctor --company acme --json
  deskstore doctor --company acme --accept-edits
  deskstore doctor --company acme --repair --dry-run
"""


@define(kw_only=True)
class Visit:
    """What the doctor was asked to do, and what came of it."""

    storage: Storage
    company_id: str | None
    accept: bool
    repair: bool
    release: bool
    dry_run: bool
    is_agreed: bool  #: to giving up records that nothing holds any more
    checks: list[Check] = Factory(list["Check"])
    layouts: dict[str, int | None] = Factory(dict[str, "int | None"])
    findings: list[Finding] = Factory(list["Finding"])
    mended: list[Mended] = Factory(list["Mended"])
    released: list[str] = Factory(list[str])
    errors: list[StorageUnavailable] = Factory(list["StorageUnavailable"])  #: of companies that could not be looked at

    @property
    def mends(self) -> bool:
        """Whether anything is to be changed."""
        return self.accept or self.repair or self.release


@click.command("doctor", cls=Command, epilog=EXAMPLES)
@one_company_option
@click.option("--repair", is_flag=True, help="Heal what can be healed; set aside what cannot, and name it as lost.")
@click.option("--accept-edits", "accept", is_flag=True, help="Take in files that were changed or added by hand.")
@click.option("--release-claims", "release", is_flag=True, help="Hand tickets out again before the wait after a lost database is over.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--yes", "is_agreed", is_flag=True, help="Give records up that nothing holds any more, without asking.")
def command(company_id: str | None, repair: bool, accept: bool, release: bool, dry_run: bool, is_agreed: bool) -> int:
    """
    Say what is not as deskstore left it, and mend it.

    Looks at the settings, the disk, and every file of every company. Without an option nothing is changed; others may be at work. A company
    whose database is lost can be mended only while no other process has it open.
    """
    if (dry_run or is_agreed) and not (repair or accept or release):
        raise click.UsageError("--dry-run and --yes go with --repair, --accept-edits or --release-claims")
    if (repair or accept or release) and not dry_run:
        shared().if_interrupted = "interrupted: what was mended stays so; run the same command again for the rest"
    else:
        shared().if_interrupted = "interrupted: nothing was changed; run the same command again"

    async def work(storage: Storage) -> int:
        visit = Visit(
            storage=storage, company_id=company_id, accept=accept, repair=repair, release=release, dry_run=dry_run, is_agreed=is_agreed
        )
        await _examine(visit)
        return _closing(visit)

    return shared().run(work)


async def _examine(visit: Visit) -> None:
    from deskstore.domain.errors import StorageUnavailable
    from deskstore.domain.findings import Check
    from deskstore.domain.ports import Inspectable
    from deskstore.services.doctoring import inspection_of

    if not visit.mends and not isinstance(visit.storage, Inspectable):
        visit.checks.append(await _health(visit.storage))
        return
    inspection = inspection_of(visit.storage)
    visit.checks += await inspection.checks()
    for company_id in await _companies(visit, inspection):
        try:
            await _examine_company(visit, inspection, company_id)
        except StorageUnavailable as error:  # the others, and what was found so far, are worth knowing all the same
            visit.checks.append(Check(name=f"company {company_id}", is_fine=False, detail=str(error)))
            visit.errors.append(error)


async def _health(storage: Storage) -> Check:
    """All that can be told of a storage into which nobody can look."""
    from deskstore.domain.findings import Check

    health = await storage.health()
    companies = counted(health.companies, "company", "companies")
    return Check(name="storage", is_fine=True, detail=f"{health.adapter} answers, {health.place}, {companies}; it cannot be looked through")


async def _examine_company(visit: Visit, inspection: Inspection, company_id: str) -> None:
    visit.layouts[company_id] = await inspection.layout(company_id)
    if visit.mends:
        await _mend(visit, company_id)
    else:
        visit.findings += [finding async for finding in inspection.findings(company_id)]


async def _companies(visit: Visit, inspection: Inspection) -> Sequence[str]:
    if visit.company_id is None:
        return await inspection.companies()
    if visit.company_id not in await inspection.companies():
        raise click.UsageError(f"company {visit.company_id!r} does not exist: see which do with `deskstore company list`")
    return [visit.company_id]


async def _mend(visit: Visit, company_id: str) -> None:
    from deskstore.services.doctoring import accept_edits, release_claims, repair_company

    if visit.accept:
        visit.mended += [one async for one in accept_edits(visit.storage, company_id, dry_run=visit.dry_run)]
    if visit.repair:
        if not visit.dry_run:
            await _agree(visit, company_id, repair_company)
        visit.mended += [one async for one in repair_company(visit.storage, company_id, dry_run=visit.dry_run)]
    if visit.release and not visit.dry_run and await release_claims(visit.storage, company_id):
        visit.released.append(company_id)


async def _agree(visit: Visit, company_id: str, repair: Callable[..., AsyncIterator[Mended]]) -> None:
    """Ask before records are given up; raises UsageError when nobody can answer, or the answer is another one."""
    losses = 0
    async for one in repair(visit.storage, company_id, dry_run=True):
        losses += one.finding.is_loss
    if not losses or visit.is_agreed:
        return
    number = counted(losses, "record or summary", "records or summaries")
    what = f"{number} of {company_id!r} cannot be healed and would be given up"
    if not on_terminal(sys.stdin):
        raise click.UsageError(f"{what}: see which with --repair --dry-run, then add --yes")
    if click.prompt(f"deskstore: {what}. Type the company's name to go on", err=True) != company_id:
        raise click.UsageError(f"{what}, and that is not its name: nothing of it was repaired")


# -- what it says --------------------------------------------------------------------------------------------------------------------------


def _closing(visit: Visit) -> int:
    if shared().as_json:
        print_json(_shown(visit))
    else:
        _print_tables(visit)
    for line in _remarks(visit):
        tell(line)
    if visit.errors:
        return code_of(visit.errors[0])
    return FAILED if _is_at_fault(visit) else OK


def _is_at_fault(visit: Visit) -> bool:
    from deskstore.domain.findings import Remedy

    left = any(one.remedy is Remedy.LOST or one.remedy is Remedy.LEFT for one in visit.mended)
    return left or any(finding.is_fault for finding in visit.findings) or not all(check.is_fine for check in visit.checks)


def _remarks(visit: Visit) -> Sequence[str]:
    from deskstore.domain.findings import Remedy

    said = [f"{check.name}: {check.detail}" for check in visit.checks if not check.is_fine]
    advice = {finding.kind.value: finding.advice for finding in visit.findings}
    said += [f"{kind}: {what}" for kind, what in sorted(advice.items())]
    said += [_receipt(one) for one in visit.mended if one.detail or (one.remedy is Remedy.LOST and not visit.dry_run)]
    said += _claims_released(visit)
    said += _counted(visit)
    if visit.dry_run:
        said.append("nothing was changed: this was a dry run")
    elif lost := _lost(visit):
        number = counted(lost, "record or summary is lost: restore it", "records or summaries are lost: restore them")
        said.append(f"{number} from a backup, or import again")
    if not visit.mends:
        said.append(_summed_up(visit))
    return said


def _claims_released(visit: Visit) -> Sequence[str]:
    if visit.release and not visit.dry_run and not visit.released:
        return ["no claims were being held back"]
    return [f"{company_id}: tickets are handed out again" for company_id in visit.released]


def _summed_up(visit: Visit) -> str:
    faults = sum(finding.is_fault for finding in visit.findings)
    failed = sum(not check.is_fine for check in visit.checks)
    said = [counted(failed, "check failed", "checks failed")] if failed else []
    said += [counted(faults, "finding", "findings")] if faults else []
    return ", ".join(said) or "nothing is wrong"


def _counted(visit: Visit) -> Sequence[str]:
    """How often each remedy was found, in one line."""
    if not (visit.accept or visit.repair):
        return []
    counts = Counter(one.remedy.value for one in visit.mended)
    return [", ".join(f"{count:,} {remedy}" for remedy, count in sorted(counts.items())) or "there was nothing to mend"]


def _lost(visit: Visit) -> int:
    from deskstore.domain.findings import Remedy

    return sum(1 + one.summaries for one in visit.mended if one.remedy is Remedy.LOST)


def _receipt(one: Mended) -> str:
    summaries = f"with {counted(one.summaries, 'summary', 'summaries')}" if one.summaries else ""
    parts = (f"{one.remedy}: {one.finding.company_id}/{one.finding.place}{_named(one.finding)}", summaries, one.detail)
    return ": ".join(part for part in parts if part)


def _named(finding: Finding) -> str:
    if finding.key is None:
        return ""
    return f" ({finding.key}, summary {finding.number})" if finding.number else f" ({finding.key})"


def _print_tables(visit: Visit) -> None:
    if not visit.mends:
        settings = shared().settings().shown()
        print_table(["SETTING", "VALUE", "FROM"], [(variable, value or None, origin) for variable, value, origin in settings])
        click.echo()
    checks = [(check.name, "ok" if check.is_fine else "failed", check.detail) for check in visit.checks]
    checks += [
        (f"layout of {company_id}", "ok" if layout else "failed", str(layout or "unknown")) for company_id, layout in visit.layouts.items()
    ]
    print_table(["CHECK", "RESULT", "WHAT"], checks)
    if visit.findings:
        click.echo()
        rows = [(one.company_id, one.kind.value, one.place, one.what) for one in visit.findings]
        print_table(["COMPANY", "FINDING", "FILE", "WHAT"], rows)
    if visit.mended:
        click.echo()
        rows = [(one.finding.company_id, one.finding.kind.value, one.finding.place, one.remedy.value) for one in visit.mended]
        print_table(["COMPANY", "FINDING", "FILE", "REMEDY"], rows)


def _shown(visit: Visit) -> Shown:
    return {
        "settings": [{"variable": variable, "value": value, "origin": origin} for variable, value, origin in shared().settings().shown()],
        "checks": [{"name": check.name, "ok": check.is_fine, "detail": check.detail} for check in visit.checks],
        "companies": [{"company": company_id, "layout": layout} for company_id, layout in visit.layouts.items()],
        "findings": [_finding_shown(finding) for finding in visit.findings],
        "mended": [_mended_shown(one) for one in visit.mended],
        "released_claims": visit.released,
        "dry_run": visit.dry_run,
    }


def _finding_shown(finding: Finding) -> Shown:
    return {
        "company": finding.company_id,
        "kind": finding.kind.value,
        "file": finding.place,
        "record": None if finding.key is None else _key_shown(finding.key, finding.number),
        "what": finding.what,
        "advice": finding.advice,
        "healable": finding.is_healable,
        "fault": finding.is_fault,
    }


def _mended_shown(one: Mended) -> Shown:
    return {**_finding_shown(one.finding), "remedy": one.remedy.value, "detail": one.detail, "summaries": one.summaries}


def _key_shown(key: Key, number: int) -> Shown:
    return {"kind": key.kind, "platform": key.platform, "id": key.id, "locale": key.locale, "summary": number or None}
