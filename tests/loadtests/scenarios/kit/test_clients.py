import json

from tests.loadtests.scenarios.kit.under_locust import told

CUT_OFF = """
import json, socket
import gevent
from locust.env import Environment
from loadtests.scenarios.kit.clients import Client
from loadtests.scenarios.kit.scenario import Run, Scenario
from loadtests.scenarios.kit.tenants import Registration

class Person(Client):
    tenant = "acme"

with socket.create_server(("127.0.0.1", 0)) as silent:
    Person.host = f"http://127.0.0.1:{silent.getsockname()[1]}"
    environment = Environment(user_classes=[Person])
    run = environment.scenario_run = Run(Scenario("hang", (), (), 20.0))
    run.registration = Registration("ab12", "load-quick", {"acme": "sk-secret"})
    run.begin()
    person = Person(environment)
    person.on_start()
    asking = gevent.spawn(person.ask)
    gevent.sleep(0.3)
    asking.kill()
print(json.dumps([each._asdict() for each in run.outcomes]))
"""


def test_what_the_end_cuts_off_says_how_long_it_was_under_way() -> None:
    [outcome] = json.loads(told(CUT_OFF))
    assert (outcome["status"], outcome["code"]) == (0, "cut")
    assert 200 < outcome["took_ms"] < 10_000
