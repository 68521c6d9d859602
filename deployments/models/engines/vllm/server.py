"""What the engine needs of vLLM's server, in plain data: `deployments.models.ray_llm` is the real one."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Body = Mapping[str, Any]
"""A request as OpenAI's API has it, with vLLM's own parameters beside."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """In the place of a reply: the server's own error."""

    status: int
    message: str
    param: str | None = None


class Server(Protocol):
    """One model. What goes wrong inside it is raised, whatever it is."""

    async def start(self) -> None:
        """Loads the model: minutes."""

    def chat(self, body: Body) -> AsyncIterator[str | Complaint]:
        """A conversation's reply: server-sent events as text, or a complaint. Closing the iterator ends it."""

    def complete(self, body: Body) -> AsyncIterator[str | Complaint]:
        """The same of a text, or of tokens, to go on from."""

    async def embed(self, body: Body) -> Body | Complaint:
        """Vectors, in OpenAI's form."""

    async def measure(self, body: Body) -> tuple[int, int] | Complaint:
        """How many tokens a prompt has (`messages` or `prompt`), and how many the model's context has."""

    def token_bytes(self, token: int) -> bytes:
        """What one token stands for."""

    async def check_health(self) -> None:
        """Raises when the engine is dead."""

    async def stop(self) -> None:
        """Ends the engine's processes."""
