"""The rules of who may import whom (ARCHITECTURE.md), read from the source: a forbidden import fails here."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("serve_app", "deployments", "policies")

# Whose modules (by prefix) must not import what (by prefix), and why.
FORBIDDEN = [
    ("policies", ("deployments", "serve_app"), "imports run serve_app -> deployments -> policies"),
    ("policies", ("ray", "fastapi"), "policies works as a library, without Ray and FastAPI"),
    ("deployments", ("serve_app",), "imports run serve_app -> deployments -> policies"),
    ("deployments.ingress", ("deployments.models",), "ingress and models never import each other"),
    ("deployments.models", ("deployments.ingress", "deployments.router"), "a model knows nothing of who calls it"),
    ("deployments.router", ("deployments.ingress", "deployments.models"), "the router knows nothing of bodies"),
    ("deployments.router.scheduler", ("ray", "asyncio"), "the scheduler is pure Python"),
    ("deployments.router.exchange", ("ray", "asyncio"), "both sides' books are pure Python"),
    ("deployments.router.contract", ("ray",), "the ingress is tested without Ray"),
    ("deployments.router.admission", ("ray",), "the exchange is simulated without Ray"),
    ("deployments.router.service", ("ray",), "the exchange is simulated without Ray"),
    ("deployments.models.engines", ("ray",), "engines are tested and timed without a cluster"),
    ("deployments.models.service", ("ray",), "the service is tested without a cluster"),
]
# The only modules of the ingress that know Ray.
RAY_IN_INGRESS = {"deployments.ingress.deployment"}
# The only module of the metrics that knows Ray: the rest is counted and tested without it.
RAY_IN_METRICS = {"deployments.metrics.ray_metrics"}
# The only module that knows vLLM, and what Ray has for it: both together take a quarter of a minute to import.
RAY_LLM = {"deployments.models.ray_llm"}


def _imports() -> list[tuple[str, str]]:
    """(module, what it imports) for every import in the three packages."""
    found = []
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    found += [(module, alias.name) for alias in node.names]
                elif isinstance(node, ast.ImportFrom):
                    assert node.level == 0, f"{module} imports relatively; write the whole name"
                    found += [(module, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def _under(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


@pytest.mark.parametrize(("who", "whom", "why"), FORBIDDEN, ids=lambda value: str(value)[:40])
def test_no_forbidden_import(who: str, whom: tuple[str, ...], why: str) -> None:
    broken = [
        f"{module} imports {name}"
        for module, name in _imports()
        if _under(module, who) and any(_under(name, prefix) for prefix in whom)
    ]
    assert not broken, f"{why}: {broken}"


def test_ray_stays_out_of_the_ingress() -> None:
    knows = {m for m, name in _imports() if _under(m, "deployments.ingress") and _under(name, "ray")}
    assert knows == RAY_IN_INGRESS


def test_ray_stays_out_of_the_metrics() -> None:
    knows = {m for m, name in _imports() if _under(m, "deployments.metrics") and _under(name, "ray")}
    assert knows == RAY_IN_METRICS


def test_vllm_is_known_to_one_module() -> None:
    heavy = ("vllm", "ray.llm", "ray.serve.llm")
    assert {m for m, name in _imports() if any(_under(name, each) for each in heavy)} == RAY_LLM
    assert [m for m, name in _imports() if any(_under(name, each) for each in RAY_LLM)] == []


def test_what_everybody_imports_brings_no_engines_libraries() -> None:
    code = (
        "import sys, serve_app, serve_app.graph, deployments.models.deployment\n"
        "from deployments.models.engines.registry import check_options\n"
        "check_options('vllm', {'model': 'm'}).deployment()\n"
        "print(*(m for m in sys.modules if m in ('vllm', 'torch', 'transformers', 'ray.llm', 'ray.serve.llm')))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr


def test_opentelemetry_is_imported_only_where_requests_are_traced() -> None:
    known = {m for m, name in _imports() if _under(name, "opentelemetry")}
    assert known == {"deployments.tracing.tracer"}
    read = "import sys, deployments.ingress.app, deployments.models.service"
    code = f"{read}; print('deployments.tracing.tracer' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


def test_the_rules_see_imports() -> None:
    # Guards the test itself: were nothing read, every rule above would hold.
    assert ("serve_app.graph", "deployments.ingress.deployment.Ingress") in _imports()


def test_postponed_annotations_are_nowhere() -> None:
    # They turn the annotations that Ray Serve and FastAPI read at run time into strings, which both then ignore.
    assert [m for m, name in _imports() if name == "__future__.annotations"] == []


HEAVY = {"torch", "transformers", "tokenizers", "huggingface_hub", "vllm", "sklearn"}
"""What only the replica of an engine that needs it imports."""

LIGHT = ("serve_app", "serve_app.graph", "deployments.models", "deployments.models.deployment")
"""What every process imports."""


def test_no_engines_library_is_imported_before_its_engine() -> None:
    told = f"import sys, {', '.join(LIGHT)}; print(*sorted({HEAVY} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []
