"""A window as HTTP shows it."""

from typing import Annotated

from pydantic import BaseModel, Field

from policies import Window


class WindowNow(BaseModel):
    """One window."""

    policy: Annotated[str, Field(examples=["tenant-burst"])]
    scope: Annotated[str, Field(examples=["TENANT"])]
    subject: Annotated[str, Field(examples=["acme"])]
    unit: Annotated[str, Field(examples=["requests"])]
    limit: Annotated[int, Field(examples=[10])]
    window_s: Annotated[float, Field(examples=[10.0], description="Seconds; for concurrent_requests, the lease.")]
    used: Annotated[int, Field(examples=[3])]
    remaining: Annotated[int, Field(examples=[7])]
    reset_after_s: Annotated[float, Field(examples=[4.2], description="Until the oldest entry gives its room back.")]
    enforced: bool

    @classmethod
    def of(cls, window: Window) -> "WindowNow":
        """As the limiter found it."""
        return cls(**{name: getattr(window, name) for name in WindowNow.model_fields})
