"""Every error that `policies` raises. Drivers' errors are mapped to these in `policies.store`, nowhere else."""

import re

_CREDENTIAL = re.compile(r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{4,}|[0-9A-Fa-f]{64,}")


def redacted(text: str) -> str:
    """The text without what reads like an API key or the hash of one: such things go astray, into paths and names."""
    return _CREDENTIAL.sub("…", text)


class PoliciesError(Exception):
    """Base of all."""


class RedisUrlError(PoliciesError, ValueError):
    """An address of a Redis that cannot be understood. Says what is wrong and never shows a password."""


class RedisAccessError(PoliciesError, ValueError):
    """A password or certificate for Redis that does not fit the address, or whose file cannot be used. Never shows what
    the file holds."""


class InvalidChargeError(PoliciesError, ValueError):
    """What was asked makes no sense (a cost below 1, the same window charged twice). A fault of the caller."""


class CostExceedsLimitError(PoliciesError):
    """The cost is above the limit itself: no amount of waiting makes it fit, so it must not be retried."""

    def __init__(self, policy: str, unit: str, cost: int, limit: int) -> None:
        super().__init__(
            f"this request costs {cost} {unit}, and policy {policy!r} never allows more than {limit}: "
            f"ask for at most {limit}"
        )
        self.policy, self.unit, self.cost, self.limit = policy, unit, cost, limit


class CatalogueError(PoliciesError, ValueError):
    """A catalogue that contradicts itself. `problems` holds one sentence each, with the place and the fix; what reads
    like a key is not repeated in it."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = [redacted(problem) for problem in problems]
        super().__init__("\n".join(self.problems))


class UnknownDecisionError(PoliciesError):
    """No such decision is remembered: it was never made, was another owner's, or its time is over."""

    def __init__(self, identifier: str) -> None:
        super().__init__(f"decision {identifier!r} is not known here: it has run out, or was made with another API key")


class CatalogueChangeError(PoliciesError):
    """Base: a change of the catalogue was refused, and nothing was changed. It names the value and the fix."""


class NotFoundError(CatalogueChangeError):
    """There is no such entity."""


class AlreadyExistsError(CatalogueChangeError):
    """The name is taken."""


class VersionConflictError(CatalogueChangeError):
    """Somebody else has changed it since it was read. `version` is what it is now; 0 where it is gone."""

    def __init__(self, message: str, version: int) -> None:
        super().__init__(message)
        self.version = version


class InUseError(CatalogueChangeError):
    """Others name it, so it cannot be deleted."""


class UnknownReferenceError(CatalogueChangeError):
    """It names something that does not exist."""


class ManagedByConfigError(CatalogueChangeError):
    """It stands in the configuration file, which the API does not write."""


class RefusedChangeError(CatalogueChangeError):
    """What was asked is not allowed whatever the catalogue holds, such as taking a revocation back."""


class ImportRunningError(CatalogueChangeError):
    """A whole file is being applied; others wait until that is done."""


class StoreError(PoliciesError):
    """Redis did not do what was asked. What was asked may or may not have happened: acquires are never resent."""


class StoreUnavailableError(StoreError):
    """Redis cannot be reached, or the connection broke."""


class StoreTimeoutError(StoreUnavailableError):
    """Redis did not answer within the deadline."""


class StoreRefusedError(StoreError):
    """Redis answered with an error (a key of another type, out of memory, a read-only replica); nothing was done."""
