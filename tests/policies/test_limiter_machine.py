"""The limiter against its model: any schedule, on a clock moved by hand, gets the same answers."""

import asyncio
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from redis.asyncio import Redis, RedisCluster

from policies import Charge, Decision, Limiter, RateLimitPolicy, lane
from policies.entities import Mode
from tests.policies.conftest import Clock
from tests.policies.redis_server import RedisServer
from tests.policies.reference import Answer, Held, Reference

STEPS_AN_EXAMPLE = 60
DEADLINE_S = 10
SUBJECTS = ("a", "b:c/d")

# Windows are long enough that Redis, which drops idle keys by its own clock, drops none while an example runs.
POLICIES = (
    RateLimitPolicy(name="burst", scope="TENANT", limit=3, window="20s"),
    RateLimitPolicy(name="many", scope="GLOBAL", limit=150, window="90s"),
    RateLimitPolicy(name="tokens", scope="TENANT", unit="total_tokens", limit=1_000, window="60s"),
    RateLimitPolicy(name="input", scope="MODEL", unit="input_tokens", limit=10**12, window="1h"),
    RateLimitPolicy(name="few", scope="USER_MODEL", unit="output_tokens", limit=5, window="30s"),
    RateLimitPolicy(name="held", scope="API_KEY", unit="concurrent_requests", limit=4, window="25s"),
    RateLimitPolicy(name="watched", scope="MODEL_TIER", limit=2, window="40s", mode="shadow"),
    RateLimitPolicy(name="resting", scope="MODEL_TIER", limit=1, window="40s", mode="off"),
)

costs = st.one_of(st.just(1), st.integers(1, 6), st.integers(1, 900), st.sampled_from([64, 10**9]))
jumps = st.one_of(
    st.just(1),
    st.integers(0, 2_000),
    st.integers(0, 40_000),
    st.sampled_from([19_999, 20_000, 59_999, 60_000, 3_600_000]),
)


class LimiterMachine(RuleBasedStateMachine):
    runner: asyncio.Runner
    redis: Redis | RedisCluster
    reference = Reference
    steps = 0
    examples = 0

    def __init__(self) -> None:
        super().__init__()
        cls = type(self)
        cls.examples += 1
        self.clock = Clock()
        self.limiter = Limiter(cls.redis, prefix=f"run{cls.examples}", deadline_s=DEADLINE_S, steered_clock=self.clock)
        self.model = self.reference()
        self.policies = list(POLICIES)
        self.taken: list[tuple[Decision, Held]] = []
        self.told: tuple[int, list[Charge]] | None = None
        """When the request that was last denied first fits, and that request; forgotten once anything changes."""

    @invariant()
    def count_steps(self) -> None:
        type(self).steps += 1

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def _charges(self, picks: list[tuple[int, str, int]]) -> list[Charge]:
        seen: dict[tuple[int, str], Charge] = {}
        for index, subject, cost in picks:
            policy = self.policies[index]
            if policy.mode is Mode.ENFORCE:
                cost = min(cost, policy.limit)
            seen[index, subject] = Charge(policy, subject=subject, cost=cost)
        return list(seen.values())

    def _check(self, decision: Decision, answer: Answer, charges: list[Charge]) -> None:
        charges = [charge for charge in charges if charge.policy.mode is not Mode.OFF]
        assert decision.allowed == answer.allowed
        assert decision.denied_by == answer.denied_by
        assert round(decision.retry_after_s * 1000) == answer.retry_ms
        assert [window.used for window in decision.windows] == answer.used
        assert [window.fits for window in decision.windows] == [retry == 0 for retry in answer.retries_ms]
        for window, charge, retry_ms, reset_ms in zip(
            decision.windows, charges, answer.retries_ms, answer.resets_ms, strict=True
        ):
            assert window.remaining == max(0, charge.policy.limit - window.used)
            assert window.retry_after_s == (retry_ms / 1000 if retry_ms >= 0 else float("inf"))
            assert round(window.reset_after_s * 1000) == max(0, reset_ms)

    @rule(picks=st.lists(st.tuples(st.integers(0, len(POLICIES) - 1), st.sampled_from(SUBJECTS), costs), max_size=6))
    def acquire(self, picks: list[tuple[int, str, int]]) -> None:
        self._acquire(self._charges(picks))

    @rule(index=st.integers(0, len(POLICIES) - 1), cost=costs, times=st.integers(2, 80))
    def acquire_often(self, index: int, cost: int, times: int) -> None:
        for _ in range(times):
            self._acquire(self._charges([(index, "a", cost)]))

    def _acquire(self, charges: list[Charge]) -> None:
        decision: Decision = self.run(self.limiter.acquire(charges))
        kept = [charge for charge in charges if charge.policy.mode is not Mode.OFF]
        answer, held = self.model.decide(kept, self.clock.ms, decision.id)
        self._check(decision, answer, charges)
        if held is not None:
            self.taken.append((decision, held))
        self.told = None if held is not None else (self.clock.ms + answer.retry_ms, charges)

    @rule(picks=st.lists(st.tuples(st.integers(0, len(POLICIES) - 1), st.sampled_from(SUBJECTS), costs), max_size=6))
    def peek(self, picks: list[tuple[int, str, int]]) -> None:
        charges = self._charges(picks)
        decision = self.run(self.limiter.peek(charges))
        kept = [charge for charge in charges if charge.policy.mode is not Mode.OFF]
        self._check(decision, self.model.decide(kept, self.clock.ms, None)[0], charges)

    @precondition(lambda self: self.told is not None)
    @rule()
    def retry_as_told(self) -> None:
        """Just before the time that was told it is denied, at that time it is admitted."""
        assert self.told is not None
        at, charges = self.told
        if at <= self.clock.ms:
            return
        self.clock.ms = at - 1
        assert not self.run(self.limiter.peek(charges)).allowed
        self.clock.ms = at
        assert self.run(self.limiter.peek(charges)).allowed
        self._acquire(charges)

    @precondition(lambda self: self.taken)
    @rule(which=st.integers(0, 10_000), share=st.sampled_from([0, 0.3, 0.99, 1, 1.5, 40]), extra=st.integers(0, 3))
    def settle(self, which: int, share: float, extra: int) -> None:
        decision, held = self.taken[which % len(self.taken)]
        self.told = None
        actual = {
            charge.policy.unit: min(int(charge.cost * share) + extra, 10**9)
            for charge in held.charges
            if not charge.policy.is_lease
        }
        self.run(self.limiter.settle(decision, actual))
        self.model.settle(held, actual, self.clock.ms)

    @precondition(lambda self: self.taken)
    @rule(which=st.integers(0, 10_000), last=st.booleans())
    def cancel(self, which: int, last: bool) -> None:
        decision, held = self.taken[-1 if last else which % len(self.taken)]
        self.told = None
        self.run(self.limiter.cancel(decision))
        self.model.settle(held, dict.fromkeys((charge.policy.unit for charge in held.charges), 0), self.clock.ms)

    @precondition(lambda self: any(held.charges and decision.holds_leases for decision, held in self.taken))
    @rule(which=st.integers(0, 10_000))
    def renew(self, which: int) -> None:
        leasing = [(decision, held) for decision, held in self.taken if decision.holds_leases]
        decision, held = leasing[which % len(leasing)]
        self.told = None
        assert self.run(self.limiter.renew(decision)) == self.model.renew(held, self.clock.ms)

    @rule(ms=jumps)
    def wait(self, ms: int) -> None:
        self.clock.ms += ms

    @rule(ms=st.integers(1, 70_000))
    def clock_runs_back(self, ms: int) -> None:
        self.clock.ms -= ms
        self.told = None

    @rule(index=st.integers(0, len(POLICIES) - 1), limit=st.sampled_from([1, 2, 4, 50, 700, 10**12]))
    def edit_limit(self, index: int, limit: int) -> None:
        self._replace(index, limit=limit)

    @rule(index=st.integers(0, len(POLICIES) - 1), window_s=st.sampled_from([15, 20, 61, 4_000]))
    def edit_window(self, index: int, window_s: int) -> None:
        self._replace(index, window=window_s * 1000)

    def _replace(self, index: int, **change: int) -> None:
        self.policies[index] = self.policies[index].model_copy(update=change)
        self.told = None

    def teardown(self) -> None:
        self.run(self.limiter.close())


def _run_machine(server: RedisServer, steps: int, *, shrink: bool) -> int:
    return run_machine(LimiterMachine, lambda: Redis(unix_socket_path=server.socket), steps, shrink=shrink)


def run_machine(
    machine: type[LimiterMachine], connect: Callable[[], Redis | RedisCluster], steps: int, *, shrink: bool
) -> int:
    """Runs at least so many steps; how many it were."""
    machine.steps = 0
    with asyncio.Runner() as runner, pytest.MonkeyPatch.context() as patch:
        # A pause of the machine that runs the tests is none of Redis: only what takes as long as a deadline fails.
        patch.setattr(lane, "ABANDON_S", DEADLINE_S)
        machine.runner = runner
        machine.redis = connect()
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=steps // (STEPS_AN_EXAMPLE // 2),  # examples may end early: they have some 40 steps
                stateful_step_count=STEPS_AN_EXAMPLE,
                deadline=None,
                phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
                suppress_health_check=list(HealthCheck),
            ),
        )
        runner.run(machine.redis.aclose())
    return machine.steps


@pytest.mark.timeout(0)
def test_any_schedule_answers_as_the_model_does(newest_server: RedisServer, request: pytest.FixtureRequest) -> None:
    """Ten thousand steps; `--limiter-steps 1000000` for a long run."""
    steps: int = request.config.getoption("--limiter-steps")
    shrink: bool = request.config.getoption("--limiter-shrink")
    assert _run_machine(newest_server, steps, shrink=shrink) >= steps


def test_any_schedule_answers_as_the_model_does_on_every_redis(server: RedisServer) -> None:
    assert _run_machine(server, 1_500, shrink=False) >= 1_500
