"""What can go wrong when the scheduler is called. None of it is an answer to a request: those are outcomes."""


class SchedulerError(Exception):
    """Base: the caller's mistake; nothing was changed."""


class UnknownPoolError(SchedulerError):
    """No pool of this name: `add_pool` comes first."""


class UnknownBandError(SchedulerError):
    """The pool's settings name no such band."""


class BandsChangedError(SchedulerError):
    """New settings must have the bands of the old ones, in their order: requests wait in them."""
