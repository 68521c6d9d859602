"""The suite for engines that answer requests of a model's own schema."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import ClassVar

from deployments.models.engines.protocol import Engine, EngineFailureError, InferRequest
from tests.deployments.models.engines.compliance.base import Compliance, refused, wait_until


class InferCompliance(Compliance):
    """Replies, refusals, failures, concurrency, cancellation."""

    ABOUT = "infer"
    MAY_LACK = Compliance.MAY_LACK | {
        "cancellation",  # work that ends when nobody waits for it
        "failures",  # a way to make one request fail
        "refusals",  # a schema: bodies that do not fit it
    }

    json_replies: ClassVar[bool] = True

    def good(self) -> Sequence[InferRequest]:
        """Requests that succeed, each with its own reply."""
        raise NotImplementedError("requests that the model answers")

    def bad(self) -> Sequence[tuple[InferRequest, int, str]]:
        """Requests that are refused: with which status, and with what in the message."""
        raise NotImplementedError("requests that the model refuses, or say it in `lacks`")

    def slow(self) -> InferRequest:
        """A request that takes a while, to be cancelled."""
        return self.good()[0]

    def failing(self, engine: Engine) -> AbstractAsyncContextManager[InferRequest]:
        """A request that fails while the context lasts."""
        raise NotImplementedError("a request that fails, or say it in `lacks`")

    async def sample(self, engine: Engine) -> object:
        return await engine.infer(self.good()[0])

    async def replies(self, engine: Engine) -> list[bytes]:
        """To all good requests, one by one."""
        return [await engine.infer(request) for request in self.good()]

    async def idle(self, engine: Engine) -> None:
        await wait_until(lambda: self.running(engine) == 0, "requests still run that nobody waits for")

    async def test_each_request_has_its_reply(self, engine: Engine) -> None:
        replies = await self.replies(engine)
        assert all(isinstance(reply, bytes) and reply for reply in replies)
        if self.json_replies:
            for reply in replies:
                json.loads(reply)
        assert replies == await self.replies(engine), "the same request has the same reply"

    async def test_requests_at_once_are_answered_as_one_by_one(self, engine: Engine) -> None:
        alone = await self.replies(engine)
        requests = list(self.good()) * self.concurrency
        assert await asyncio.gather(*map(engine.infer, requests)) == alone * self.concurrency

    async def test_requests_that_do_not_fit_are_refused(self, engine: Engine) -> None:
        self.need("refusals")
        assert self.bad(), "say which requests are refused"
        for request, status, said in self.bad():
            with refused(status=status, said=said):
                await engine.infer(request)
        await self.idle(engine)

    async def test_a_failure_is_of_that_request_alone(self, engine: Engine) -> None:
        self.need("failures")
        alone = await self.replies(engine)
        async with self.failing(engine) as request:
            results = await asyncio.gather(
                engine.infer(request), *map(engine.infer, self.good()), return_exceptions=True
            )
            assert isinstance(results[0], EngineFailureError), results[0]
            assert results[1:] == alone
        await engine.check_health()
        assert await self.replies(engine) == alone

    async def test_nothing_runs_for_those_who_went(self, engine: Engine) -> None:
        self.need("cancellation")
        before = await self.replies(engine)
        for pause_s in (0.0, 0.005):
            tasks = [asyncio.create_task(engine.infer(self.slow())) for _ in range(self.concurrency)]
            await asyncio.sleep(pause_s)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=5)
            assert all(task.done() for task in tasks)
            await self.idle(engine)
        assert await self.replies(engine) == before
