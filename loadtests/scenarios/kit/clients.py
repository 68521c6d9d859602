"""A Locust user that talks to the API, reads what it is told, and keeps an `Outcome` of each request.

Not Locust's own HTTP users: a streamed reply is read event by event here, so that the first token is timed when it
comes, and a POST that was sent is never sent again behind our back.
"""

import itertools
import json
import random
import time
from collections.abc import Mapping
from typing import Any, ClassVar

import gevent
from geventhttpclient import HTTPClient
from geventhttpclient.response import HTTPParseError, HTTPSocketPoolResponse
from locust import User

from loadtests.scenarios.kit.outcomes import LEFT, NO_REPLY, Outcome
from loadtests.scenarios.kit.promises import CUT
from loadtests.scenarios.kit.replies import read_chat, read_error, read_stream
from loadtests.scenarios.kit.scenario import Run

CONNECT_S = 10.0
SILENCE_S = 60.0
"""How long nothing may come of a reply before it counts as broken."""

PATH = "/v1/chat/completions"
_numbers = itertools.count()


class Client(User):
    """One client with one connection. `tenant` says whose key it has."""

    abstract = True
    tenant: ClassVar[str]

    def on_start(self) -> None:
        self.current: Run = self.environment.scenario_run  # `play` puts it there
        self._http = self._connection()
        self._key = self.current.registration.keys[self.tenant]

    def on_stop(self) -> None:
        self._http.close()

    def _connection(self) -> HTTPClient:
        return HTTPClient.from_url(
            str(self.host), concurrency=1, connection_timeout=CONNECT_S, network_timeout=SILENCE_S
        )

    def _hang_up(self) -> None:
        """Closes the connection, whatever is on it; the next request has a new one."""
        self._http.close()
        self._http = self._connection()

    def sleep_until(self, at_s: float) -> None:
        """Until so many seconds after the run began."""
        gevent.sleep(max(0.0, at_s - self.current.elapsed_s()))

    def pause(self, mean_s: float) -> None:
        """A random pause, as between people."""
        gevent.sleep(random.expovariate(1 / mean_s))

    def ask(
        self, max_tokens: int = 8, *, stream: bool = False, words: int = 1, leave_after: int | None = None
    ) -> Outcome:
        """One request, recorded. `leave_after`: breaks a stream off after so many events."""
        identifier = f"{self.current.registration.mark}-{next(_numbers)}-{random.getrandbits(48):x}"
        body: dict[str, Any] = {
            "model": self.current.registration.model,
            "max_tokens": max_tokens,
            "messages": [{"role": "user", "content": "word " * words}],
        }
        if stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        headers = {
            "authorization": f"Bearer {self._key}",
            "content-type": "application/json",
            "x-request-id": identifier,
        }
        sent_s, began = self.current.elapsed_s(), time.perf_counter()
        outcome = Outcome(
            self.tenant, "stream" if stream else "chat", self.current.phase(sent_s), identifier, sent_s, 0.0
        )
        try:
            outcome = self._exchange(outcome, json.dumps(body), headers, began, leave_after)
        except gevent.GreenletExit:
            self._record(outcome._replace(code=CUT), began)
            raise
        except (OSError, HTTPParseError) as error:
            self._hang_up()
            outcome = outcome._replace(status=NO_REPLY, problem=repr(error))
        return self._record(outcome, began)

    def _exchange(
        self, outcome: Outcome, body: str, headers: Mapping[str, str], began: float, leave_after: int | None
    ) -> Outcome:
        reply = self._http.request("POST", PATH, body, dict(headers))
        told = {str(name).lower(): str(value) for name, value in reply.items()}
        status = reply.status_code
        if status != 200:
            denial = read_error(status, told, reply.read())
            return outcome._replace(
                status=status,
                code=denial.code,
                policy=self.current.registration.short(denial.policy),
                retry_after_ms=denial.retry_after_ms,
                problem=denial.problem or self._id_problem(outcome, told),
            )
        if outcome.kind == "stream":
            return self._stream(outcome, reply, began, leave_after)
        said = read_chat(reply.read())
        problem = said.problem or self._id_problem(outcome, told)
        return outcome._replace(status=status, tokens=said.tokens, problem=problem)

    def _stream(
        self, outcome: Outcome, reply: HTTPSocketPoolResponse, began: float, leave_after: int | None
    ) -> Outcome:
        events: list[bytes] = []
        first_ms = None
        while event := reply.readline(b"\n\n"):
            events.append(event)
            if first_ms is None and b'"content":"' in event and b'"content":""' not in event:
                first_ms = (time.perf_counter() - began) * 1000
            if leave_after is not None and len(events) >= leave_after:
                reply.release()
                self._hang_up()
                return outcome._replace(code=LEFT, first_ms=first_ms)
        said = read_stream(events)
        return outcome._replace(status=200, first_ms=first_ms, tokens=said.tokens, problem=said.problem)

    @staticmethod
    def _id_problem(outcome: Outcome, told: Mapping[str, str]) -> str | None:
        back = told.get("x-request-id")
        return None if back == outcome.id else f"x-request-id {back!r} came back for {outcome.id!r}"

    def _record(self, outcome: Outcome, began: float) -> Outcome:
        outcome = outcome._replace(took_ms=(time.perf_counter() - began) * 1000)
        self.current.outcomes.append(outcome)
        if outcome.code not in (LEFT, CUT):
            # For Locust's own statistics: a denial that is well-formed is an answer like any other.
            failed = outcome.problem or (f"{outcome.status}" if outcome.status >= 500 else None)
            result = outcome.status if not outcome.code else f"{outcome.status} {outcome.code}"
            self.environment.events.request.fire(
                request_type=outcome.kind,
                name=f"{outcome.tenant}: {result}",
                response_time=outcome.took_ms,
                response_length=0,
                exception=AssertionError(failed) if failed else None,
                context={},
            )
        return outcome
