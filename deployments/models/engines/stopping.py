"""Stop texts in a reply that grows piece by piece."""


class StopTexts:
    """Passes a reply on, up to the first stop text in it.

    The end of what came is withheld as long as it may be the beginning of a stop text. Which one ends the reply is the
    one that is complete first, and of several that end together the longest; so where pieces begin and end makes no
    difference. One `push` costs time in proportion to the piece and the stop texts.
    """

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._withheld = ""
        self.stopped = False
        """Whether a stop text came: then the reply has ended."""

    def push(self, piece: str) -> str:
        """The next piece; returns what may be passed on, without the stop text and all that follows it."""
        if self.stopped:
            return ""
        text = self._withheld + piece
        if not self._stops:
            return text
        found = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.stopped, self._withheld = True, ""
            return text[: min(found)[1]]
        safe = min(_may_begin(text, stop) for stop in self._stops)
        self._withheld = text[safe:]
        return text[:safe]

    def flush(self) -> str:
        """What was withheld, when the reply ends by itself."""
        rest, self._withheld = self._withheld, ""
        return rest


def _may_begin(text: str, stop: str) -> int:
    """The first place from where all the rest of the text is a beginning of `stop`."""
    at = text.find(stop[0], max(0, len(text) - len(stop) + 1))
    while at >= 0:
        if stop.startswith(text[at:]):
            return at
        at = text.find(stop[0], at + 1)
    return len(text)
