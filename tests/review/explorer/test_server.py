# SPDX-License-Identifier: GPL-2.0-only
"""The server: what it answers, and to whom."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pfncache.review.explorer.server import MAX_BODY, ExplorerServer
from tests.review.explorer.test_page import data_of
from tests.review.explorer.test_walker import walker


@pytest.fixture(scope="module")
def server() -> Iterator[ExplorerServer]:
    with ExplorerServer(walker()) as serving:
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


def ask(server: ExplorerServer, path: str, body: str | None = None, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    try:
        connection.request("GET" if body is None else "POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def post(server: ExplorerServer, verb: str, asked: Any) -> tuple[int, Any]:
    status, text = ask(server, f"/{server.token}/api/{verb}", json.dumps(asked))
    return status, json.loads(text)


def test_it_listens_on_loopback_alone(server: ExplorerServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.server_port}/{server.token}/"
    assert len(server.token) > 40


def test_the_page_begins_with_a_violation_and_may_ask_its_server_alone(server: ExplorerServer) -> None:
    status, text = ask(server, f"/{server.token}/")
    assert status == 200 and "connect-src 'self'" in text
    data = data_of(text)
    assert data["findings"][0]["message"] == "vcpu.pv_time.list is added twice to kvm.gpc_list"
    assert data["findings"][0]["recording"]["steps"][-1]["taken"] == len(data["live"]["schedule"])
    assert "use-after-free" in data["live"]["properties"]


@pytest.mark.parametrize("path", ["/", "/guess/", "/guess/api/run", "/../../etc/passwd"])
def test_without_the_secret_path_there_is_nothing(server: ExplorerServer, path: str) -> None:
    assert ask(server, path)[0] == 404
    assert ask(server, path, "{}")[0] == 404


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example:80"}, {"Origin": "http://evil.example"}, {"Origin": "null"}]
)
def test_another_web_site_is_refused_even_with_the_path(server: ExplorerServer, headers: dict[str, str]) -> None:
    assert ask(server, f"/{server.token}/", **headers)[0] == 403
    assert ask(server, f"/{server.token}/api/run", '{"schedule": []}', **headers)[0] == 403


def test_the_page_of_this_server_may_ask(server: ExplorerServer) -> None:
    headers = {"Origin": f"http://localhost:{server.server_port}", "Host": f"localhost:{server.server_port}"}
    assert ask(server, f"/{server.token}/api/choices", '{"schedule": []}', **headers)[0] == 200


def test_choices_run_and_find(server: ExplorerServer) -> None:
    status, found = post(server, "choices", {"schedule": []})
    assert (status, [step["cpu"] for step in found["choices"]], found["ended"]) == (200, [0, 1], "")
    status, found = post(server, "run", {"schedule": [[1, 0], [1, 0]]})
    assert status == 200 and found["finding"]["schedule"] == [[1, 0], [1, 0]]
    assert {step["cpu"] for step in found["finding"]["recording"]["steps"]} == {1}
    assert "scenarios/users.py" in found["sources"]
    status, found = post(server, "on", {"schedule": [[1, 0]], "cpu": 0})
    assert status == 200 and found["finding"]["schedule"][:3] == [[1, 0], [0, 0], [0, 0]]
    status, found = post(server, "find", {"what": "deadlock"})
    assert status == 200 and "finding" not in found


@pytest.mark.parametrize(
    ("verb", "asked", "message"),
    [
        ("zap", {}, "no request 'zap'; there is choices, run, on and find"),
        ("run", {"schedule": 3}, "a schedule is a list of pairs: "),
        ("run", {"schedule": [[0, -1]]}, "a schedule is a list of pairs: "),
        ("run", [], "a schedule is a list of pairs: "),
        ("find", {}, "no property ''"),
        ("on", {"schedule": []}, "the cpu that is to go on is a number"),
        ("choices", {"schedule": [[9, 0]]}, "there is no CPU9; the last is CPU1"),
    ],
)
def test_what_is_wrong_is_one_line(server: ExplorerServer, verb: str, asked: Any, message: str) -> None:
    status, found = post(server, verb, asked)
    assert status == 400 and found["error"].startswith(message)


def test_what_is_no_json_or_too_long_is_refused(server: ExplorerServer) -> None:
    assert ask(server, f"/{server.token}/api/run", "{")[0] == 400
    assert ask(server, f"/{server.token}/api/run", " ", **{"Content-Length": str(MAX_BODY + 1)})[0] == 413
    assert ask(server, f"/{server.token}/api/run", " ", **{"Content-Length": "x"})[0] == 413
