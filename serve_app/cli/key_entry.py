"""A key's entry in a file: one made here with its secret, and one as `keys apply -f` takes it."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from policies.catalogue import describe
from policies.catalogue.editing import new_key
from policies.entities import KEY_ID, ApiKey, Moment, Name, Role
from serve_app.cli.errors import CliError


class KeySettings(BaseModel):
    """What `keys apply -f` sets of a key that was issued; its secret stays what it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(pattern=KEY_ID)]
    user: Name
    role: Role = Role.INFERENCE
    models: tuple[Name, ...] | None = None
    expires_at: Moment | None = None


def fresh_key(fields: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The whole key, and its entry in a catalogue. `fields`: those of the entry that were asked for."""
    key_id, secret, sha256 = new_key(fields.get("id"))
    entry = {"id": key_id, **fields, "sha256": sha256}
    try:
        ApiKey.model_validate(entry)
    except ValidationError as error:
        raise CliError("; ".join(describe(error, "key", ApiKey))) from error
    return secret, entry
