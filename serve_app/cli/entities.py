"""`show`, `apply -f` and `delete` of every kind. `list` is `serve_app.cli.listing`; whole catalogues are `applying`."""

from typing import Annotated, Any

import typer

from serve_app.cli.asking import confirm
from serve_app.cli.command import server_command
from serve_app.cli.completion import completing
from serve_app.cli.errors import CliError
from serve_app.cli.kinds import SINGULAR, name_of
from serve_app.cli.options import File, IfVersion, Yes
from serve_app.cli.session import Session


def add_show(app: typer.Typer, kind: str) -> None:
    """Adds the command `show` of this kind."""
    one = SINGULAR[kind]
    name_argument = Annotated[
        str, typer.Argument(metavar=_metavar(kind), help=f"Which {one}.", autocompletion=completing(kind))
    ]

    @server_command(app, "show", f"Show one {one} as YAML, ready to be edited and applied.")
    def command(session: Session, name: name_argument) -> None:
        from serve_app.cli.client import admin_path

        entity = session.client.get(admin_path(kind, _given(name, one)), has=_TOLD)
        if session.output.as_json:
            session.output.json(entity)
            return
        import yaml

        for comment in _comments(entity):
            session.output.line(f"# {comment}")
        session.output.line(yaml.safe_dump(_as_file(kind, entity), sort_keys=False, width=100).rstrip())


def add_apply(app: typer.Typer, kind: str) -> None:
    """Adds the command `apply` of this kind."""
    one = SINGULAR[kind]

    @server_command(app, "apply", f"Create or replace one {one} or several, each as the file has it.")
    def command(session: Session, file: File, if_version: IfVersion = None) -> None:
        from policies.catalogue import Kind
        from serve_app.cli.catalogue_file import read_entities
        from serve_app.cli.key_entry import KeySettings

        entities = read_entities(file, Kind(kind), KeySettings if kind == "keys" else None)
        if entities.checked() != 1 and if_version is not None:
            raise CliError(f"--if-version is for one {one}, and {file} does not hold just one")
        done: list[dict[str, Any]] = []
        for item in entities.items():
            fields = entities.entity(item).model_dump(mode="json", exclude_defaults=True)
            try:
                done.append(_put(session, kind, fields, if_version))
            except CliError as error:
                if not done:
                    raise
                raise _partly(error, kind, [name_of(kind, each) for each in done]) from error
        if session.output.as_json:
            session.output.json(done)


def add_delete(app: typer.Typer, kind: str) -> None:
    """Adds the command `delete` of this kind."""
    one = SINGULAR[kind]
    name_argument = Annotated[
        str, typer.Argument(metavar=_metavar(kind), help=f"Which {one}.", autocompletion=completing(kind))
    ]

    @server_command(app, "delete", f"Delete one {one}; refused while something else names it.")
    def command(session: Session, name: name_argument, yes: Yes = False, if_version: IfVersion = None) -> None:
        from serve_app.cli.client import admin_path

        path = admin_path(kind, _given(name, one))
        if not yes:
            session.client.get(path)  # nobody should be asked about what is not there
            confirm(f"Delete {one} {name}?")
        session.client.send("DELETE", path, if_match=_tag(if_version))
        if session.output.as_json:
            session.output.json({"deleted": name, "kind": kind})
        else:
            session.output.line(f"deleted {one} {name}")


_TOLD = ("source", "version", "problem")
"""What the server says of every entity beside its own fields."""


def _comments(entity: dict[str, Any]) -> list[str]:
    """What is to be known of an entity beside its fields."""
    told = [f"from the admin API, version {entity['version']}"]
    if entity["source"] == "config":
        told = ["from the configuration file, which the API does not write"]
    if entity.get("revoked"):
        told.append("revoked")
    if entity.get("previous_until"):
        told.append(f"the secret before the last rotation works until {entity['previous_until']}")
    if entity["problem"]:
        told.append(f"has no effect: {entity['problem']}")
    return told


def _as_file(kind: str, entity: dict[str, Any]) -> dict[str, Any]:
    """The entity as `apply -f` takes it: its own fields, without those that have their default."""
    from policies.catalogue import Kind
    from serve_app.cli.key_entry import KeySettings

    model = KeySettings if kind == "keys" else Kind(kind).entity
    own = {field: value for field, value in entity.items() if field in model.model_fields}
    return model.model_validate(own).model_dump(mode="json", exclude_defaults=True)


def _put(session: Session, kind: str, entity: dict[str, Any], if_version: int | None) -> dict[str, Any]:
    """Writes one entity and says what became of it."""
    import orjson

    from serve_app.cli.client import admin_path

    name = name_of(kind, entity)
    if kind == "keys":
        entity = {field: value for field, value in entity.items() if field != "id"}  # it stands in the path alone
    reply = session.client.send(
        "PUT", admin_path(kind, name), body=orjson.dumps(entity), if_match=_tag(if_version), has=_TOLD
    )
    if not session.output.as_json:
        what = "created" if reply.status == 201 else "applied"
        session.output.line(f"{what} {SINGULAR[kind]} {name} (version {reply.data['version']})")
    written: dict[str, Any] = reply.data
    return written


def _partly(error: CliError, kind: str, names: list[str]) -> CliError:
    """The error, with what had been written before it."""
    written = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
    count = f"1 {SINGULAR[kind]} was" if len(names) == 1 else f"{len(names)} {kind} were"
    return type(error)(
        f"{error} Before that {count} written: {written}. (`sluice apply` writes a file whole or not at all.)",
        error.code,
    )


def _given(name: str, one: str) -> str:
    if not name:
        raise CliError(f"the name of a {one} is empty")
    return name


def _tag(version: int | None) -> str | None:
    return None if version is None else f'"{version}"'


def _metavar(kind: str) -> str:
    return "ID" if kind == "keys" else "NAME"
