"""
Moving a company from one storage to another while it is being written, and back.

start attaches a mirror and fills it, verify compares the two, cut over makes the mirror the primary, roll back does the same the other
way, and finish lets go of the side that is not the primary. Each of them may be interrupted anywhere and called again.
"""

from deskstore.services.migrating.changing import cut_over, finish_migration, roll_back
from deskstore.services.migrating.places import migration_status, plan_migration
from deskstore.services.migrating.reports import (
    FinishReport,
    MigrationPlan,
    MigrationStatus,
    RepairReport,
    StartReport,
    SwapReport,
    VerifyReport,
)
from deskstore.services.migrating.starting import Pace, start_migration
from deskstore.services.migrating.verifying import repair_migration, verify_migration

__all__ = [
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
]
