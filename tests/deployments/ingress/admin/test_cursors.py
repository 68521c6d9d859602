"""Cursors: opaque, bound to their list, refused when they are something else."""

import base64

import pytest

from deployments.ingress.admin.cursors import MAX_CURSOR, after_name, before_number, cursor_of
from deployments.ingress.errors import HttpError


@pytest.mark.parametrize("name", ["a", "owner/name", "z" * 128])
def test_a_name_comes_back(name: str) -> None:
    cursor = cursor_of("models", name)
    assert cursor is not None
    assert len(cursor) <= MAX_CURSOR
    assert after_name("models", cursor) == name


def test_a_number_comes_back() -> None:
    assert before_number("audit", cursor_of("audit", 12)) == 12


def test_the_ends() -> None:
    assert cursor_of("models", None) is None
    assert (after_name("models", None), before_number("audit", None)) == ("", None)


@pytest.mark.parametrize(
    "cursor",
    [
        *("", "x", "0", "models", "%%%%", "é", "a" * 400),
        *(base64.urlsafe_b64encode(text).decode().rstrip("=") for text in (b"null", b"[]", b"{}", b'["models"]', b"7")),
        base64.urlsafe_b64encode(b'["models",null]').decode(),
        base64.urlsafe_b64encode(b'["models",["a"]]').decode(),
        base64.urlsafe_b64encode(b'["models",true]').decode(),
        cursor_of("tenants", "a"),
        cursor_of("models", 12),
    ],
)
def test_what_is_no_cursor_of_this_list(cursor: str) -> None:
    with pytest.raises(HttpError) as caught:
        after_name("models", cursor)
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, "invalid_cursor", "cursor")


@pytest.mark.parametrize("after", ["a", 0, -1, 1 << 60])
def test_what_is_no_cursor_of_the_audit(after: str | int) -> None:
    with pytest.raises(HttpError):
        before_number("audit", cursor_of("audit", after))
