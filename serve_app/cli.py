"""The command line (console script `sluice`)."""


def main() -> None:
    raise SystemExit("not built yet")
