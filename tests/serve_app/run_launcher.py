"""Runs the launcher over any configuration file, for its tests: `run_launcher.py CONFIG STATE_DIR PORT`."""

import os
import sys
from pathlib import Path

from serve_app.errors import ServeAppError
from serve_app.launch import Launcher, Plan


def main(config: str, state_dir: str, port: str) -> None:
    plan = Plan(Path(config), Path(state_dir), "127.0.0.1", int(port))
    launcher = Launcher(plan, os.environ, lambda line: print(line, flush=True))
    try:
        launcher.run(on_ready=lambda: print("READY", flush=True))
    except ServeAppError as exc:
        print(f"FAILED {exc}", flush=True)
        raise SystemExit(1) from None
    print("STOPPED", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
