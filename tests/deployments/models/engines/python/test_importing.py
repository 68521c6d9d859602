import sys
from pathlib import Path
from typing import Any

import pytest

from deployments.models.engines.protocol import EngineOptionsError
from deployments.models.engines.python.engine import PythonEngine
from deployments.models.engines.python.options import PythonOptions
from deployments.models.engines.registry import make_engine


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """On the path: modules of a user."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def module(folder: Path, name: str, source: str) -> str:
    sys.modules.pop(name, None)
    (folder / f"{name}.py").write_text(source)
    return name


async def load(path: str, **options: Any) -> PythonEngine:
    engine = PythonEngine(PythonOptions(import_path=path, **options))
    await engine.load()
    await engine.close()
    return engine


@pytest.mark.parametrize(
    "path", ["", "model", "model.Class", "model:", ":Class", "a-b:Class", "model:Class()", "a:b:c"]
)
def test_only_the_form_is_checked_where_the_class_is_not_at_hand(path: str) -> None:
    with pytest.raises(EngineOptionsError, match=r"import_path: it should be package\.module:Class"):
        make_engine("python", {"import_path": path})
    make_engine("python", {"import_path": "not_here.at_all:Class"})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "import_path is missing"),
        ({"import_path": "a:B", "thread": 2}, "unknown option thread; known are import_path, arguments, threads"),
        ({"import_path": "a:B", "threads": 0}, "threads: Input should be greater than or equal to 1"),
        ({"import_path": "a:B", "arguments": [1]}, "arguments: Input should be a valid dictionary"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(EngineOptionsError, match=said):
        make_engine("python", options)


INFER = "    def infer(self, request): return request\n"


@pytest.mark.parametrize(
    ("source", "name", "arguments", "said"),
    [
        (
            "import missing_library",
            "M",
            {},
            "importing user_model failed: ModuleNotFoundError: No module named 'missing_l",
        ),
        ("1 / 0", "M", {}, "importing user_model failed: ZeroDivisionError: division by zero"),
        ("raise SystemExit(2)", "M", {}, "importing user_model failed: SystemExit: 2"),
        ("class Other: pass", "M", {}, r"user_model\.py has no M; its classes are Other"),
        ("def M(): pass", "M", {}, "it is no class, but <function M"),
        ("class M: pass", "M", {}, "none of the methods generate, embed, infer; write at least one"),
        (
            f"class M:\n{INFER}",
            "M",
            {"size": 3},
            r"arguments do not fit M\(\): got an unexpected keyword argument 'size'",
        ),
        (
            f"class M:\n    def __init__(self, size): pass\n{INFER}",
            "M",
            {},
            r"do not fit M\(size\): missing a required argument: 'size'",
        ),
        (
            f"class M:\n    def __init__(self): open('/nowhere/weights')\n{INFER}",
            "M",
            {},
            r"M\(…\) failed: FileNotFoundError: .*/nowhere/weights",
        ),
        (f"class M:\n    def load(self): 1 / 0\n{INFER}", "M", {}, r"load\(\) failed: ZeroDivisionError"),
        ("class M:\n    def infer(self): pass", "M", {}, r"infer takes one argument, the request .* it is infer\(\)"),
        ("class M:\n    def infer(self, a, b): pass", "M", {}, r"infer takes one argument.* it is infer\(a, b\)"),
        ("class M:\n    def infer(self, a: 'Missing'): pass", "M", {}, "annotations cannot be read: name 'Missing'"),
        (
            "class N: pass\nclass M:\n    def infer(self, a: N): pass",
            "M",
            {},
            "annotations are no schema: .*user_model.N",
        ),
        ("class M:\n    def generate(self, text): pass", "M", {}, r"generate takes messages .* it is generate\(text\)"),
        (
            "class M:\n    def generate(self, prompt): pass\n    async def count_tokens(self, text): pass",
            "M",
            {},
            "count_tokens is async; .*: make it plain",
        ),
    ],
)
async def test_what_is_wrong_with_a_class_is_told(
    folder: Path, source: str, name: str, arguments: dict[str, Any], said: str
) -> None:
    path = f"{module(folder, 'user_model', source)}:{name}"
    with pytest.raises(EngineOptionsError, match=rf"(?s)^import_path {path}: .*{said}"):
        await load(path, arguments=arguments)


async def test_a_module_that_is_not_found_is_told_with_the_fix() -> None:
    with pytest.raises(EngineOptionsError) as caught:
        await load("nowhere_at_all.models:Mine")
    told = str(caught.value)
    assert "there is no module nowhere_at_all" in told
    assert all(fix in told for fix in (str(Path.cwd()), "PYTHONPATH", "runtime_env"))


async def test_a_module_in_the_working_directory_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    monkeypatch.chdir(tmp_path)
    module(tmp_path, "beside_the_config", f"class M:\n{INFER}")
    assert await load("beside_the_config:M")


async def test_nested_classes_and_their_arguments(folder: Path) -> None:
    source = f"class Outer:\n  class M:\n    def __init__(self, *, size=1): assert size == 3\n{INFER}"
    assert await load(f"{module(folder, 'nested_model', source)}:Outer.M", arguments={"size": 3})


async def test_it_can_be_loaded_again_after_it_failed(folder: Path) -> None:
    name = module(
        folder,
        "second_try",
        f"class M:\n    tries = []\n    def load(self):\n        self.tries.append(1)\n"
        f"        assert len(self.tries) > 1, 'not yet'\n{INFER}",
    )
    engine = PythonEngine(PythonOptions(import_path=f"{name}:M"))
    with pytest.raises(EngineOptionsError, match="not yet"):
        await engine.load()
    await engine.load()
    await engine.close()
