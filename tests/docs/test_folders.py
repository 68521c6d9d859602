"""Links to folders, on the site."""

import pytest

from docs.site.folders import unlinked


@pytest.mark.parametrize(
    ("page", "text", "expected"),
    [
        ("README", "see [examples/](examples/) first", "see `examples/` first"),
        ("docs/page", "[`frontend/`](../frontend/)", "`frontend/`"),
        ("docs/page", "[nowhere](../no-such-folder/)", "[nowhere](../no-such-folder/)"),
        (
            "docs/page",
            "[a page](cli.md), [a site](https://locust.io/)",
            "[a page](cli.md), [a site](https://locust.io/)",
        ),
    ],
)
def test_links_to_folders(page: str, text: str, expected: str) -> None:
    assert unlinked(page, text) == expected
