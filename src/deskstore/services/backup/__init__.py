"""Backups: one file that holds all of a company, taken from any storage while it is in use, and restored into any other."""

from __future__ import annotations

from deskstore.services.backup.checking import Backup, Loss, check_backup
from deskstore.services.backup.creating import create_backup
from deskstore.services.backup.listening import RunningBackup, forget_backups, running_backups
from deskstore.services.backup.listing import ListedBackup, list_backups
from deskstore.services.backup.restoring import Restored, RestoreMode, restore_backup, undo_restore

__all__ = [
    "Backup",
    "ListedBackup",
    "Loss",
    "RestoreMode",
    "Restored",
    "RunningBackup",
    "check_backup",
    "create_backup",
    "forget_backups",
    "list_backups",
    "restore_backup",
    "running_backups",
    "undo_restore",
]
