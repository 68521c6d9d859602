"""The commands of a block of shell, word by word; and those that can be compared with what there is.

Enough of a shell's grammar for what stands in documentation: words and quotes, comments, lines that go on, pipes,
lists, redirections and assignments before a command. Everything else is for bash itself.
"""

import re
import shlex

STATIC = ("make", "sluice", "python", "python3", "serve", "npm", "locust", "pip", "uv")
"""Programs whose use tests/docs/test_commands.py checks."""

HARMLESS = ("export", "echo", "cd", "source")
"""What stands between them."""

ASKING = ("curl", "sluice", *HARMLESS, "{", "}", "jq", "cat")
"""Programs of blocks that ask a server which runs already, and end by themselves."""

STARTING = ("up", "openapi")
"""Commands of `sluice` that ask nobody."""

_REDIRECTIONS = ("<", ">", ">>", "<<<", "2>", ">&")
_SEPARATORS = re.compile(r"[;&|()]+")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")


class NotParsedError(ValueError):
    """A block that is no shell, or more of it than is known here."""


def commands(text: str) -> list[list[str]]:
    """Each command of the block: its program's name, without a folder, and its arguments."""
    found: list[list[str]] = []
    for line in text.replace("\\\n", " ").splitlines():
        found += _of_line(line)
    return found


def _of_line(line: str) -> list[list[str]]:
    # A here-string is one word for bash: its quotes may hold whatever they like.
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|()<>")
    lexer.commenters = "#"
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError as error:
        raise NotParsedError(f"{line!r}: {error}") from error
    found: list[list[str]] = [[]]
    skip = False
    for word in words:
        if skip:
            skip = False
        elif _SEPARATORS.fullmatch(word):
            found.append([])
        elif word in _REDIRECTIONS:
            skip = True
        elif not (_ASSIGNMENT.match(word) and not found[-1]):
            found[-1].append(word)
    return [[command[0].rsplit("/", 1)[-1], *command[1:]] for command in found if command]


def is_static(command: list[str]) -> bool:
    """Whether it is checked without being run."""
    return command[0] in (*STATIC, *HARMLESS)


def is_asking(text: str) -> bool:
    """Whether the block asks a server that runs, and does nothing else."""
    found = commands(text)
    own = set(re.findall(r"^(\w+)\(\) \{", text, re.MULTILINE))
    asks = any(name == "curl" or (name == "sluice" and rest[:1] != ["check"]) for name, *rest in found)
    return asks and all(
        name in own or (name in ASKING and not (name == "sluice" and rest[:1] and rest[0] in STARTING))
        for name, *rest in found
    )
