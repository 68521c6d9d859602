"""The catalogue: tenants, users, keys, tiers, models and policies, where they come from and how they are kept.

They have two sources. The configuration (`user_config` in serve_config.yaml) is held in memory by every process,
checked as one (`whole`). What the admin API writes is kept in Redis (`store`): a versioned record each, and a stream of
all changes, which is the audit log as well. `live` is both together as one process sees them now: it follows that
stream, and looks keys up when they are first used (`directory`), so a million of them cost no memory. `listing` and
`editing` are what the admin API does with it, and `imports` applies whole files, all or nothing.
"""

from policies.catalogue.kinds import Actor, AuditEntry, Kind, Page, Stored, name_of
from policies.catalogue.whole import Catalogue, check_user_config, describe

__all__ = [
    "Actor",
    "AuditEntry",
    "Catalogue",
    "Kind",
    "Page",
    "Stored",
    "check_user_config",
    "describe",
    "name_of",
]
