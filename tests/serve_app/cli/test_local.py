"""The command line: one clear message, the right exit code, and no wait for a help text."""

import subprocess
import sys
from pathlib import Path


def sluice(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("sluice"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def test_the_default_file_of_this_repository_is_right() -> None:
    root = Path(__file__).parents[3]
    answer = sluice("check", cwd=root)
    assert (answer.returncode, answer.stdout) == (0, "ok\n"), answer.stderr


def test_the_example_for_vllm_is_right_where_vllm_is_not_installed() -> None:
    answer = sluice("check", "serve_config.vllm.yaml", cwd=Path(__file__).parents[3])
    assert (answer.returncode, answer.stdout) == (0, "ok\n"), answer.stderr


def test_the_file_for_gpus_is_right_where_there_is_none() -> None:
    answer = sluice("check", "serve_config.gpu.yaml", cwd=Path(__file__).parents[3])
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "ok\n", "")


def test_what_is_hardly_meant_is_said(tmp_path: Path) -> None:
    right = (Path(__file__).parents[3] / "serve_config.gpu.yaml").read_text()
    (tmp_path / "serve_config.yaml").write_text(right.replace("num_cpus: 2, num_gpus: 0", "num_cpus: 2, num_gpus: 1"))
    answer = sluice("check", cwd=tmp_path)
    assert (answer.returncode, answer.stdout) == (0, "ok\n")
    assert answer.stderr.startswith("warning: model-embed: num_gpus: 1 is kept from other models, and device: cpu")


def test_bad_input_is_named_without_a_traceback(tmp_path: Path) -> None:
    answer = sluice("check", "absent.yaml", cwd=tmp_path)
    assert answer.returncode == 1
    assert answer.stderr == (
        "sluice: absent.yaml: 1 problem, nothing was started\n  - cannot be read: No such file or directory\n"
    )


def test_up_checks_first(tmp_path: Path) -> None:
    (tmp_path / "serve_config.yaml").write_text("application: []\n")
    answer = sluice("up", cwd=tmp_path)
    assert answer.returncode == 1
    assert "application: unknown key; did you mean applications?" in answer.stderr
    assert not (tmp_path / ".sluice").exists()


def test_tls_that_haproxy_does_not_speak(tmp_path: Path) -> None:
    right = (Path(__file__).parents[3] / "serve_config.yaml").read_text()
    files = "http_options:\n  ssl_certfile: /etc/tls.crt\n  ssl_keyfile: /etc/tls.key\n"
    (tmp_path / "serve_config.yaml").write_text(right.replace("http_options:\n", files))
    checked = sluice("check", cwd=tmp_path)
    assert (checked.returncode, checked.stdout) == (0, "ok\n")
    assert checked.stderr.startswith("warning: http_options.ssl_certfile is for Ray Serve's own proxy")
    up = sluice("up", cwd=tmp_path)
    assert up.returncode == 1
    assert "`sluice up` puts HAProxy in front, which speaks no TLS" in up.stderr
    assert not (tmp_path / ".sluice").exists()


def test_an_unknown_command_is_bad_input() -> None:
    assert sluice("upp").returncode == 1


def test_help_waits_for_nothing_that_is_slow_to_load() -> None:
    slow = "{'ray', 'httpx', 'redis', 'pydantic'}"
    loads = f"import sys, serve_app.cli.app as m; m.build(); print(*{slow} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", loads], capture_output=True, text=True, check=True).stdout == "\n"
