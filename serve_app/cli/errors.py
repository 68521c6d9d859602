"""What commands that talk to a server end with: an exit code each, and a sentence that says what to do.

Files and names that are wrong are `serve_app.errors`; answers of the server become these in `serve_app.cli.client`.
"""

from enum import IntEnum

from serve_app.errors import ServeAppError


class ExitCode(IntEnum):
    """What `sluice` ends with; docs/cli.md explains them."""

    OK = 0
    FAILED = 1
    """Wrong usage, a wrong file, or anything without a code of its own."""
    DIFFERENT = 2
    """`apply --dry-run`: something would change. Nothing else ends with this."""
    NOT_FOUND = 3
    REFUSED = 4
    """No key, an unknown one, or one without the right."""
    CONFLICT = 5
    """The name is taken or in use, or somebody else changed it first."""
    UNREACHABLE = 6
    """No answer, or the server cannot serve now."""
    INTERRUPTED = 130
    """Ctrl-C."""


class CliError(ServeAppError):
    """Base. `code` is the server's own where it gave one."""

    exit_code = ExitCode.FAILED
    code = "failed"

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code or self.code


class MissingKeyError(CliError):
    """A command needs a key and was given none."""

    exit_code = ExitCode.REFUSED
    code = "missing_api_key"


class NotFoundError(CliError):
    """There is no such thing on the server."""

    exit_code = ExitCode.NOT_FOUND
    code = "not_found"


class RefusedError(CliError):
    """The server does not accept the key, or not for this."""

    exit_code = ExitCode.REFUSED
    code = "refused"


class ConflictError(CliError):
    """What was asked contradicts what the server holds now."""

    exit_code = ExitCode.CONFLICT
    code = "conflict"


class VersionConflictError(ConflictError):
    """Somebody else changed it after it was read."""

    code = "version_conflict"


class TooLargeError(CliError):
    """The server does not take a body of that size."""

    code = "body_too_large"


class UnreachableError(CliError):
    """Nobody answers, or not in time."""

    exit_code = ExitCode.UNREACHABLE
    code = "unreachable"


class NotConfirmedError(CliError):
    """The person said no, or nobody could be asked."""

    code = "not_confirmed"


class InterruptedByUserError(CliError):
    """Ctrl-C. The text says what that leaves behind."""

    exit_code = ExitCode.INTERRUPTED
    code = "interrupted"


class DifferenceFound(Exception):
    """`apply --dry-run` found that something would change."""
