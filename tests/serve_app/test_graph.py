"""What the graph refuses by itself, also where nobody has asked `sluice check`."""

from types import SimpleNamespace

import pytest

from serve_app import graph
from serve_app.config import ApplicationArgs
from serve_app.errors import DemoExposedError


@pytest.mark.parametrize("host", ["0.0.0.0", "10.1.2.3", "::", None])
def test_demo_keys_are_refused_where_serve_listens_beyond_loopback(
    host: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray's client is stood in for: to listen on another address takes a Serve of its own."""
    serve = SimpleNamespace(http_config=SimpleNamespace(host=host))
    monkeypatch.setattr(graph, "_get_global_client", lambda **_: serve)
    args = ApplicationArgs.model_validate({"demo": True, "models": [{"name": "m", "engine": {"kind": "simulated"}}]})
    with pytest.raises(DemoExposedError, match=r"known to everybody"):
        graph.bind_graph(args)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_demo_keys_are_let_be_on_loopback(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    serve = SimpleNamespace(http_config=SimpleNamespace(host=host))
    monkeypatch.setattr(graph, "_get_global_client", lambda **_: serve)
    graph._refuse_beyond_loopback()
