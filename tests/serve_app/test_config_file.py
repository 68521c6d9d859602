"""The configuration file: each thing that can be wrong with it, and what the person is told."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from serve_app.config_file import read_serve_config
from serve_app.errors import ConfigFileError

GOOD: dict[str, Any] = {
    "http_options": {"host": "127.0.0.1", "port": 8300},
    "logging_config": {"log_level": "WARNING"},
    "applications": [
        {
            "name": "sluice",
            "import_path": "serve_app:build",
            "args": {"demo": True, "models": [{"name": "small"}, {"name": "large"}]},
            "deployments": [
                {"name": "Ingress", "ray_actor_options": {"num_cpus": 0.2}, "user_config": {"policies": []}},
                {"name": "ModelRouter", "max_ongoing_requests": 100},
                {"name": "model-small", "autoscaling_config": {"min_replicas": 1, "max_replicas": 2}},
            ],
        }
    ],
}


def write(directory: Path, text: str) -> Path:
    path = directory / "serve_config.yaml"
    path.write_text(text)
    return path


def problems_of(path: Path, **options: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigFileError) as caught:
        read_serve_config(path, user_config_checks=options.get("checks", {}))
    return caught.value.problems


def test_a_right_file_is_read(tmp_path: Path) -> None:
    config = read_serve_config(write(tmp_path, yaml.safe_dump(GOOD)), user_config_checks={})

    assert (config.http_host, config.http_port) == ("127.0.0.1", 8300)
    (application,) = config.applications
    assert application.name == "sluice"
    assert application.args.demo
    assert [model.name for model in application.args.models] == ["small", "large"]
    assert application.user_config == {"policies": []}


Change = Callable[[dict[str, Any]], object]


def app(data: dict[str, Any]) -> Any:
    return data["applications"][0]


def deployment(data: dict[str, Any], index: int) -> Any:
    return app(data)["deployments"][index]


ONE_PROBLEM: dict[str, tuple[Change, str]] = {
    # what is wrong: (how the file is changed, what the one problem says)
    "top": (
        lambda d: d.update(http_option={}),
        "http_option: unknown key; did you mean http_options?",
    ),
    "http_options": (
        lambda d: d["http_options"].update(prot=8000),
        "http_options.prot: unknown key; did you mean port?",
    ),
    "two routers": (
        lambda d: deployment(d, 1).update(num_replicas=2),
        "applications[0].deployments[1].num_replicas: ModelRouter has one replica: write 1, or leave it out",
    ),
    "a router that scales": (
        lambda d: deployment(d, 1).update(autoscaling_config={"min_replicas": 1, "max_replicas": 2}),
        "applications[0].deployments[1].autoscaling_config: ModelRouter has one replica; remove it",
    ),
    "a field of qos": (
        lambda d: app(d)["args"].update(qos={"bends": []}),
        "applications[0].args.qos.bends: unknown key; did you mean bands?",
    ),
    "a QoS tier without a band": (
        lambda d: app(d)["args"].update(qos={"bands": [{"name": "premium"}]}),
        "applications[0].args.qos: bands: there must be one for each of internal, premium, standard, batch, "
        "and no other",
    ),
    "a service level for nobody": (
        lambda d: app(d)["args"].update(qos={"sla": {"gold": {"ttft_p95_ms": 100}}}),
        "applications[0].args.qos: sla: there is no QoS tier 'gold'; there are internal, premium, standard, batch",
    ),
    "a field of a service level": (
        lambda d: app(d)["args"].update(qos={"sla": {"premium": {"ttft_p95_sm": 100}}}),
        "applications[0].args.qos.sla.premium.ttft_p95_sm: unknown key; did you mean ttft_p95_ms?",
    ),
    "logging_config at the top": (
        lambda d: d["logging_config"].update(loglevel="INFO"),
        "logging_config.loglevel: unknown key; did you mean log_level?",
    ),
    "application": (
        lambda d: app(d).update(route_prefx="/"),
        "applications[0].route_prefx: unknown key; did you mean route_prefix?",
    ),
    "deployment": (
        lambda d: deployment(d, 1).update(max_ongoing_request=5),
        "applications[0].deployments[1].max_ongoing_request: unknown key; did you mean max_ongoing_requests?",
    ),
    "ray_actor_options": (
        lambda d: deployment(d, 1).update(ray_actor_options={"num_gpu": 1}),
        "applications[0].deployments[1].ray_actor_options.num_gpu: unknown key; did you mean num_gpus?",
    ),
    "autoscaling_config": (
        lambda d: deployment(d, 2)["autoscaling_config"].update(max_replica=1),
        "applications[0].deployments[2].autoscaling_config.max_replica: unknown key; did you mean max_replicas?",
    ),
    "autoscaling_config.policy": (
        lambda d: deployment(d, 2)["autoscaling_config"].update(policy={"policy_func": "a:b"}),
        "applications[0].deployments[2].autoscaling_config.policy.policy_func: unknown key; "
        "did you mean policy_function?",
    ),
    "logging_config of a deployment": (
        lambda d: deployment(d, 0).update(logging_config={"enable_acess_log": False}),
        "applications[0].deployments[0].logging_config.enable_acess_log: unknown key; did you mean enable_access_log?",
    ),
    "args": (
        lambda d: app(d)["args"].update(redsi={}),
        "applications[0].args.redsi: unknown key; did you mean redis?",
    ),
    "args.redis": (
        lambda d: app(d)["args"].update(redis={"ulr": "embedded"}),
        "applications[0].args.redis.ulr: unknown key; did you mean url?",
    ),
    "args.models": (
        lambda d: app(d)["args"]["models"][1].update(engin={}),
        "applications[0].args.models[1].engin: unknown key; did you mean engine?",
    ),
    "args.models.engine": (
        lambda d: app(d)["args"]["models"][1].update(engine={"sort": "simulated"}),
        "applications[0].args.models[1].engine.sort: unknown key; known here: kind, options",
    ),
    "a key that is no string": (
        lambda d: app(d).update({7: 1}),
        "applications[0].7: unknown key; known here: ",
    ),
    "a value of the wrong type": (
        lambda d: deployment(d, 1).update(max_ongoing_requests="many"),
        "applications[0].deployments[1].max_ongoing_requests: input should be a valid integer",
    ),
    "a value that Ray holds as a dict": (
        lambda d: deployment(d, 2)["autoscaling_config"].update(max_replicas=-1),
        "applications[0].deployments[2].autoscaling_config.max_replicas: input should be greater than 0, but it is -1",
    ),
    "two values that exclude each other": (
        lambda d: deployment(d, 2).update(num_replicas=2),
        "applications[0].deployments[2]: Manually setting num_replicas is not allowed",
    ),
    "a key that is missing": (
        lambda d: app(d)["args"]["models"].append({}),
        "applications[0].args.models[2].name: missing; this key is required",
    ),
    "no models": (
        lambda d: (app(d)["args"].update(models=[]), app(d)["deployments"].pop()),
        "applications[0].args.models: List should have at least 1 item",
    ),
    "no args": (
        lambda d: (app(d).pop("args"), app(d)["deployments"].pop()),
        "applications[0].args.models: missing; this key is required",
    ),
    "a list of the wrong things": (
        lambda d: app(d)["deployments"].append("Ingress"),
        "applications[0].deployments[3]: must be a mapping of keys to values, but it is 'Ingress'",
    ),
    "a model twice": (
        lambda d: app(d)["args"]["models"].append({"name": "small"}),
        "applications[0].args: models: the name 'small' is used 2 times; each must be unique",
    ),
    "a deployment that the graph does not have": (
        lambda d: deployment(d, 2).update(name="model-smal"),
        "applications[0].deployments[2].name: the application has no deployment 'model-smal'; "
        "did you mean model-small?",
    ),
    "a deployment twice": (
        lambda d: app(d)["deployments"].append({"name": "Ingress"}),
        "applications[0].deployments[3].name: 'Ingress' has an entry above already",
    ),
    "import_path": (
        lambda d: app(d).update(import_path="serve_app:biuld"),
        "applications[0].import_path: 'serve_app:biuld' is unknown; did you mean serve_app:build?",
    ),
    "no application of ours": (
        lambda d: app(d).update(import_path="somebody.else:app"),
        "applications: none of them has import_path: serve_app:build",
    ),
    "user_config of another deployment": (
        lambda d: deployment(d, 1).update(user_config={"a": 1}),
        "applications[0].deployments[1].user_config: only Ingress takes one; remove it",
    ),
    "an option of an engine": (
        lambda d: app(d)["args"]["models"][0].update(engine={"options": {"frist_token_ms": 1}}),
        "applications[0].args.models[0].engine.options: engine options of kind simulated: unknown option "
        "frist_token_ms; known are first_token_ms, ",
    ),
    "port": (
        lambda d: d["http_options"].update(port=80000),
        "http_options.port: must be a port between 1 and 65535, but it is 80000",
    ),
    "demo keys on every interface": (
        lambda d: d["http_options"].update(host="0.0.0.0"),
        "applications[0].args.demo: the demo keys are known to everybody, and http_options.host is 0.0.0.0",
    ),
    "demo keys and no host": (
        lambda d: d["http_options"].pop("host"),
        "applications[0].args.demo: the demo keys are known to everybody, and http_options.host is absent, "
        "and Ray then listens on 0.0.0.0",
    ),
}


@pytest.mark.parametrize("name", ONE_PROBLEM)
def test_each_mistake_is_named_with_its_path(tmp_path: Path, name: str) -> None:
    change, expected = ONE_PROBLEM[name]
    data = copy.deepcopy(GOOD)
    change(data)

    problems = problems_of(write(tmp_path, yaml.safe_dump(data, sort_keys=False)))

    assert len(problems) == 1, problems
    assert problems[0].startswith(expected), problems[0]


def test_all_problems_are_reported_together_in_the_order_of_the_file(tmp_path: Path) -> None:
    data = copy.deepcopy(GOOD)
    data["proxy_locatoin"] = "HeadOnly"
    app(data)["args"]["demoo"] = True
    deployment(data, 0)["ray_actor_options"]["num_cpu"] = 1
    data["http_options"]["host"] = "::"

    problems = problems_of(write(tmp_path, yaml.safe_dump(data, sort_keys=False)))

    assert [problem.split(":")[0] for problem in problems] == [
        "applications[0].args.demo",
        "applications[0].args.demoo",
        "applications[0].deployments[0].ray_actor_options.num_cpu",
        "proxy_locatoin",
    ]


def test_problems_name_their_line(tmp_path: Path) -> None:
    text = yaml.safe_dump(GOOD, sort_keys=False).replace("num_cpus", "num_cpu")
    (problem,) = problems_of(write(tmp_path, text))
    line = next(n for n, line in enumerate(text.splitlines(), 1) if "num_cpu" in line)
    assert problem.endswith(f"(line {line})")


def test_user_config_is_checked_by_the_deployment_s_own_check(tmp_path: Path) -> None:
    path = write(tmp_path, yaml.safe_dump(GOOD, sort_keys=False))
    (problem,) = problems_of(path, checks={"Ingress": lambda config: ["policies[0].scope: unknown"]})
    assert problem.startswith("applications[0].deployments[0].user_config.policies[0].scope: unknown")


CATALOGUE = {"tiers": [{"name": "t"}], "models": [{"name": "small", "tier": "t"}]}


def test_problems_inside_the_catalogue_name_their_line(tmp_path: Path) -> None:
    data = copy.deepcopy(GOOD)
    deployment(data, 0)["user_config"] = {"catalogue": {**CATALOGUE, "policies": [{"scopee": "TENANT"}]}}
    text = yaml.safe_dump(data, sort_keys=False)
    line = next(n for n, line in enumerate(text.splitlines(), 1) if "scopee" in line)

    problems = problems_of(write(tmp_path, text), checks=None)

    assert any("policies[0].scopee: unknown key" in problem and f"(line {line})" in problem for problem in problems)


def test_a_model_that_nothing_runs(tmp_path: Path) -> None:
    data = copy.deepcopy(GOOD)
    catalogue = copy.deepcopy(CATALOGUE)
    catalogue["models"][0]["pool"] = "smal"
    deployment(data, 0)["user_config"] = {"catalogue": catalogue}
    (problem,) = problems_of(write(tmp_path, yaml.safe_dump(data)), checks=None)
    assert "models[0]: args.models has no 'smal' to run 'small'; did you mean small?" in problem


@pytest.mark.parametrize("user_config", [None, {}, {"catalogue": None}])
def test_a_file_without_a_catalogue(tmp_path: Path, user_config: Any) -> None:
    data = copy.deepcopy(GOOD)
    deployment(data, 0)["user_config"] = user_config
    (problem,) = problems_of(write(tmp_path, yaml.safe_dump(data)), checks=None)
    assert problem.startswith("applications[0].deployments: the entry Ingress needs user_config.catalogue")


def test_another_application_beside_ours_is_left_alone(tmp_path: Path) -> None:
    data = copy.deepcopy(GOOD)
    other = {"name": "other", "import_path": "team.other:app", "route_prefix": "/other", "args": {"any": 1}}
    data["applications"].append({**other, "deployments": [{"name": "Theirs"}]})
    config = read_serve_config(write(tmp_path, yaml.safe_dump(data)), user_config_checks={})
    assert [application.name for application in config.applications] == ["sluice"]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("redis", {"url": "rediss+wrong://user:hunter2@host"}, "args.redis.url: "),
        ("redis", "redis://:hunter2@db:6379/0", "must be a mapping of keys to values, but it is '…@db:6379/0'"),
        ("redis", {"url": ["redis://:hunter2@db"]}, "args.redis.url: "),
        ("redis", "redis://u:hunter2/@x@db", "but it is '…@db'"),
        ("redis", [["redis://:hunter2@db"]], "must be a mapping of keys to values, but it is a list"),
        ("redis", "redis://:a hunter2@db", "but it is '…@db'"),
        ("redis", "unix:///run/redis.sock?password=hunter2", "but it is 'unix:///run/redis.sock?…'"),
        ("tracing", {"endpoint": "http://bob:hunter2@collector"}, "without user and password, but it is '…@collector'"),
        ("tracing", {"endpoint": "bob:hunter2@collector:4318"}, "but it is '…@collector:4318'"),
        ("http", {"cors_origins": ["https://bob:hunter2@chat"]}, "without a path, or *, but it is '…@chat'"),
        ("http", {"trusted_proxies": ["http://bob:hunter2@proxy"]}, "must be an address or network such as"),
    ],
)
def test_a_secret_is_not_repeated(name: str, value: object, says: str, tmp_path: Path) -> None:
    data = copy.deepcopy(GOOD)
    app(data)["args"][name] = value
    (problem,) = problems_of(write(tmp_path, yaml.safe_dump(data)))
    assert says in problem
    assert "hunter2" not in problem


def test_a_secret_is_not_repeated_by_rays_own_words(tmp_path: Path) -> None:
    data = copy.deepcopy(GOOD)
    app(data)["runtime_env"] = {"working_dir": "git+https://hunter2@example.com/o/r"}
    (problem,) = problems_of(write(tmp_path, yaml.safe_dump(data)))
    assert "hunter2" not in problem


def test_arguments_of_a_model_are_not_repeated(tmp_path: Path) -> None:
    data = copy.deepcopy(GOOD)
    options = {"import_path": "tests.integration.parrot:Parrot", "arguments": [{"api_key": "hunter2"}]}
    app(data)["args"]["models"][0]["engine"] = {"kind": "python", "options": options}
    (problem,) = problems_of(write(tmp_path, yaml.safe_dump(data)))
    assert "arguments: Input should be a valid dictionary" in problem
    assert "hunter2" not in problem


def test_a_prefix_is_no_secret_and_the_error_says_what_it_may_be(tmp_path: Path) -> None:
    data = copy.deepcopy(GOOD)
    app(data)["args"]["redis"] = {"key_prefix": "a b"}
    (problem,) = problems_of(write(tmp_path, yaml.safe_dump(data)))
    assert "must be 1 to 32 letters, digits, colons, dots, hyphens or underscores, but it is 'a b'" in problem


UNREADABLE = {
    # the text of the file: what the one problem says
    "applications: [": "line 1, column 16: not valid YAML",
    "a: 1\n\tb: 2\n": "line 2, column 1: not valid YAML",
    "a:\n  b: 1\n  c: 2\n  b: 3\n": "line 4, column 3: a.b: this key was given on line 2 already",
    "": "must be a mapping with the key applications, but it is empty",
    "- 1": "must be a mapping with the key applications, but it is a list",
    "just text": "must be a mapping with the key applications, but it is a str",
    "a: !!python/object:os.system {}": "line 1, column 4: not valid YAML: could not determine a constructor",
}


@pytest.mark.parametrize("text", UNREADABLE)
def test_what_is_not_a_configuration_at_all(tmp_path: Path, text: str) -> None:
    (problem,) = problems_of(write(tmp_path, text))
    assert problem.startswith(UNREADABLE[text]), problem


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert problems_of(tmp_path / "absent.yaml") == ("cannot be read: No such file or directory",)
    assert problems_of(tmp_path) == ("cannot be read: Is a directory",)
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9")
    assert problems_of(tmp_path / "latin.yaml")[0].startswith("not UTF-8 text: byte 3")


def test_merged_keys_may_be_overridden(tmp_path: Path) -> None:
    text = """
http_options: {host: 127.0.0.1}
applications:
  - name: a
    import_path: serve_app:build
    args: {models: [{name: small}, {name: large}]}
    deployments:
      - &base {name: model-small, max_ongoing_requests: 4, num_replicas: 1}
      - {<<: *base, name: model-large}
"""
    assert read_serve_config(write(tmp_path, text), user_config_checks={}).http_host == "127.0.0.1"
