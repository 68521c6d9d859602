"""Input that nobody would write, by Hypothesis: a parser either takes it or raises the error that it documents, and the
ingress answers with a status of the contract, in OpenAI's shape. Never a traceback, never a 500."""

import copy
import json
import random
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from loadtests.scenarios.kit.replies import read_error
from policies import RateLimitPolicy
from policies.catalogue import Catalogue
from policies.errors import CatalogueError
from policies.quantities import parse_duration_ms
from serve_app.config_file import read_serve_config
from serve_app.errors import ConfigFileError
from tests.deployments.ingress.conftest import secret
from tests.integration.conftest import ROOT

EXAMPLES = 400
ANSWERS = {200, 201, 400, 401, 403, 404, 405, 409, 411, 412, 413, 415, 422, 428, 429}

_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40)
JSON = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=12), inner, max_size=5),
    max_leaves=20,
)
CHAT_KEYS = st.sampled_from(
    [
        "model",
        "messages",
        "stream",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "n",
        "stop",
        "temperature",
        "top_p",
        "logprobs",
        "user",
    ]
)
POLICY_KEYS = st.sampled_from(
    [
        "name",
        "scope",
        "match",
        "per",
        "unit",
        "limit",
        "window",
        "mode",
        "on_redis_failure",
        "block",
        "shards",
        "tenant",
        "user",
    ]
)
CATALOGUE_KEYS = st.sampled_from(["tenants", "users", "keys", "tiers", "models", "policies"])
DURATION = st.from_regex(r"\A[-+ ]?[0-9.]{0,20}(ms|s|m|h|d|w| |é)?\Z") | _SCALARS

_fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


def attempt(run: Callable[[], None]) -> str | None:
    """What was found, None for nothing."""
    try:
        run()
    except Exception as error:  # noqa: BLE001  that one comes which was not foreseen is what is looked for
        return f"{type(error).__name__}: {error}"[:600]
    return None


def _seeded(test: Callable[..., None]) -> Callable[[], None]:
    return seed(random.getrandbits(32))(_fuzzed(test))  # another one in each run


def _read(message: str) -> None:
    """Of an error that was raised rightly."""
    if not message:
        raise AssertionError("an error that says nothing")


def _durations() -> None:
    @given(DURATION)
    def takes(value: object) -> None:
        try:
            parse_duration_ms(value)
        except ValueError as error:
            _read(str(error))

    _seeded(takes)()


def _policies() -> None:
    @given(st.dictionaries(POLICY_KEYS, JSON | DURATION, max_size=8))
    def takes(data: dict[str, Any]) -> None:
        try:
            RateLimitPolicy.model_validate(data)
        except ValidationError as error:
            _read(str(error))

    _seeded(takes)()


def _catalogues() -> None:
    @given(st.dictionaries(CATALOGUE_KEYS, JSON | st.lists(st.dictionaries(POLICY_KEYS, JSON), max_size=3)))
    def takes(data: dict[str, Any]) -> None:
        try:
            Catalogue.parse(data)
        except CatalogueError as error:
            _read(str(error))

    _seeded(takes)()


def _configuration_files() -> None:
    """The default one, with one value in it replaced by something else."""
    whole = yaml.safe_load((ROOT / "serve_config.yaml").read_text())

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "serve_config.yaml"

        @given(st.randoms(use_true_random=False), JSON)
        def takes(chance: random.Random, value: Any) -> None:
            data = copy.deepcopy(whole)
            at, key = chance.choice(_places(data))
            at[key] = value
            path.write_text(yaml.dump(data, Dumper=yaml.CSafeDumper))
            try:
                read_serve_config(path)
            except ConfigFileError as error:
                _read(str(error))

        _seeded(takes)()


def _places(data: Any) -> list[tuple[Any, Any]]:
    found = []
    for key in list(data) if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ():
        found += [(data, key), *_places(data[key])]
    return found


def _judged(reply: httpx.Response, statuses: Counter[str]) -> None:
    assert reply.status_code in ANSWERS, f"{reply.status_code}: {reply.text[:300]}"
    statuses[str(reply.status_code)] += 1
    if reply.status_code >= 400 and reply.status_code != 405:
        problem = read_error(reply.status_code, dict(reply.headers), reply.content).problem
        assert problem is None, problem


def _headers(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret(key)}", "content-type": "application/json"}


def _chats(url: str, statuses: Counter[str]) -> None:
    right = {"model": "sim-small", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 3}
    with httpx.Client(base_url=url, headers=_headers("inference1"), trust_env=False) as http:

        @given(st.dictionaries(CHAT_KEYS, JSON, max_size=4), st.booleans())
        def takes(wrong: dict[str, Any], whole: bool) -> None:
            body = json.dumps({**right, **wrong} if whole else wrong)
            _judged(http.post("/v1/chat/completions", content=body), statuses)

        _seeded(takes)()


def _bodies(url: str, statuses: Counter[str]) -> None:
    paths = st.sampled_from(["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/admin/policies"])
    with httpx.Client(base_url=url, headers=_headers("admin1"), trust_env=False) as http:

        @given(paths, st.binary(max_size=300) | JSON.map(lambda data: json.dumps(data).encode()))
        def takes(path: str, body: bytes) -> None:
            _judged(http.post(path, content=body), statuses)

        _seeded(takes)()


def _header_values(url: str, statuses: Counter[str]) -> None:
    names = st.sampled_from(
        ["authorization", "content-type", "x-request-id", "x-forwarded-for", "traceparent", "if-match", "accept"]
    )
    # What HTTP lets stand in a value; the rest never leaves a client.
    values = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=80).map(
        str.strip
    )
    body = b'{"model": "sim-small", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 3}'
    with httpx.Client(base_url=url, trust_env=False) as http:

        @given(st.dictionaries(names, values, max_size=4))
        def takes(wrong: dict[str, str]) -> None:
            headers = {name: value.encode("latin-1") for name, value in (_headers("inference1") | wrong).items()}
            _judged(http.post("/v1/chat/completions", content=body, headers=headers), statuses)

        _seeded(takes)()


def _admin_bodies(url: str, statuses: Counter[str]) -> None:
    kinds = st.sampled_from(["tenants", "users", "keys", "tiers", "models", "policies"])
    with httpx.Client(base_url=url, headers=_headers("admin1"), trust_env=False) as http:

        @given(kinds, st.dictionaries(POLICY_KEYS, JSON | DURATION, max_size=6))
        def takes(kind: str, data: dict[str, Any]) -> None:
            _judged(http.post(f"/admin/{kind}", content=json.dumps(data)), statuses)

        _seeded(takes)()


PARSERS: dict[str, Callable[[], None]] = {
    "durations": _durations,
    "policies": _policies,
    "catalogues": _catalogues,
    "configuration files": _configuration_files,
}
OVER_HTTP: dict[str, Callable[[str, Counter[str]], None]] = {
    "chats": _chats,
    "bodies": _bodies,
    "headers": _header_values,
    "admin bodies": _admin_bodies,
}
