"""`apply -f`: a whole catalogue, all of it or nothing. Checks the file, shows the difference, asks, and applies it."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from serve_app.cli.asking import confirm
from serve_app.cli.command import server_command
from serve_app.cli.errors import (
    CliError,
    ConflictError,
    DifferenceFound,
    InterruptedByUserError,
    UnreachableError,
    VersionConflictError,
)
from serve_app.cli.options import File, Yes
from serve_app.cli.session import Session

if TYPE_CHECKING:
    from serve_app.cli.catalogue_file import CatalogueFile
    from serve_app.cli.importing import Import

UNCHANGED = "nothing was changed"


def add_apply(app: typer.Typer) -> None:
    """Adds the command."""
    server_command(app, "apply")(_apply)


def _apply(
    session: Session,
    file: File,
    prune: Annotated[bool, typer.Option("--prune", help="Delete what the file does not have.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the difference and change nothing; ends with 2 where there is one.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Make the catalogue what a file says, whole or not at all."""
    from serve_app.cli.catalogue_file import STDIN, read_catalogue
    from serve_app.cli.difference import changed

    if file == STDIN and not (yes or dry_run):
        raise CliError("standard input holds the file, so nobody can be asked: say --yes or --dry-run")
    if session.output.as_json and not (yes or dry_run):
        raise CliError("--json shows nobody what is asked: say --yes or --dry-run")
    try:
        catalogue = read_catalogue(file)
        count = catalogue.checked()
        staged, plan = _prepare(session, catalogue, count, prune=prune)
        _show(session, plan)
        if not changed(plan) or dry_run or plan["problems"]:
            if session.output.as_json:
                session.output.json(plan)
            _refuse_problems(plan)
            if changed(plan):
                raise DifferenceFound
            return
        if not yes:
            confirm("Apply this?", UNCHANGED)
    except KeyboardInterrupt:
        raise InterruptedByUserError(f"stopped; {UNCHANGED}") from None
    try:
        plan = _commit(session, staged, plan, prune=prune, yes=yes)
        state = _watch(session, staged)
    except KeyboardInterrupt:
        raise InterruptedByUserError(f"no longer watched. {_goes_on(staged)}") from None
    except UnreachableError as error:
        raise UnreachableError(f"{error}. {_goes_on(staged)}", error.code) from error
    if session.output.as_json:
        session.output.json({"plan": plan, "import": state})


def _goes_on(staged: "Import") -> str:
    return f"What is committed, the server completes (import {staged.id}): see `sluice audit`"


def _prepare(session: Session, file: "CatalogueFile", count: int, *, prune: bool) -> "tuple[Import, dict[str, Any]]":
    """Uploads the file and has it planned."""
    from serve_app.cli.importing import Import

    with session.output.progress() as progress:
        staged = Import(session.client)
        bar = progress.add_task("uploading", total=count)
        staged.upload(file, lambda done: progress.update(bar, completed=done))
        progress.update(bar, description="planning")
        return staged, staged.plan(prune=prune)


def _commit(session: Session, staged: "Import", plan: dict[str, Any], *, prune: bool, yes: bool) -> dict[str, Any]:
    """Commits the plan, or, where somebody was faster, another one, made once more. Returns what was committed."""
    try:
        staged.commit(plan["version"])
        return plan
    except VersionConflictError:
        session.output.note("the catalogue changed meanwhile: planned again")
    try:
        again = staged.plan(prune=prune)
        _show(session, again)
        _refuse_problems(again)
        if not yes and {**again, "version": 0} != {**plan, "version": 0}:
            confirm("Apply this?", UNCHANGED)
    except KeyboardInterrupt:
        raise InterruptedByUserError(f"stopped; {UNCHANGED}") from None
    staged.commit(again["version"])
    return again


def _watch(session: Session, staged: "Import") -> dict[str, Any]:
    """Shows how far it is, until it is done."""
    state: dict[str, Any] = {}
    with session.output.progress() as progress:
        bar = progress.add_task("applying", total=None)
        for state in staged.states():
            progress.update(bar, completed=state["done"], total=state["total"])
    if not session.output.as_json:
        session.output.line("applied: 1 change" if state["total"] == 1 else f"applied: {state['total']} changes")
    return state


def _show(session: Session, plan: dict[str, Any]) -> None:
    from serve_app.cli.difference import show_plan

    if not session.output.as_json:
        show_plan(session.output, plan)


def _refuse_problems(plan: dict[str, Any]) -> None:
    """Ends here where the file and the catalogue contradict each other; the server would not commit such a plan."""
    problems = plan["problems"]
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        listed = "".join(f"\n  {problem}" for problem in problems)
        raise ConflictError(f"the file cannot be applied to this catalogue: {count}, {UNCHANGED}{listed}")
