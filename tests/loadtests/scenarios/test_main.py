"""The command, without any load."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from loadtests.scenarios import __main__ as command_line
from loadtests.scenarios.__main__ import FOLDER, command, main, run, scenarios


def test_every_scenario_is_listed_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert len(scenarios()) >= 8
    for name, what in scenarios().items():
        assert what.endswith((".", "?")), name
        assert f"  {name} " in shown
        assert f'name="{name}"' in (FOLDER / f"{name}.py").read_text()  # its report is found under this name


def test_a_scenario_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["steady_mixx"]) == 2
    assert "steady_mix" in capsys.readouterr().err


def test_no_load_beyond_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["steady_mix", "--host", "http://192.0.2.1:8000"]) == 2
    assert "--beyond-loopback" in capsys.readouterr().err


def test_further_options_are_locusts() -> None:
    line = command("steady_mix", "http://127.0.0.1:1", ["--processes", "2"])
    assert line[-2:] == ["--processes", "2"]
    assert str(FOLDER / "steady_mix.py") in line


@pytest.mark.parametrize("status", [0, 1])
def test_the_exit_status_is_the_scenarios(status: int) -> None:
    assert run([sys.executable, "-c", f"raise SystemExit({status})"]) == status


@pytest.mark.parametrize(
    ("own", "status", "left"),
    [
        (True, 0, {"steady_mix.json": "new"}),
        (True, 1, {"steady_mix.json": "new", "steady_mix.server.log": "it died"}),
        (True, 2, {"steady_mix.server.log": "it died"}),  # nothing was run
        (False, 1, {"steady_mix.json": "new"}),
    ],
)
def test_what_a_run_leaves(
    own: bool,
    status: int,
    left: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    reports = tmp_path / "reports"
    reports.mkdir()
    for kind in ("html", "json", "server.log"):
        (reports / f"steady_mix.{kind}").write_text("of an earlier run")
    (log := tmp_path / "log").write_text("it died")

    @contextmanager
    def server(host: str) -> Iterator[tuple[str, Path | None]]:
        yield "http://127.0.0.1:1", log if own else None

    def run(line: Sequence[str]) -> int:
        if status < 2:
            (reports / "steady_mix.json").write_text("new")
        return status

    for name, instead in {"REPORTS": reports, "ROOT": tmp_path, "server": server, "run": run}.items():
        monkeypatch.setattr(command_line, name, instead)
    assert main(["steady_mix"]) == status
    assert {path.name: path.read_text() for path in reports.iterdir()} == left
    shown = ", ".join(name.removeprefix("steady_mix") for name in left)
    assert f"reports: reports/steady_mix{shown}\n" in capsys.readouterr().out
