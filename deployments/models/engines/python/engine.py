"""An engine out of a class of the user's own: any of `load`, `generate`, `embed`, `infer`, `check_health`, `close` and
`count_tokens`, each plain or `async`. A class that is an `Engine` already is used as it is.

What the user's code raises is logged here with its traceback, and never reaches a client.
"""

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, cast

from deployments.models.engines.protocol import (
    Chunk,
    Embeddings,
    EmbedRequest,
    Engine,
    EngineBrokenError,
    EngineError,
    EngineFailureError,
    GenerateRequest,
    InferRequest,
    RequestRefusedError,
    unsupported_operation,
    unsupported_parameter,
)
from deployments.models.engines.python import importing
from deployments.models.engines.python.options import PythonOptions
from deployments.models.engines.python.schema import schema_of
from deployments.models.engines.python.texts import Reply, input_tokens, signature_of
from deployments.models.engines.python.threads import Caller
from deployments.models.engines.python.vectors import unit_vectors
from deployments.tokenization.counting import words

_log = logging.getLogger(__name__)


class PythonEngine(Engine):
    """Finds the class, and is what it is."""

    def __init__(self, options: PythonOptions) -> None:
        self._options = options
        self._engine: Engine = _NotLoaded()

    @property
    def running(self) -> int:
        """Requests at work, as far as that is known."""
        return int(getattr(self._engine, "running", 0))

    async def load(self) -> None:
        options = self._options
        # Imports and constructors may take long, and the replica shall answer meanwhile.
        found = await asyncio.to_thread(importing.import_class, options.import_path)
        if issubclass(found, Engine):
            engine: Engine = importing.construct(options.import_path, found, options)
            await engine.load()
        else:
            engine = ClassEngine(options, found)
            try:
                await engine.load()
            except BaseException:  # a cancelled start too: the threads of the class must end
                await engine.close()
                raise
        self._engine = engine

    async def check_health(self) -> None:
        await self._engine.check_health()

    async def close(self) -> None:
        await self._engine.close()

    def generate(self, request: GenerateRequest) -> AsyncIterator[Chunk]:
        return self._engine.generate(request)

    async def embed(self, request: EmbedRequest) -> Embeddings:
        return await self._engine.embed(request)

    async def infer(self, request: InferRequest) -> bytes:
        return await self._engine.infer(request)


class _NotLoaded(Engine):
    """Before `load`: it has no operation."""


class ClassEngine(Engine):
    """An object of any class, called by its methods' names."""

    def __init__(self, options: PythonOptions, found: type[Any]) -> None:
        self._options, self._path, self._class = options, options.import_path, found
        self._caller = Caller(options.threads)
        self._model: Any = None

    @property
    def running(self) -> int:
        """Calls at work."""
        return self._caller.running

    async def load(self) -> None:
        # In the thread that will call its methods: some libraries want to be used where they were set up.
        self._model = await self._caller.call(importing.construct, self._path, self._class, self._options)
        if (load := self._method("load")) is not None:
            try:
                await self._caller.call(load)
            except (Exception, SystemExit) as error:  # the user's code may raise anything
                raise importing.failed_to_load(self._path, error) from error
        if inspect.iscoroutinefunction(self._method("count_tokens")):
            raise importing.unfit(self._path, "count_tokens is async; it is asked for every piece: make it plain")
        if (infer := self._method("infer")) is not None:
            self._schema = schema_of(self._path, infer)
        if (generate := self._method("generate")) is not None:
            self._signature = signature_of(self._path, generate)
        if (embed := self._method("embed")) is not None:
            self._embeds_dimensions = "dimensions" in importing.parameters(embed)

    async def check_health(self) -> None:
        check = self._method("check_health")
        if check is None:
            return
        try:
            healthy = await self._caller.call_beside(check)
        except EngineBrokenError:
            raise
        except (Exception, SystemExit) as error:
            raise EngineBrokenError(f"{self._path}: check_health() failed: {type(error).__name__}: {error}") from error
        if healthy is False:
            raise EngineBrokenError(f"{self._path}: check_health() returned False")

    async def close(self) -> None:
        try:
            if (close := self._method("close")) is not None:
                with self._theirs("close"):
                    await self._caller.call(close)
        finally:
            self._caller.close()

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Chunk]:
        generate = self._need("generate", "text generation")
        arguments = self._signature.arguments(request)
        count = self._method("count_tokens")
        with self._theirs("generate"):
            read = input_tokens(request, count or _words)
            reply = Reply(request, count)
            async with aclosing(self._caller.pieces(generate, **arguments)) as pieces:
                async for piece in pieces:
                    if not isinstance(piece, str):
                        raise TypeError(f"generate() yields texts, but it yielded {type(piece).__name__}")
                    if text := reply.push(piece):
                        yield Chunk(text)
                    if reply.over:
                        break
        yield reply.last(read)

    async def embed(self, request: EmbedRequest) -> Embeddings:
        embed = self._need("embed", "embeddings")
        texts = [each for each in request.inputs if isinstance(each, str)]
        if len(texts) < len(request.inputs):
            raise RequestRefusedError("unsupported_operation", "This model takes no tokens, but texts.", param="input")
        arguments: dict[str, Any] = {}
        if request.dimensions is not None:
            if not self._embeds_dimensions:
                raise unsupported_parameter("dimensions")
            arguments["dimensions"] = request.dimensions
        count = self._method("count_tokens") or _words
        with self._theirs("embed"):
            vectors = await self._caller.converted(
                lambda made: unit_vectors(made, len(texts), request.dimensions), embed, texts, **arguments
            )
            return Embeddings(vectors, sum(map(count, texts)))

    async def infer(self, request: InferRequest) -> bytes:
        infer = self._need("infer", "requests of its own form")
        arguments = self._schema.arguments(request)
        with self._theirs("infer"):
            return cast(bytes, await self._caller.converted(self._schema.write, infer, **arguments))

    def _method(self, name: str) -> Callable[..., Any] | None:
        found = getattr(self._model, name, None)
        return found if callable(found) else None

    def _need(self, name: str, what: str) -> Callable[..., Any]:
        found = self._method(name)
        if found is None:
            raise unsupported_operation(what)
        return found

    @contextmanager
    def _theirs(self, name: str) -> Iterator[None]:
        """Around the user's code: what it raises is told to the log, and to the caller only that it failed."""
        try:
            yield
        except EngineError:  # on purpose: a refusal, or an engine that is beyond help
            raise
        except (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt):
            raise  # of who waits for it, not of the user's code
        except BaseException as error:  # libraries in Rust panic with what is no Exception
            _log.exception("%s: %s failed", self._path, name)
            raise EngineFailureError(f"{self._path}: {name} failed; the replica's log says why") from error


def _words(text: str) -> int:
    return words([text])
