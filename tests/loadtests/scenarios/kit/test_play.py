import json
from pathlib import Path

from tests.loadtests.scenarios.kit.under_locust import told

GONE = """
import sys
from types import SimpleNamespace
from locust import User
from locust.env import Environment
from loadtests.scenarios.kit import play
from loadtests.scenarios.kit.outcomes import Outcome
from loadtests.scenarios.kit.promises import nothing_fails, slots_are_given_back
from loadtests.scenarios.kit.scenario import Run, Scenario
from loadtests.scenarios.kit.tenants import Admin, Limit, Registration, Tenant
from loadtests.scenarios.kit.watching import Watch

class Nobody(User):
    pass

play.SETTLED_S = 0
HOST = "http://127.0.0.1:1"  # where nobody listens
tenants = (Tenant("acme", limits=(Limit("rate", 5, 1),)),)
run = Run(Scenario("burst", tenants, (nothing_fails(), slots_are_given_back), 0.1))
run.registration = Registration("ab12", "load-quick", {"acme": "sk-secret"})
options = SimpleNamespace(reports=sys.argv[1], headless=False, html_file=None)
environment = Environment(user_classes=[Nobody], host=HOST, parsed_options=options)
environment.create_local_runner()
judge = play._Judge(run, environment)
judge._admin = Admin(HOST, "sk-admin")
judge._watch = Watch(HOST, "sk-admin", run.registration, tenants)
run.begin()
run.outcomes.append(Outcome("acme", "chat", "", "r1", 0.0, 10.0, status=200, tokens=7))
judge._conduct()
judge._quitting()
print(environment.process_exit_code)
"""


def test_a_run_whose_server_has_gone_fails_with_what_is_known(tmp_path: Path) -> None:
    assert told(GONE, str(tmp_path)).endswith("FAIL  burst\n1\n")
    report = json.loads((tmp_path / "burst.json").read_text())
    assert report["passed"] is False
    assert report["tenants"]["acme"]["all"]["results"] == {"200": 1}
    kept = {verdict["promise"]: verdict["kept"] for verdict in report["verdicts"]}
    assert kept == {"no errors at all": True, "every slot is given back": False, "the run was observed whole": False}
    assert "http://127.0.0.1:1/admin/usage was not answered" in report["verdicts"][-1]["detail"]
