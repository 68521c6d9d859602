"""The typed `args` of an application in serve_config.yaml.

This module owns the schema only. Reading and checking the whole file is `serve_app.config_file`; the catalogue
(tenants, keys, policies), which may change while the application runs, is `policies.catalogue`.
"""

import ipaddress
import re
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from deployments.metrics.definitions import MOST_NAMES
from deployments.models.engines.registry import check_kind, check_options
from deployments.router.scheduler import QosSettings
from deployments.tracing import TracingOptions
from policies.access import RedisAccess
from policies.catalogue.store import AUDIT_ENTRIES
from policies.connect import check_access, check_url, holds_password
from policies.entities import QOS_TIERS

INGRESS, ROUTER = "Ingress", "ModelRouter"
"""The deployments that every graph has; each model adds one (`model_deployment_name`)."""


def _text(pattern: str, words: str) -> AfterValidator:
    """The whole text must match; the error says it in words."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"must be {words}")
        return value

    return AfterValidator(check)


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        raise ValueError("must be an address or network such as 10.1.2.3, 10.0.0.0/8 or fd00::/8") from None


Name = Annotated[
    str,
    _text(
        r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
        "1 to 64 letters, digits, dots, hyphens or underscores, a letter or digit first",
    ),
]

Network = Annotated[str, AfterValidator(_network)]
"""An IP address or network."""

Origin = Annotated[
    str,
    _text(
        r"\*|https?://([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?",
        "an origin such as https://chat.example.com, without a path, or *",
    ),
]
"""Scheme, host and port of a page, as browsers send it."""


class Settings(BaseModel):
    """Base of every settings model: a key that is not known is an error, and values do not change later. An error does
    not repeat what was given, which may be an address with a password: under a plain `serve run` it ends in logs."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)


class RedisSettings(Settings):
    """Where the log is kept."""

    url: str = "embedded"
    """`embedded`: a redis-server process of our own under `state_dir`, for one machine. Otherwise the address of yours:
    `redis://host:6379/0`, `rediss://…` (TLS), `unix:///path.sock`, `redis+sentinel://host:26379,host2:26379/primary-name`,
    `redis+cluster://host:6379,host2:6379`; `rediss+…` with TLS: [cluster.md](cluster.md)."""

    username: str | None = None
    """ACL user of the Redis servers, with `password_file`. `default` where left out."""

    password_file: Path | None = None
    """A file, by its whole path, that holds the password, on every machine that runs an ingress replica: a mounted
    Secret. It is read for each connection. Better than in `url`, which Ray shows in its dashboard."""

    sentinel_username: str | None = None
    """ACL user of the Sentinels, where they have users of their own."""

    sentinel_password_file: Path | None = None
    """The password of that one, as `password_file`."""

    ca_file: Path | None = None
    """With `rediss`: certificates (PEM) that vouch for the servers' own; the system's where left out."""

    cert_file: Path | None = None
    """With `rediss`: this client's certificate (PEM), for servers that ask for one."""

    key_file: Path | None = None
    """The key of `cert_file` (PEM, without a passphrase)."""

    key_prefix: Annotated[
        str, _text(r"[A-Za-z0-9:_.-]{1,32}", "1 to 32 letters, digits, colons, dots, hyphens or underscores")
    ] = "sluice"
    """First part of every key, so that several applications can share one Redis."""

    deadline_ms: Annotated[int, Field(ge=1, le=60_000)] = 50
    """How long one limit check may take before the policies' `on_redis_failure` decides, in milliseconds."""

    audit_entries: Annotated[int, Field(ge=100, le=10_000_000)] = AUDIT_ENTRIES
    """About how many changes of the catalogue the audit log keeps; the oldest go first."""

    @field_validator("url")
    @classmethod
    def _known_form(cls, url: str) -> str:
        if url != "embedded":
            check_url(url)
        return url

    @model_validator(mode="after")
    def _access_fits(self) -> "RedisSettings":
        if self.url != "embedded":
            check_access(self.url, self.access())
        elif self.access() != RedisAccess():
            raise ValueError(
                "the embedded Redis has neither password nor TLS, since only processes of this user on this machine "
                "reach it: remove username, the files, or `url: embedded`"
            )
        return self

    def access(self) -> RedisAccess:
        """The names and files among these settings."""
        return RedisAccess(**{each.name: getattr(self, each.name) for each in fields(RedisAccess)})

    def warnings(self) -> list[str]:
        """What is no mistake and better otherwise."""
        if self.url == "embedded" or not holds_password(self.url):
            return []
        return [
            "args.redis.url holds a password, and whoever sees Ray's dashboard sees args: "
            "put it into a file, and name that as args.redis.password_file"
        ]


class HttpSettings(Settings):
    """What the ingress accepts."""

    max_body_bytes: Annotated[int, Field(ge=1_024, le=1 << 30)] = 1 << 20
    """A larger request body is answered with 413. Bytes."""

    request_deadline_s: Annotated[float, Field(gt=0, le=86_400)] = 600.0
    """A request that is not finished by then is ended; no client header lifts it. Seconds."""

    ratelimit_headers: Literal["openai", "ietf", "both"] = "both"
    """Which families of rate-limit headers replies carry. `openai`: `x-ratelimit-*`; `ietf`: the draft's `RateLimit`
    and `RateLimit-Policy`; or `both`."""

    failed_authentications_per_minute: Annotated[int, Field(ge=0, le=10_000)] = 30
    """From one client address (of IPv6: one /64 network), at one ingress replica, in any 60 s. Beyond it only keys that
    were used before are let in; whatever is wrong or would have to be looked up is answered with 429
    `too_many_failed_authentications`. 0: no limit."""

    trusted_proxies: tuple[Network, ...] = ("127.0.0.0/8", "::1/128")
    """Addresses or networks of proxies whose `X-Forwarded-For` says where a request comes from: add your load
    balancer's, and with ingress replicas on several nodes those of the nodes."""

    cors_origins: tuple[Origin, ...] = ()
    """Origins whose pages may use the API from a browser, such as `https://chat.example.com`; `["*"]` for all. There
    are no cookies: such a page sends a key as any client does."""


class EngineSettings(Settings):
    """What answers in a model's replicas."""

    kind: Annotated[str, AfterValidator(check_kind)] = "simulated"
    """`simulated` answers with made-up words at a configured pace: for demos and load tests. `transformers` runs
    models of Hugging Face's transformers, `vllm` runs vLLM, `python` a class of your own: [engines.md](engines.md)."""

    options: dict[str, Any] = Field(default_factory=dict)
    """Options of that engine; checked by the engine itself before anything starts."""

    @field_validator("options")
    @classmethod
    def _options_fit(cls, options: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "kind" in info.data:  # else the kind's own error says what is wrong
            check_options(info.data["kind"], options)  # its error names the option and what is accepted
        return options


class ModelSettings(Settings):
    """One model: a Ray Serve deployment `model-<name>`. Its replicas, slots (`max_ongoing_requests`) and
    resources (`num_cpus`, `num_gpus`) are set under `deployments` in the same file, as in any Serve config."""

    name: Name
    """The pool's name; its deployment is `model-<name>`."""

    engine: EngineSettings = Field(default_factory=EngineSettings)
    """What answers: its `kind` and its `options`."""

    slots: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """How many requests one replica works on at once; never more than its `max_ongoing_requests`, which it is where
    absent."""

    stream_interval_ms: Annotated[float, Field(ge=0, le=1_000)] = 10.0
    """Least time between two messages of a streamed reply: tokens that come faster travel together. The first is never
    delayed, nor any that comes later than that after the one before. 0: each token by itself. Milliseconds."""


class SlaSettings(Settings):
    """What is agreed for the tenants of one QoS tier; `GET /admin/sla` shows what they get."""

    ttft_p95_ms: Annotated[int, Field(ge=1)] | None = None
    """Of streamed replies, 95 in 100 have their first token within this time. Milliseconds."""

    success_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    """Share of requests that end with a complete reply, as in `0.999`."""


class QosArgs(QosSettings):
    """Who goes next when all slots are taken: docs/qos.md."""

    enabled: bool = True
    """`false`: there are no bands and no fair shares; Ray Serve's own queues hold what waits, and `longest_wait`,
    `fallback_after` and `x-sluice-queue-timeout-ms` have no effect."""

    sla: dict[str, SlaSettings] = Field(default_factory=dict)
    """What is agreed, by QoS tier: `premium: {ttft_p95_ms: 800, success_rate: 0.999}`;
    [routing.md](routing.md#service-levels)."""

    @model_validator(mode="after")
    def _the_tiers_are_bands(self) -> "QosArgs":
        names = {band.name for band in self.bands}
        if names != set(QOS_TIERS):
            raise ValueError(f"bands: there must be one for each of {', '.join(QOS_TIERS)}, and no other")
        for name in self.sla:
            if name not in names:
                raise ValueError(f"sla: there is no QoS tier {name!r}; there are {', '.join(QOS_TIERS)}")
        return self


class MetricsSettings(Settings):
    """What Prometheus is told: docs/metrics.md."""

    enabled: bool = True
    """Off: nothing is exported."""

    most_names: Annotated[int, Field(ge=1, le=10_000)] = MOST_NAMES
    """How many policies, and how many models, each replica tells apart; those that come later are counted together as
    `_other`."""


class LoggingSettings(Settings):
    """What is logged beside what Ray Serve's own `logging_config` says: docs/logs.md."""

    access: bool = False
    """One line of JSON for each request to a model, in a file of each ingress replica beside Ray Serve's logs."""


class TracingSettings(Settings):
    """Traces for OpenTelemetry: docs/tracing.md."""

    enabled: bool = False
    """On: requests are traced, as many as `sample_rate` says. Needs `sluice[tracing]`."""

    endpoint: Annotated[
        str, _text(r"https?://[^\s@]+", "an address such as http://127.0.0.1:4318/v1/traces, without user and password")
    ] = "http://127.0.0.1:4318/v1/traces"
    """Where spans are sent: the address of an OTLP receiver that takes HTTP with protobuf."""

    sample_rate: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Share of the requests that are traced, among those that bring no `traceparent`; one that does says it itself."""

    def options(self) -> TracingOptions | None:
        """As the deployments take it; None where it is off."""
        return TracingOptions(self.endpoint, self.sample_rate) if self.enabled else None


class ApplicationArgs(Settings):
    """`args` of the application whose `import_path` is `serve_app:build`."""

    demo: bool = False
    """Accepts the well-known demo keys of the catalogue. Refused when Serve listens beyond loopback."""

    state_dir: Path = Path(".sluice")
    """Where the embedded Redis keeps its append-only file, and `sluice up` its log; relative to the directory of the
    start."""

    redis: RedisSettings = Field(default_factory=RedisSettings)
    """Where the log of the limits is kept: see below."""
    http: HttpSettings = Field(default_factory=HttpSettings)
    """What the ingress accepts: see below."""
    qos: QosArgs = Field(default_factory=QosArgs)
    """Who goes next when all slots are taken: see below."""
    metrics: MetricsSettings = Field(default_factory=MetricsSettings)
    """What Prometheus is told: see below."""
    logging: LoggingSettings = Field(default_factory=LoggingSettings)
    """What is logged: see below."""
    tracing: TracingSettings = Field(default_factory=TracingSettings)
    """Traces for OpenTelemetry: see below."""
    models: Annotated[list[ModelSettings], Field(min_length=1)]
    """The models: see below."""

    missing_resources: Literal["auto", "refuse", "warn"] = "auto"
    """What happens when the Ray cluster can never place all replicas, for want of GPUs, CPUs or anything else that
    `ray_actor_options` ask for. `refuse`: the deployment fails and says why. `warn`: it says so in Serve's log, and
    the replicas wait for nodes. `auto`: `warn` where the cluster may get nodes by itself (KubeRay, Ray's cluster
    launcher), else `refuse`: [engines.md](engines.md#gpus)."""

    @model_validator(mode="after")
    def _names_once(self) -> "ApplicationArgs":
        names = [model.name for model in self.models]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"models: the name {twice[0]!r} is used {names.count(twice[0])} times; each must be unique"
            )
        return self


def model_deployment_name(model: str) -> str:
    """The name of the Serve deployment that runs `model`, as it is written under `deployments`."""
    return f"model-{model}"


def deployments_of(args: ApplicationArgs) -> dict[str, dict[str, Any]]:
    """All deployments of an application of ours, by their names under `deployments`, with what their engines need."""
    models = {
        model_deployment_name(model.name): check_options(model.engine.kind, model.engine.options).deployment()
        for model in args.models
    }
    return {INGRESS: {}, ROUTER: {}, **models}


def is_loopback(host: str) -> bool:
    """Whether a listening address can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
