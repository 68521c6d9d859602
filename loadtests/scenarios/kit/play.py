"""Runs a scenario under Locust: `play(Scenario(…))` in a locustfile does all of it.

The process that judges (the only one, or the master) makes the tenants, follows the logs, ends the run when its time is
over, waits for what every worker has still to tell, judges, writes the report and sets the exit status. Workers get the
tenants' keys by a message before their users start, and send outcomes with Locust's own reports.
"""

import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import gevent
from locust import events
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from loadtests.scenarios.kit.evidence import Evidence
from loadtests.scenarios.kit.outcomes import Outcome, by_result
from loadtests.scenarios.kit.report import Report, forget, judged, show, with_verdicts, write
from loadtests.scenarios.kit.scenario import Run, Scenario
from loadtests.scenarios.kit.tenants import Admin, Registration, ServerError, registered, require_loopback
from loadtests.scenarios.kit.watching import Watch

DEFAULT_HOST = "http://127.0.0.1:8000"
REPORTS = Path(__file__).parents[2] / "reports"
PROGRESS_S = 5.0

LAST_REPORTS_S = 15.0
"""How long workers may take to tell their last outcomes."""

SETTLED_S = 1.5
"""After the last reply: settlement runs in the background, and the feed tells it a tenth of a second later."""

_REGISTRATION, _REST = "sluice-registration", "sluice-rest"


def play(scenario: Scenario) -> None:
    """Makes the locustfile that calls it run this scenario."""
    events.init_command_line_parser.add_listener(_options)
    events.init.add_listener(lambda environment, **_: _set_up(scenario, environment))


def _options(parser: LocustArgumentParser) -> None:
    parser.add_argument(
        "--beyond-loopback",
        action="store_true",
        help="send load to another machine than this one; only where its owner has agreed",
    )
    parser.add_argument("--model", default="", help="which model is asked, instead of the scenario's")
    parser.add_argument("--admin-key", default="sk-demo-admin", env_var="SLUICE_KEY", include_in_web_ui=False)
    parser.add_argument("--reports", default=str(REPORTS), help="the folder into which the report is written as JSON")


def _set_up(scenario: Scenario, environment: Environment) -> None:
    options, runner = environment.parsed_options, environment.runner
    assert options is not None
    run = Run(scenario)
    environment.scenario_run = run  # type: ignore[attr-defined] # where its users find it
    environment.host = (environment.host or DEFAULT_HOST).rstrip("/")
    environment.stop_timeout = scenario.stop_s
    run.duration_s, options.run_time = float(options.run_time or scenario.duration_s), None
    if options.num_users is None:
        options.num_users = sum(each.fixed_count for each in environment.user_classes)
    if options.spawn_rate is None:
        options.spawn_rate = options.num_users
    if isinstance(runner, WorkerRunner):
        _Worker(run, runner, environment)
    else:
        _Judge(run, environment)


class _Worker:
    """Has its users ask, and tells the master what came of it."""

    def __init__(self, run: Run, runner: WorkerRunner, environment: Environment) -> None:
        self._run, self._runner = run, runner
        runner.register_message(_REGISTRATION, self._registered)
        environment.events.test_start.add_listener(lambda **_: run.begin())
        environment.events.report_to_master.add_listener(self._report)
        environment.events.test_stop.add_listener(self._rest)

    def _registered(self, environment: Environment, msg: Any, **_: Any) -> None:
        require_loopback(msg.data["host"], msg.data["beyond_loopback"])
        self._run.registration = Registration(**msg.data["registration"])
        self._run.duration_s, self._run.processes = msg.data["duration_s"], msg.data["processes"]

    def _taken(self) -> list[list[Any]]:
        taken, self._run.outcomes[:] = [list(each) for each in self._run.outcomes], []
        return taken

    def _report(self, client_id: str, data: dict[str, Any], **_: Any) -> None:
        data["sluice_outcomes"] = self._taken()

    def _rest(self, **_: Any) -> None:
        self._runner.send_message(_REST, {"outcomes": self._taken()})


class _Judge:
    """Makes what a run needs, ends it, and judges it."""

    def __init__(self, run: Run, environment: Environment) -> None:
        self._run, self._environment = run, environment
        assert environment.parsed_options is not None
        self._options = environment.parsed_options
        self._open = ExitStack()
        self._ended_workers = 0
        self._workers = 0
        self._report: Report | None = None
        if isinstance(environment.runner, MasterRunner):
            environment.events.worker_report.add_listener(self._worker_report)
            environment.runner.register_message(_REST, self._rest)
        environment.events.test_start.add_listener(self._start)
        environment.events.quitting.add_listener(self._quitting)

    def _start(self, **_: Any) -> None:
        run, host = self._run, str(self._environment.host)
        forget(run.scenario.name, Path(self._options.reports))
        try:
            require_loopback(host, self._options.beyond_loopback)
            self._admin = Admin(host, self._options.admin_key)
            self._open.callback(self._admin.close)
            wished = self._options.model or run.scenario.model
            run.registration = self._open.enter_context(registered(self._admin, run.scenario.tenants, wished))
            self._watch = Watch(host, self._options.admin_key, run.registration, run.scenario.tenants)
            self._open.callback(self._watch.stop)
            self._watch.start()
        except (ServerError, OSError) as error:  # a TimeoutError is an OSError
            self._give_up(str(error))
        runner = self._environment.runner
        if isinstance(runner, MasterRunner):
            self._workers = len(runner.clients.all)
            settings = {
                "registration": asdict(run.registration),
                "duration_s": run.duration_s,
                "processes": self._workers,
                "host": host,
                "beyond_loopback": self._options.beyond_loopback,
            }
            runner.send_message(_REGISTRATION, settings)
        run.begin()
        gevent.spawn(self._conduct)

    def _give_up(self, why: str) -> NoReturn:
        print(f"FAIL  {self._run.scenario.name}: {why}", file=sys.stderr, flush=True)
        self._open.close()
        sys.exit(2)

    def _worker_report(self, client_id: str, data: dict[str, Any], **_: Any) -> None:
        self._run.outcomes += (Outcome(*row) for row in data.pop("sluice_outcomes", ()))

    def _rest(self, environment: Environment, msg: Any, **_: Any) -> None:
        self._run.outcomes += (Outcome(*row) for row in msg.data["outcomes"])
        self._ended_workers += 1

    def _conduct(self) -> None:
        """From the start of the load to the verdict; the end of it all, whatever happens."""
        try:
            self._judge()
        except OSError as error:  # the report could not be written
            print(f"{self._run.scenario.name}: {error!r}", file=sys.stderr, flush=True)
        finally:
            if self._options.headless and self._environment.runner is not None:
                self._environment.runner.quit()

    def _judge(self) -> None:
        run, runner = self._run, self._environment.runner
        assert runner is not None
        while run.elapsed_s() < run.duration_s:
            gevent.sleep(min(PROGRESS_S, max(0.01, run.duration_s - run.elapsed_s())))
            self._progress()
        runner.stop()
        with gevent.Timeout(LAST_REPORTS_S, False):
            while self._ended_workers < self._workers:
                gevent.sleep(0.05)
        gevent.sleep(SETTLED_S)
        report = judged(run, self._evidence(), str(self._environment.host), max(1, self._workers))
        write(report, Path(self._options.reports))
        show(report)
        self._report = report
        self._environment.process_exit_code = 0 if report.passed else 1
        self._open.close()

    def _progress(self) -> None:
        run, runner = self._run, self._environment.runner
        assert runner is not None
        results = ", ".join(f"{count} x {result}" for result, count in by_result(run.outcomes).items())
        print(
            f"{run.scenario.name}: {run.elapsed_s():3.0f} of {run.duration_s:.0f} s, {runner.user_count} users; "
            f"{results or 'no replies yet'}",
            flush=True,
        )

    def _evidence(self) -> Evidence:
        """All that there is. Of a server that is gone it is what was seen until then, and no run like that passes."""
        run, watch = self._run, self._watch
        troubles: list[str] = []
        missing = self._workers - self._ended_workers
        if missing:
            troubles.append(f"{missing} of {self._workers} workers did not tell their last outcomes")
        in_use: dict[str, int] = {}
        try:
            in_use = {tenant.name: self._slots_in_use(tenant.name) for tenant in run.scenario.tenants}
        except ServerError as error:
            troubles.append(str(error))
        watch.stop()
        troubles += watch.troubles
        spans = run.scenario.phases or {"": (0.0, 1.0)}
        phases = {name: (ends - begins) * run.duration_s for name, (begins, ends) in spans.items()}
        return Evidence(
            run.scenario.tenants,
            tuple(run.outcomes),
            phases,
            watch.logs,
            tuple(watch.denials.values()),
            in_use,
            tuple(troubles),
        )

    def _slots_in_use(self, tenant: str) -> int:
        key_id = self._run.registration.key_id(tenant)
        windows = self._admin.get("/admin/usage", api_key=key_id, limit=1000)["items"]
        return sum(int(each["used"]) for each in windows if each["unit"] == "concurrent_requests")

    def _quitting(self, **_: Any) -> None:
        self._open.close()
        name = self._run.scenario.name
        if self._report is None:
            print(f"FAIL  {name}: ended before it could be judged", file=sys.stderr, flush=True)
            self._environment.process_exit_code = 1
            return
        html = self._options.html_file and Path(self._options.html_file)
        if html and html.exists():
            html.write_text(with_verdicts(html.read_text(), self._report))
