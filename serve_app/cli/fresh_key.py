"""A fresh API key, made on this machine."""

import hashlib
from secrets import choice, token_hex
from string import ascii_letters, digits
from typing import Any

from pydantic import ValidationError

from policies.catalogue import describe
from policies.entities import ApiKey
from serve_app.cli.errors import CliError

ID_CHARACTERS = 16
SECRET_BYTES = 24


def fresh_key(fields: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The whole key, and its entry in a catalogue. `fields`: those of the entry that were asked for."""
    key_id = fields.get("id") or "".join(choice(ascii_letters + digits) for _ in range(ID_CHARACTERS))
    secret = f"sk-{key_id}-{token_hex(SECRET_BYTES)}"
    entry = {"id": key_id, **fields, "sha256": hashlib.sha256(secret.encode()).hexdigest()}
    try:
        ApiKey.model_validate(entry)
    except ValidationError as error:
        raise CliError("; ".join(describe(error, "key", ApiKey))) from error
    return secret, entry
