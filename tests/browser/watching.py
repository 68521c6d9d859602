"""A page under watch: whatever a browser complains about, and whatever it asks of anybody else, is a failure."""

import re
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request

LIMITED = r"/v1/\S* Failed to load resource: the server responded with a status of 429 "
"""Chromium reports every refusal to the console; this one is what the page is about."""

_TELL = """
document.addEventListener("securitypolicyviolation", (event) => {
  const { effectiveDirective, blockedURI, sourceFile, lineNumber } = event;
  window.tellOfViolation(`${effectiveDirective} blocked ${blockedURI} at ${sourceFile}:${lineNumber}`);
});
"""


class Watch:
    """What went wrong in the pages of one context."""

    def __init__(self, context: BrowserContext, base_url: str) -> None:
        self._origin = _origin(base_url)
        self._allowed = [LIMITED]
        self.problems: list[str] = []
        context.on("console", self._console)
        context.on("weberror", lambda error: self.problems.append(f"exception: {error.error}"))
        context.on("request", self._request)
        context.on("page", lambda page: page.on("crash", self._crash))
        context.expose_function(
            "tellOfViolation", lambda what: self.problems.append(f"content security policy: {what}")
        )
        context.add_init_script(_TELL)

    def allow(self, pattern: str) -> None:
        """This is meant to happen here: a regular expression that is found in the problem, as in
        `watch.allow("/admin/live .* status of 401")` or `watch.allow("ERR_CONNECTION_REFUSED")`."""
        self._allowed.append(pattern)

    def unexpected(self) -> list[str]:
        """The problems that no test said it would cause."""
        return [each for each in self.problems if not any(re.search(pattern, each) for pattern in self._allowed)]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.problems.append(f"console: {urlsplit(message.location.get('url', '')).path} {message.text} ")

    def _request(self, request: Request) -> None:
        if not request.url.startswith(("data:", "blob:")) and _origin(request.url) != self._origin:
            self.problems.append(f"a request to another origin: {request.url}")

    def _crash(self, page: Page) -> None:
        self.problems.append(f"the tab crashed: {page.url}")


class Watches:
    """The watches of a test's contexts, as one."""

    def __init__(self) -> None:
        self._patterns: list[str] = []
        self.each: list[Watch] = []

    def add(self, watch: Watch) -> None:
        """One more, with what is allowed so far."""
        self.each.append(watch)
        for pattern in self._patterns:
            watch.allow(pattern)

    def allow(self, pattern: str) -> None:
        """See `Watch.allow`: in every tab."""
        self._patterns.append(pattern)
        for watch in self.each:
            watch.allow(pattern)

    def unexpected(self) -> list[str]:
        """See `Watch.unexpected`."""
        return [problem for watch in self.each for problem in watch.unexpected()]


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
