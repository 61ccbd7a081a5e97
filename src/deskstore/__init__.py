"""
Keeps the helpdesk data of many companies: on files first, on PostgreSQL and Redis later, without a change in the code that uses it.

    async with deskstore.open_storage() as storage:
        await deskstore.save_ticket(storage, "acme", "freshdesk", payload)

Every name is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from deskstore.bootstrap import Settings, StorageType, open_sides, open_storage
    from deskstore.domain.adapting import Adapter, Variable
    from deskstore.domain.comparing import Depth
    from deskstore.domain.errors import (
        ArticleNotFound,
        BackupError,
        ClaimLost,
        CommitOutcomeUnknown,
        CompanyErased,
        CompanyMoved,
        CompanyRequired,
        ConfigurationError,
        CorruptRecord,
        DamagedBackup,
        InvalidIdentifier,
        InvalidRecord,
        InvalidTransition,
        MigrationError,
        RequesterSuppressed,
        StorageBusy,
        StorageError,
        StorageUnavailable,
        StoreReplaced,
        TicketNotFound,
        UncommittedChanges,
        UnitOfWorkMisuse,
        VersionConflict,
    )
    from deskstore.domain.findings import Finding, FindingKind, Mended, Remedy
    from deskstore.domain.identifiers import Key, article_key, ticket_key
    from deskstore.domain.outcomes import UnitOutcome
    from deskstore.domain.paging import Filter, Page
    from deskstore.domain.ports import Storage, UnitOfWork
    from deskstore.domain.processing import Checkpoint, Claim, PlatformStats, Processing, ProcessingStatus, Progress
    from deskstore.domain.receiving import Outcome, Received
    from deskstore.domain.records import Article, Fields, SourceVersion, Ticket
    from deskstore.domain.summaries import StaleSummary, Summary
    from deskstore.facade import DictStorage, StorageFactory, StorageInterface, get_storage
    from deskstore.formats.logs import JsonLines
    from deskstore.formats.platforms import Options
    from deskstore.services.adopting import AdoptReport, adopt
    from deskstore.services.articles import (
        delete_article,
        find_article,
        get_article,
        list_article_locales,
        list_articles,
        save_article,
        save_articles,
    )
    from deskstore.services.backup import (
        Backup,
        ListedBackup,
        Loss,
        Restored,
        RunningBackup,
        check_backup,
        create_backup,
        forget_backups,
        list_backups,
        restore_backup,
        running_backups,
        undo_restore,
    )
    from deskstore.services.companies import Receipt, erase_company, get_platform_stats, list_companies, list_erasures
    from deskstore.services.doctoring import accept_edits, inspect_company, release_claims, repair_company
    from deskstore.services.erasing import RequesterReceipt, erase_requester, lift_suppression
    from deskstore.services.exporting import ExportReport, export_records
    from deskstore.services.holding import Ending, HeldClaim, Retry
    from deskstore.services.importing import ImportReport, import_records
    from deskstore.services.migrating import (
        FinishReport,
        MigrationPlan,
        MigrationStatus,
        Pace,
        RepairReport,
        StartReport,
        SwapReport,
        VerifyReport,
        cut_over,
        finish_migration,
        migration_status,
        plan_migration,
        repair_migration,
        roll_back,
        start_migration,
        verify_migration,
    )
    from deskstore.services.migrating.audit import AuditFile
    from deskstore.services.processing import (
        claim_tickets,
        complete,
        fail,
        get_processing,
        get_processing_progress,
        release,
        renew,
        update_processing_status,
    )
    from deskstore.services.requeuing import failed_tickets, list_claims, outdated_tickets, requeue, take_back
    from deskstore.services.stopping import stop_on_signals
    from deskstore.services.summaries import SummaryDraft, find_current_summary, save_summary, stale_summaries, summary_history
    from deskstore.services.tickets import delete_ticket, find_ticket, get_ticket, list_tickets, save_ticket, save_tickets
    from deskstore.services.working import Worked, claims, work_off

__version__ = "0.1.0.dev0"

#: module -> the names that are loaded from it when they are first used: those that type checkers are told of above
_PLACES: Final[dict[str, tuple[str, ...]]] = {
    "bootstrap": ("Settings", "StorageType", "open_sides", "open_storage"),
    "domain.adapting": ("Adapter", "Variable"),
    "domain.errors": (
        "ArticleNotFound",
        "BackupError",
        "ClaimLost",
        "CommitOutcomeUnknown",
        "CompanyErased",
        "CompanyMoved",
        "CompanyRequired",
        "ConfigurationError",
        "CorruptRecord",
        "DamagedBackup",
        "InvalidIdentifier",
        "InvalidRecord",
        "InvalidTransition",
        "MigrationError",
        "RequesterSuppressed",
        "StorageBusy",
        "StorageError",
        "StorageUnavailable",
        "StoreReplaced",
        "TicketNotFound",
        "UncommittedChanges",
        "UnitOfWorkMisuse",
        "VersionConflict",
    ),
    "domain.findings": ("Finding", "FindingKind", "Mended", "Remedy"),
    "domain.identifiers": ("Key", "article_key", "ticket_key"),
    "domain.outcomes": ("UnitOutcome",),
    "domain.paging": ("Filter", "Page"),
    "domain.ports": ("Storage", "UnitOfWork"),
    "domain.processing": ("Checkpoint", "Claim", "PlatformStats", "Processing", "ProcessingStatus", "Progress"),
    "domain.receiving": ("Outcome", "Received"),
    "domain.records": ("Article", "Fields", "SourceVersion", "Ticket"),
    "domain.summaries": ("StaleSummary", "Summary"),
    "facade": ("DictStorage", "StorageFactory", "StorageInterface", "get_storage"),
    "formats.logs": ("JsonLines",),
    "formats.platforms": ("Options",),
    "services.adopting": ("AdoptReport", "adopt"),
    "services.articles": (
        "delete_article",
        "find_article",
        "get_article",
        "list_article_locales",
        "list_articles",
        "save_article",
        "save_articles",
    ),
    "services.backup": (
        "Backup",
        "ListedBackup",
        "Loss",
        "Restored",
        "RunningBackup",
        "check_backup",
        "create_backup",
        "forget_backups",
        "list_backups",
        "restore_backup",
        "running_backups",
        "undo_restore",
    ),
    "services.companies": ("Receipt", "erase_company", "get_platform_stats", "list_companies", "list_erasures"),
    "services.doctoring": ("accept_edits", "inspect_company", "release_claims", "repair_company"),
    "services.erasing": ("RequesterReceipt", "erase_requester", "lift_suppression"),
    "services.exporting": ("ExportReport", "export_records"),
    "services.holding": ("Ending", "HeldClaim", "Retry"),
    "services.importing": ("ImportReport", "import_records"),
    "domain.comparing": ("Depth",),
    "services.migrating.audit": ("AuditFile",),
    "services.migrating": (
        "FinishReport",
        "MigrationPlan",
        "MigrationStatus",
        "Pace",
        "RepairReport",
        "StartReport",
        "SwapReport",
        "VerifyReport",
        "cut_over",
        "finish_migration",
        "migration_status",
        "plan_migration",
        "repair_migration",
        "roll_back",
        "start_migration",
        "verify_migration",
    ),
    "services.processing": (
        "claim_tickets",
        "complete",
        "fail",
        "get_processing",
        "get_processing_progress",
        "release",
        "renew",
        "update_processing_status",
    ),
    "services.requeuing": ("failed_tickets", "list_claims", "outdated_tickets", "requeue", "take_back"),
    "services.stopping": ("stop_on_signals",),
    "services.summaries": ("SummaryDraft", "find_current_summary", "save_summary", "stale_summaries", "summary_history"),
    "services.tickets": ("delete_ticket", "find_ticket", "get_ticket", "list_tickets", "save_ticket", "save_tickets"),
    "services.working": ("Worked", "claims", "work_off"),
}
_PLACE_OF: Final = {name: f"deskstore.{place}" for place, names in _PLACES.items() for name in names}

__all__ = [
    "Adapter",
    "AdoptReport",
    "Article",
    "ArticleNotFound",
    "AuditFile",
    "Backup",
    "BackupError",
    "Checkpoint",
    "Claim",
    "ClaimLost",
    "CommitOutcomeUnknown",
    "CompanyErased",
    "CompanyMoved",
    "CompanyRequired",
    "ConfigurationError",
    "CorruptRecord",
    "DamagedBackup",
    "Depth",
    "DictStorage",
    "Ending",
    "ExportReport",
    "Fields",
    "Filter",
    "Finding",
    "FindingKind",
    "FinishReport",
    "HeldClaim",
    "ImportReport",
    "InvalidIdentifier",
    "InvalidRecord",
    "InvalidTransition",
    "JsonLines",
    "Key",
    "ListedBackup",
    "Loss",
    "Mended",
    "MigrationError",
    "MigrationPlan",
    "MigrationStatus",
    "Options",
    "Outcome",
    "Pace",
    "Page",
    "PlatformStats",
    "Processing",
    "ProcessingStatus",
    "Progress",
    "Receipt",
    "Received",
    "Remedy",
    "RepairReport",
    "RequesterReceipt",
    "RequesterSuppressed",
    "Restored",
    "Retry",
    "RunningBackup",
    "Settings",
    "SourceVersion",
    "StaleSummary",
    "StartReport",
    "Storage",
    "StorageBusy",
    "StorageError",
    "StorageFactory",
    "StorageInterface",
    "StorageType",
    "StorageUnavailable",
    "StoreReplaced",
    "Summary",
    "SummaryDraft",
    "SwapReport",
    "Ticket",
    "TicketNotFound",
    "UncommittedChanges",
    "UnitOfWork",
    "UnitOfWorkMisuse",
    "UnitOutcome",
    "Variable",
    "VerifyReport",
    "VersionConflict",
    "Worked",
    "__version__",
    "accept_edits",
    "adopt",
    "article_key",
    "check_backup",
    "claim_tickets",
    "claims",
    "complete",
    "create_backup",
    "cut_over",
    "delete_article",
    "delete_ticket",
    "erase_company",
    "erase_requester",
    "export_records",
    "fail",
    "failed_tickets",
    "find_article",
    "find_current_summary",
    "find_ticket",
    "finish_migration",
    "forget_backups",
    "get_article",
    "get_platform_stats",
    "get_processing",
    "get_processing_progress",
    "get_storage",
    "get_ticket",
    "import_records",
    "inspect_company",
    "lift_suppression",
    "list_article_locales",
    "list_articles",
    "list_backups",
    "list_claims",
    "list_companies",
    "list_erasures",
    "list_tickets",
    "migration_status",
    "open_sides",
    "open_storage",
    "outdated_tickets",
    "plan_migration",
    "release",
    "release_claims",
    "renew",
    "repair_company",
    "repair_migration",
    "requeue",
    "restore_backup",
    "roll_back",
    "running_backups",
    "save_article",
    "save_articles",
    "save_summary",
    "save_ticket",
    "save_tickets",
    "stale_summaries",
    "start_migration",
    "stop_on_signals",
    "summary_history",
    "take_back",
    "ticket_key",
    "undo_restore",
    "update_processing_status",
    "verify_migration",
    "work_off",
]


def __getattr__(name: str) -> object:
    if name not in _PLACE_OF:
        raise AttributeError(f"module 'deskstore' has no attribute {name!r}")
    found: object = getattr(import_module(_PLACE_OF[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
