"""The command, without any load."""

import sys

import pytest

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
