"""Entity tags and the conditions that clients set on them: `ETag`, `If-Match`, `If-None-Match` (RFC 9110, 8.8 and 13).

An entity of the API is tagged with the catalogue's version of its last write, one of the configuration with a hash of
what it says. All our tags are strong.
"""

import hashlib
import re
from dataclasses import dataclass

from starlette.datastructures import Headers

from deployments.ingress.errors import HttpError
from policies.catalogue import Kind, Stored

_TAG = re.compile(r'[ \t]*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*')
_VERSION = re.compile(r"0|[1-9][0-9]{0,14}", re.ASCII)

MAX_TAGS = 20
"""Most tags that one header may list; nobody has more versions of one thing at hand."""


def etag_of(stored: Stored) -> str:
    """The entity tag, with its quotes: `"12"`, `"config-1a2b3c4d"`."""
    if stored.source == "api":
        return f'"{stored.version}"'
    return f'"config-{hashlib.sha256(stored.entity.model_dump_json().encode()).hexdigest()[:8]}"'


@dataclass(frozen=True, slots=True)
class Tags:
    """One such header, read: `*`, or a list of tags without their quotes."""

    strong: frozenset[str] = frozenset()
    weak: frozenset[str] = frozenset()
    any: bool = False

    @property
    def version(self) -> int | None:
        """The number, where it is one tag that is one."""
        if self.any or len(self.strong) != 1:
            return None
        (tag,) = self.strong
        return int(tag) if _VERSION.fullmatch(tag) else None

    def is_strongly(self, etag: str) -> bool:
        """As `If-Match` compares: a weak tag is never the same."""
        return self.any or etag.strip('"') in self.strong

    def is_weakly(self, etag: str) -> bool:
        """As `If-None-Match` compares."""
        return self.any or etag.strip('"') in self.strong | self.weak

    def __str__(self) -> str:
        return (
            "*" if self.any else ", ".join([*map('"{}"'.format, sorted(self.strong)), *map('W/"{}"'.format, self.weak)])
        )


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a request demands of what is there before anything is done."""

    match: Tags | None = None
    none_match: Tags | None = None

    @classmethod
    def of(cls, headers: Headers) -> "Conditions":
        """The conditions in these headers; 400 where one cannot be read."""
        return cls(_read(headers, "If-Match"), _read(headers, "If-None-Match"))

    @property
    def exact_version(self) -> int | None:
        """The version that the entity must be at, where the conditions ask for just that: then Redis alone decides, in
        the very step that writes."""
        version = None if self.match is None or self.none_match is not None else self.match.version
        return version or None  # nothing is ever at version 0

    def check(self, kind: Kind, name: str, current: Stored | None) -> None:
        """412 unless they hold for what there is of this name now."""
        what = f"{kind.singular.capitalize()} {name!r}"
        etag = None if current is None else etag_of(current)
        if self.match is not None and (etag is None or not self.match.is_strongly(etag)):
            raise _failed(what, f"If-Match: {self.match}", etag)
        if self.none_match is not None and etag is not None and self.none_match.is_weakly(etag):
            raise _failed(what, f"If-None-Match: {self.none_match}", etag)


def _read(headers: Headers, name: str) -> Tags | None:
    value = ", ".join(headers.getlist(name))  # several lines of a list are one list
    if name not in headers:
        return None
    if value.strip() == "*":
        return Tags(any=True)
    strong: set[str] = set()
    weak: set[str] = set()
    at = 0
    while match := _TAG.match(value, at):
        (weak if match[1] else strong).add(match[2])
        at = match.end()
        if at == len(value):
            if len(strong) + len(weak) > MAX_TAGS:
                raise HttpError(400, "invalid_header", f"{name} lists more than {MAX_TAGS} tags.", param=name)
            return Tags(frozenset(strong), frozenset(weak))
        if value[at] != ",":
            break
        at += 1
    raise HttpError(
        400, "invalid_header", f'{name} must be * or entity tags in quotes, such as {name}: "12".', param=name
    )


def _failed(what: str, condition: str, etag: str | None) -> HttpError:
    if etag is None:
        message = f"{what} does not exist, and the request was made on the condition {condition}: nothing was changed."
    else:
        message = (
            f"{what} is at version {etag}, and the request was made on the condition {condition}: nothing was changed. "
            "Read it again and repeat the change on what it is now."
        )
    return HttpError(412, "version_conflict", message, headers={} if etag is None else {"etag": etag})
