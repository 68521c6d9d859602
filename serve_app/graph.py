"""Binds the graph: Ingress -> ModelRouter -> one ModelReplica deployment for each model."""

from typing import Any, cast

from ray.serve import Application
from ray.serve.context import _get_global_client

from deployments.ingress.deployment import Ingress
from deployments.ingress.sla import SlaTarget
from deployments.models.deployment import ModelReplica
from deployments.models.engines.registry import check_options
from deployments.router.deployment import ModelRouter
from deployments.router.scheduler import QosSettings
from serve_app.config import ApplicationArgs, is_loopback, model_deployment_name
from serve_app.errors import DemoExposedError
from serve_app.redis_actor import ensure_embedded_redis


def bind_graph(args: ApplicationArgs) -> Application:
    """The application, ready to be deployed; the embedded Redis runs when this returns."""
    if args.demo:
        _refuse_beyond_loopback()
    # Ray's decorators make deployments of these classes, which type checkers cannot see.
    ingress, router, replica = cast("tuple[Any, Any, Any]", (Ingress, ModelRouter, ModelReplica))
    pools = {}
    options = {model.name: check_options(model.engine.kind, model.engine.options) for model in args.models}
    for model in args.models:
        pool = replica.options(name=model_deployment_name(model.name), **options[model.name].deployment())
        pools[model.name] = pool.bind(
            model.engine.kind, model.engine.options, model.stream_interval_ms / 1000, args.tracing.options()
        )
    redis_url = args.redis.url
    if redis_url == "embedded":
        redis_url = ensure_embedded_redis(args.state_dir)
    application: Application = ingress.bind(
        router.bind(
            pools,
            qos=args.qos.model_dump(include=set(QosSettings.model_fields)),
            slots_each={model.name: model.slots for model in args.models if model.slots is not None},
            metrics=args.metrics.enabled,
        ),
        redis_url=redis_url,
        redis_access=args.redis.access(),
        key_prefix=args.redis.key_prefix,
        deadline_s=args.redis.deadline_ms / 1000,
        audit_entries=args.redis.audit_entries,
        settings={
            "demo": args.demo,
            "bands": tuple(band.name for band in args.qos.bands),
            "sla": {tier: SlaTarget(**target.model_dump()) for tier, target in args.qos.sla.items()},
            "most_metric_names": args.metrics.most_names,
            **args.http.model_dump(),
        },
        longest_waits_s={band.name: band.longest_wait_s for band in args.qos.bands} if args.qos.enabled else None,
        countings={name: each.counting() for name, each in options.items()},
        metrics=args.metrics.enabled,
        access_log=args.logging.access,
        tracing=args.tracing.options(),
    )
    return application


def _refuse_beyond_loopback() -> None:
    """Demo keys are known to everybody. `sluice check` says it earlier; this holds under a plain `serve run` too."""
    client = _get_global_client(
        raise_if_no_controller_running=False
    )  # the only way to learn where Serve listens; None where no Serve runs (tests)
    host = client.http_config.host if client is not None else "127.0.0.1"
    if not is_loopback(host or "0.0.0.0"):  # noqa: S104 - what Ray means by none
        raise DemoExposedError(host)
