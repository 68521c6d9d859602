"""Ports: free or not, who has one, and which are chosen instead."""

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from serve_app.errors import PortInUseError
from serve_app.fast_lane import INNER_PORTS, environment
from serve_app.ports import free_port, holders, is_free, require_free


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_port_in_use_names_its_holder_and_the_fix(taken: int) -> None:
    assert not is_free("127.0.0.1", taken)
    assert holders(taken) == [os.getpid()]
    expected = rf"port {taken} \(the page\) is in use by pid {os.getpid()} \(.*\)\. Choose another\."
    with pytest.raises(PortInUseError, match=expected):
        require_free("127.0.0.1", taken, "the page", "Choose another.")


def test_an_address_that_is_not_ours_is_no_free_port() -> None:
    with pytest.raises(PortInUseError, match=r"cannot listen on 203\.0\.113\.1:8000"):
        is_free("203.0.113.1", 8000)


def test_a_port_is_free_again_while_its_last_connection_fades() -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as every server does
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        accepted.close()  # the server's end closes first, and stays in TIME_WAIT
        client.close()
    assert is_free("127.0.0.1", port)


def test_the_next_free_port_is_chosen(taken: int) -> None:
    assert free_port(taken, set()) > taken
    assert free_port(taken, {taken + 1}) > taken + 1


def test_inner_ports_differ_from_one_another_and_from_the_application_s(tmp_path: Path) -> None:
    default = INNER_PORTS["RAY_SERVE_HAPROXY_STATS_PORT"][0]
    chosen = environment({}, tmp_path, http_port=default)
    ports = [int(chosen[variable]) for variable in INNER_PORTS]
    assert len({default, *ports}) == len(INNER_PORTS) + 1


def test_the_caller_s_environment_wins(tmp_path: Path) -> None:
    chosen = environment({"RAY_USAGE_STATS_ENABLED": "1", "OTHER": "kept"}, tmp_path, http_port=1)
    assert (chosen["RAY_USAGE_STATS_ENABLED"], chosen["OTHER"]) == ("1", "kept")
    assert chosen["RAY_SERVE_ENABLE_HA_PROXY"] == "1"


@pytest.mark.parametrize("variable", INNER_PORTS)
def test_an_inner_port_that_was_asked_for_must_be_free(tmp_path: Path, taken: int, variable: str) -> None:
    with pytest.raises(PortInUseError, match=re.escape(f"Unset {variable}")):
        environment({variable: str(taken)}, tmp_path, http_port=1)
    with pytest.raises(PortInUseError, match=re.escape(f"{variable}='many' is not a port")):
        environment({variable: "many"}, tmp_path, http_port=1)
