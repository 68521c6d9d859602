"""Reads serve_config.yaml and checks the whole of it before anything starts.

Known keys come from Ray Serve's own schemas and from `serve_app.config` (the application's `args`); Ray by itself
ignores most keys that it does not know. Reading YAML is `serve_app.yaml_reader`, comparing data with a model is
`serve_app.schema_check`; what `user_config` may say is `policies.catalogue`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ray.serve.config import AutoscalingPolicy
from ray.serve.schema import ServeApplicationSchema, ServeDeploySchema

from policies.catalogue import Catalogue, check_user_config
from policies.errors import CatalogueError
from serve_app.config import INGRESS, ROUTER, ApplicationArgs, is_loopback, model_deployment_name
from serve_app.devices import device_problems, device_warnings
from serve_app.errors import ConfigFileError
from serve_app.schema_check import Overrides, Problem, check, did_you_mean
from serve_app.yaml_reader import KeyPath, YamlFile, key_path, path_text, read_yaml

IMPORT_PATH = "serve_app:build"
"""`import_path` of an application that is ours; others may stand beside it in the same file."""

RAY_DEFAULT_HTTP_HOST = "0.0.0.0"  # noqa: S104  what Ray takes when the file names none
RAY_DEFAULT_HTTP_PORT = 8000

UserConfigCheck = Callable[[dict[str, Any]], list[str]]
"""Everything wrong with a deployment's `user_config`, each as `path inside it: what`."""


@dataclass(frozen=True)
class SluiceApplication:
    """One application of ours in the file."""

    name: str
    route_prefix: str
    args: ApplicationArgs
    user_config: Mapping[str, Any] = field(default_factory=dict)
    """`user_config` of the deployment `Ingress`: the catalogue."""


@dataclass(frozen=True)
class ServeConfig:
    """What the launcher needs to know of a file that was found to be right."""

    path: Path
    http_host: str
    http_port: int
    applications: tuple[SluiceApplication, ...]
    tls: bool = False
    """Whether Serve's own proxy is to speak TLS, which HAProxy in its place does not."""
    warnings: tuple[str, ...] = ()
    """What is no mistake and hardly meant."""


def read_serve_config(path: Path, *, user_config_checks: Mapping[str, UserConfigCheck] | None = None) -> ServeConfig:
    """Read and check a file. `ConfigFileError` holds every problem found, each with its path and line.

    `user_config_checks` has, by name of deployment, what checks its `user_config`; by default that is the
    catalogue's own check for `Ingress`.
    """
    file = read_yaml(path)
    if not isinstance(file.data, dict):
        kind = "empty" if file.data is None else f"a {type(file.data).__name__}"
        raise ConfigFileError(str(path), [f"must be a mapping with the key applications, but it is {kind}"])
    checks = _default_user_config_checks() if user_config_checks is None else user_config_checks
    problems = [
        *check(file.data, ServeDeploySchema, (), _OVERRIDES),
        *_http_problems(file.data),
        *_application_problems(file.data, checks),
    ]
    if problems:
        raise ConfigFileError(str(path), _in_order(file, problems))
    return _parsed(path, file.data)


_OVERRIDES: Overrides = {(ServeApplicationSchema, "autoscaling_policy"): AutoscalingPolicy}


def _default_user_config_checks() -> dict[str, UserConfigCheck]:
    return {INGRESS: check_user_config}


def _http_problems(data: dict[str, Any]) -> Iterator[Problem]:
    options = data.get("http_options")
    port = options.get("port") if isinstance(options, dict) else None
    if isinstance(port, int) and not 1 <= port <= 65535:
        yield Problem(("http_options", "port"), f"must be a port between 1 and 65535, but it is {port}")


def _application_problems(data: dict[str, Any], checks: Mapping[str, UserConfigCheck]) -> Iterator[Problem]:
    applications = data.get("applications")
    if not isinstance(applications, list):
        return  # reported by the schema
    ours = 0
    for index, application in enumerate(applications):
        if not isinstance(application, dict):
            continue
        path: KeyPath = ("applications", index)
        import_path = application.get("import_path")
        if import_path == IMPORT_PATH:
            ours += 1
            yield from _our_application_problems(data, application, path, checks)
        elif isinstance(import_path, str) and _looks_like_ours(import_path):
            ours += 1
            yield Problem((*path, "import_path"), f"{import_path!r} is unknown; did you mean {IMPORT_PATH}?")
    if ours == 0:
        yield Problem(("applications",), f"none of them has import_path: {IMPORT_PATH}")


def _looks_like_ours(import_path: str) -> bool:
    return "did you mean" in did_you_mean(import_path, [IMPORT_PATH]) or import_path.startswith("serve_app")


def _our_application_problems(
    data: dict[str, Any],
    application: dict[str, Any],
    path: KeyPath,
    checks: Mapping[str, UserConfigCheck],
) -> Iterator[Problem]:
    args = application.get("args")
    yield from check({} if args is None else args, ApplicationArgs, (*path, "args"), {})
    if isinstance(args, dict) and args.get("demo") is True:
        yield from _demo_problems(data, (*path, "args", "demo"))
    deployments = application.get("deployments")
    if isinstance(deployments, list):
        yield from _deployment_problems(args, deployments, (*path, "deployments"), checks)
        yield from _pool_problems(args, deployments, (*path, "deployments"))
        yield from device_problems(deployments, (*path, "deployments"))
    elif INGRESS in checks and deployments is None:
        yield Problem((*path, "deployments"), f"missing; the entry {INGRESS} holds user_config.catalogue")


def _demo_problems(data: dict[str, Any], path: KeyPath) -> Iterator[Problem]:
    options = data.get("http_options")
    host = options.get("host") if isinstance(options, dict) else None
    if host is None:
        found = f"http_options.host is absent, and Ray then listens on {RAY_DEFAULT_HTTP_HOST}"
    elif isinstance(host, str) and not is_loopback(host):
        found = f"http_options.host is {host}"
    else:
        return
    yield Problem(
        path,
        f"the demo keys are known to everybody, and {found}, where other machines can reach them: "
        "write `http_options: {host: 127.0.0.1}`, or `demo: false` and keys of your own",
    )


def _deployment_problems(
    args: Any, deployments: list[Any], path: KeyPath, checks: Mapping[str, UserConfigCheck]
) -> Iterator[Problem]:
    known = {INGRESS, ROUTER, *_model_deployments(args)}
    seen: set[str] = set()
    for index, deployment in enumerate(deployments):
        name = deployment.get("name") if isinstance(deployment, dict) else None
        if not isinstance(name, str):
            continue  # reported by the schema
        if name not in known:
            text = f"the application has no deployment {name!r}; {did_you_mean(name, known)}"
            yield Problem((*path, index, "name"), text)
        elif name in seen:
            yield Problem((*path, index, "name"), f"{name!r} has an entry above already; put them into one")
        seen.add(name)
        if name == ROUTER:
            yield from _router_problems(deployment, (*path, index))
        user_config = deployment.get("user_config")
        if name in checks and isinstance(user_config, dict):
            for problem in checks[name](user_config):
                inner, _, text = problem.partition(": ")
                yield Problem((*path, index, "user_config", *key_path(inner)), text)
        elif name in known and name != INGRESS and user_config is not None:
            yield Problem((*path, index, "user_config"), f"only {INGRESS} takes one; remove it")
    if INGRESS in checks and not any(_has_catalogue(deployment) for deployment in deployments):
        yield Problem(
            path,
            f"the entry {INGRESS} needs user_config.catalogue: without tenants, keys and models it can serve nobody",
        )


def _router_problems(deployment: dict[str, Any], path: KeyPath) -> Iterator[Problem]:
    """Slots are given away by one process: two that know nothing of each other would each give all of them."""
    if deployment.get("num_replicas") not in (None, 1):
        yield Problem((*path, "num_replicas"), f"{ROUTER} has one replica: write 1, or leave it out")
    if deployment.get("autoscaling_config") is not None:
        yield Problem((*path, "autoscaling_config"), f"{ROUTER} has one replica; remove it")


def _has_catalogue(deployment: Any) -> bool:
    if not isinstance(deployment, dict) or deployment.get("name") != INGRESS:
        return False
    user_config = deployment.get("user_config")
    # Something else than nothing: whether it is right, the catalogue's own check says.
    return bool(user_config) and (not isinstance(user_config, dict) or user_config != {"catalogue": None})


def _pool_problems(args: Any, deployments: list[Any], path: KeyPath) -> Iterator[Problem]:
    """Models of the catalogue that no entry of `args.models` runs."""
    pools = [name.removeprefix(model_deployment_name("")) for name in _model_deployments(args)]
    for index, deployment in enumerate(deployments):
        if not pools or not isinstance(deployment, dict) or deployment.get("name") != INGRESS:
            continue
        try:
            models = Catalogue.parse(deployment["user_config"]["catalogue"]).models
        except (KeyError, TypeError, CatalogueError):
            return  # reported by the catalogue's own check
        for at, model in enumerate(models):
            if model.pool_name not in pools:
                place = (*path, index, "user_config", "catalogue", "models", at)
                text = f"args.models has no {model.pool_name!r} to run {model.name!r}; "
                yield Problem(place, text + did_you_mean(model.pool_name, pools))


def _model_deployments(args: Any) -> list[str]:
    """Read from the raw data: the names are wanted even when something else in `args` is wrong."""
    models = args.get("models") if isinstance(args, dict) else None
    return [
        model_deployment_name(model["name"])
        for model in (models if isinstance(models, list) else [])
        if isinstance(model, dict) and isinstance(model.get("name"), str)
    ]


def _in_order(file: YamlFile, problems: list[Problem]) -> list[str]:
    """The problems as text, each once, by the line they are on."""
    texts = {}
    for problem in problems:
        line = file.line_of(problem.path)
        where = path_text(problem.path)
        text = f"{where}: {problem.text}" if where else problem.text
        texts[f"{text} (line {line})" if line is not None else text] = line or 0
    return sorted(texts, key=lambda text: texts[text])


def _parsed(path: Path, data: dict[str, Any]) -> ServeConfig:
    options = data.get("http_options") or {}
    ours = [application for application in data["applications"] if application["import_path"] == IMPORT_PATH]
    args = [ApplicationArgs.model_validate(application.get("args") or {}) for application in ours]
    return ServeConfig(
        path=path,
        http_host=options.get("host", RAY_DEFAULT_HTTP_HOST),
        http_port=options.get("port", RAY_DEFAULT_HTTP_PORT),
        applications=tuple(
            SluiceApplication(
                name=application.get("name", "default"),
                route_prefix=application.get("route_prefix") or "/",
                args=of_it,
                user_config=_user_config(application, INGRESS),
            )
            for application, of_it in zip(ours, args, strict=True)
        ),
        tls=bool(options.get("ssl_certfile")),
        warnings=(
            *_tls_warnings(options),
            *(
                warning
                for application, of_it in zip(ours, args, strict=True)
                for warning in (
                    *of_it.redis.warnings(),
                    *device_warnings(of_it, application.get("deployments") or []),
                )
            ),
        ),
    )


def _tls_warnings(options: Mapping[str, Any]) -> Iterator[str]:
    if options.get("ssl_certfile"):
        yield (
            "http_options.ssl_certfile is for Ray Serve's own proxy (a plain `serve run`): HAProxy in its place, which "
            "`sluice up` and RAY_SERVE_ENABLE_HA_PROXY=1 put there, speaks no TLS in Ray 2.60. See docs/security.md"
        )


def _user_config(application: dict[str, Any], deployment: str) -> Mapping[str, Any]:
    for entry in application.get("deployments") or []:
        if entry["name"] == deployment:
            return entry.get("user_config") or {}
    return {}
