"""Every error that starting and configuring the application can raise.

One base, `ServeAppError`: its text is written for the person at the terminal (what is wrong, what is
accepted, how to put it right), and `serve_app.cli` prints it as it is. Errors of the limits themselves are in
`policies.errors`.
"""

from collections.abc import Sequence


class ServeAppError(Exception):
    """Base: something about starting this application failed, and the text says what to do."""

    exit_code = 1
    """What the process ends with when the command line meets this error."""


class ConfigFileError(ServeAppError):
    """A file that must not be started. `problems` holds every one found, in the file's order."""

    def __init__(self, path: str, problems: Sequence[str]) -> None:
        self.path = path
        self.problems = tuple(problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        listed = "\n".join(f"  - {problem}" for problem in self.problems)
        super().__init__(f"{path}: {count}, nothing was started\n{listed}")

    def __reduce__(self) -> tuple[type["ConfigFileError"], tuple[str, tuple[str, ...]]]:
        return type(self), (self.path, self.problems)


class RuntimeDirectoryError(ServeAppError):
    """The directory for sockets cannot be used: somebody else made it, or its path is too long."""


class EmbeddedRedisError(ServeAppError):
    """The embedded Redis could not be started or did not answer."""


class RedisBinaryError(EmbeddedRedisError):
    """No redis-server that can be used on this machine."""


class RedisInUseError(EmbeddedRedisError):
    """Another process keeps the same data directory."""


class LaunchError(ServeAppError):
    """`sluice up` could not bring the application up."""


class AlreadyRunningError(LaunchError):
    """Another `sluice up` runs over the same state directory."""


class PortInUseError(LaunchError):
    """A port that the application needs is held by a process that is not ours."""


class DemoExposedError(ServeAppError):
    """Demo keys where others than this machine could use them."""

    def __init__(self, host: str | None) -> None:
        super().__init__(
            f"args.demo is true, and http_options.host is {host!r}: the demo keys are known to everybody. "
            "Set http_options.host to 127.0.0.1, or demo to false and issue keys of your own."
        )


class ResourcesLackingError(ServeAppError):
    """The Ray cluster can never place what the configuration asks for."""


class UnknownNameError(ServeAppError):
    """The command line was given a name that is not there."""
