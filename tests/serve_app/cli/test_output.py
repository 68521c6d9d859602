import doctest
import types

import pytest

from serve_app import explain
from serve_app.cli import difference, output


@pytest.mark.parametrize("module", [output, difference, explain], ids=lambda module: module.__name__)
def test_the_examples_in_docstrings(module: types.ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed


def test_cells_are_not_markup(capsys: pytest.CaptureFixture[str]) -> None:
    output.Output(as_json=False).table(("name",), [("[red]x[/red] :smile:",)])
    assert capsys.readouterr().out == "name\n[red]x[/red] :smile:\n"


def test_what_is_piped_is_not_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    output.Output(as_json=False).table(("a", "b"), [("x" * 200, "y" * 200)])
    assert capsys.readouterr().out.splitlines()[1] == "x" * 200 + "  " + "y" * 200
