# SPDX-License-Identifier: GPL-2.0-only
"""Serves the explorer of one scenario to this host: every page and answer is below a path that cannot be guessed.

Another web site can neither read nor drive it: the path is secret, the Host must be this server's (against DNS
rebinding), and so must the Origin of what is posted.
"""

from __future__ import annotations

import json
import secrets
import sys
import threading
from dataclasses import asdict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pfncache.properties import PROPERTIES
from pfncache.review.explorer.excerpts import Sources
from pfncache.review.explorer.finding import ExplorerFinding
from pfncache.review.explorer.page import finding_as_json, page
from pfncache.review.explorer.walker import Walker, WalkError
from pfncache.verify.trace import Schedule

ADDRESS = "127.0.0.1"
MAX_BODY = 1_000_000
"""Bytes of what is posted."""
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class ExplorerServer(ThreadingHTTPServer):
    """The server of one scenario."""

    daemon_threads = True

    def __init__(self, walker: Walker, port: int = 0) -> None:
        """Listen on a port of the loopback interface, 0 for a free one. Raises OSError."""
        super().__init__((ADDRESS, port), _Handler)
        self.walker = walker
        self.token = secrets.token_urlsafe()
        self.turn = threading.Lock()
        """Held while the walker works: a replay has the whole process's tracer."""
        self.first = self._first()

    @property
    def hosts(self) -> tuple[str, str]:
        """What a browser on this host calls the server."""
        return f"{ADDRESS}:{self.server_port}", f"localhost:{self.server_port}"

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{self.hosts[0]}/{self.token}/"

    def _first(self) -> tuple[ExplorerFinding, Schedule]:
        """Return the run that the page begins with: a shortest violation, or the start if there is none."""
        found = self.walker.violating()
        if found.finding is not None and found.schedule is not None:
            return found.finding, found.schedule
        start = Schedule(steps=())
        return self.walker.run(start), start

    def html(self) -> str:
        """Return the page."""
        finding, schedule = self.first
        live = {"properties": list(PROPERTIES), "schedule": schedule.steps}
        title = f"pfncache explore: {self.walker.scenario.name} under {self.walker.design.name}"
        return page([finding], title, live)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report an error of a request, unless it is that the browser went away."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def answer(self, verb: str, asked: Any) -> dict[str, Any]:
        """Return the answer to a request. Raises WalkError."""
        with self.turn:
            if verb == "choices":
                steps, ended = self.walker.possible(_schedule(asked))
                return {"choices": [asdict(step) for step in steps], "ended": ended}
            if verb == "run":
                schedule = _schedule(asked)
                return _shown(self.walker.run(schedule), schedule)
            if verb == "on":
                cpu = asked.get("cpu") if isinstance(asked, dict) else None
                if type(cpu) is not int:
                    raise WalkError("the cpu that is to go on is a number")
                schedule = self.walker.run_on(_schedule(asked), cpu)
                return _shown(self.walker.run(schedule), schedule)
            if verb == "find":
                what = asked.get("what") if isinstance(asked, dict) else None
                found = self.walker.find(what if isinstance(what, str) else "")
                answer = {"note": found.note}
                if found.finding is not None and found.schedule is not None:
                    answer |= _shown(found.finding, found.schedule)
                return answer
        raise WalkError(f"no request {verb!r}; there is choices, run, on and find")


def _schedule(asked: Any) -> Schedule:
    """Return the schedule that was posted. Raises WalkError."""
    given = asked.get("schedule") if isinstance(asked, dict) else None
    if not isinstance(given, list) or not all(map(_is_step, given)):
        raise WalkError("a schedule is a list of pairs: the number of a CPU, and of the outcome of its choice")
    return Schedule(steps=tuple((actor, outcome) for actor, outcome in given))


def _is_step(one: Any) -> bool:
    return isinstance(one, list) and len(one) == 2 and all(type(n) is int and 0 <= n < 1000 for n in one)  # noqa: PLR2004


def _shown(finding: ExplorerFinding, schedule: Schedule) -> dict[str, Any]:
    sources = Sources()
    shown = finding_as_json(finding, sources) | {"schedule": schedule.steps}
    return {"finding": shown, "sources": sources}


class _Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: ExplorerServer

    def do_GET(self) -> None:
        """Return the page."""
        if self._is_ours():
            if self.path == f"/{self.server.token}/":
                self._send(HTTPStatus.OK, "text/html; charset=utf-8", self.server.html())
            else:
                self._send(
                    HTTPStatus.NOT_FOUND, "text/plain", "not found; use the address that pfncache explore prints\n"
                )

    def do_POST(self) -> None:
        """Return the answer to a request of the page."""
        if not self._is_ours():
            return
        prefix, _, verb = self.path.rpartition("/")
        length = self.headers.get("Content-Length", "")
        if prefix != f"/{self.server.token}/api":
            self._fail(HTTPStatus.NOT_FOUND, "not found")
        elif not length.isdecimal() or int(length) > MAX_BODY:
            self._fail(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request has at most {MAX_BODY:,} bytes")
        else:
            self._answer(verb, self.rfile.read(int(length)))

    def _answer(self, verb: str, body: bytes) -> None:
        try:
            answer = self.server.answer(verb, json.loads(body))
        except (WalkError, ValueError) as error:
            self._fail(HTTPStatus.BAD_REQUEST, str(error))
        else:
            self._send(HTTPStatus.OK, "application/json", json.dumps(answer))

    def _is_ours(self) -> bool:
        """Return whether a request is of a page of this server; refuse it if not."""
        hosts = self.server.hosts
        origin = self.headers.get("Origin")
        if self.headers.get("Host") in hosts and origin in (None, *(f"http://{host}" for host in hosts)):
            return True
        self._fail(HTTPStatus.FORBIDDEN, "not a request of this server's page")
        return False

    def _fail(self, status: HTTPStatus, reason: str) -> None:
        self._send(status, "application/json", json.dumps({"error": reason}))

    def _send(self, status: HTTPStatus, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in (HEADERS | {"Content-Type": kind, "Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: the terminal has the address alone."""
