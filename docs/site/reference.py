"""Writes what of the documentation is made from the code: `python -m docs.site.reference` (`make reference`)."""

from pathlib import Path

from docs.site import api, fields, python_api

DOCS = Path(__file__).parents[1]


def made() -> dict[Path, str]:
    """Every page that is made, or has a part that is, as it has to be now."""
    pages = {DOCS / "api.md": api.page(), DOCS / "python.md": python_api.page()}
    for path in sorted(DOCS.glob("*.md")):
        text = path.read_text()
        if fields.models_in(text):
            pages[path] = fields.with_tables(text)
    return pages


def main() -> None:
    for path, text in made().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
