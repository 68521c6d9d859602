"""Runs what needs Locust in a process of its own: it patches the standard library when it is imported."""

import subprocess
import sys

from loadtests.sluice_up import ROOT


def told(script: str, *arguments: str) -> str:
    """What the script printed; it has to end well."""
    command = [sys.executable, "-c", script, *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
