"""Slots of one pool that are on loan, by band and holder, and which of them were recalled."""

from deployments.router.scheduler.messages import Recall


class _Loan:
    __slots__ = ("recalled", "slots")

    def __init__(self) -> None:
        self.slots = 0
        """On loan, recalled ones included."""
        self.recalled = 0


class Loans:
    """Books only; when to lend and when to recall is decided in `pool`."""

    def __init__(self, pool: str) -> None:
        self._pool = pool
        self._loans: dict[tuple[str, str], _Loan] = {}
        self._fresh: dict[str, dict[str, None]] = {}
        """Holders with slots that are not recalled, by band: so asking again for what is recalled costs nothing."""

    def lend(self, holder: str, band: str, slots: int) -> None:
        loan = self._loans.setdefault((holder, band), _Loan())
        loan.slots += slots
        self._fresh.setdefault(band, {})[holder] = None

    def give_back(self, holder: str, band: str, slots: int) -> int:
        """Returns how many really came back: never more than were lent. Recalled ones first."""
        loan = self._loans.get((holder, band))
        if loan is None:
            return 0
        slots = max(0, min(slots, loan.slots))
        loan.slots -= slots
        loan.recalled = max(0, loan.recalled - slots)
        if loan.slots == loan.recalled:
            self._fresh.get(band, {}).pop(holder, None)
        if not loan.slots:
            del self._loans[holder, band]
        return slots

    def recall(self, band: str) -> list[Recall]:
        """Recalls all of the band that is not recalled yet."""
        recalls = []
        for holder in self._fresh.pop(band, {}):
            loan = self._loans[holder, band]
            recalls.append(Recall(holder, self._pool, band, loan.slots - loan.recalled))
            loan.recalled = loan.slots
        return recalls

    def outstanding(self) -> list[Recall]:
        """Everything that is recalled and not back."""
        return [Recall(h, self._pool, band, loan.recalled) for (h, band), loan in self._loans.items() if loan.recalled]

    def of(self, holder: str) -> list[tuple[str, int]]:
        """(band, slots) of what one holder has."""
        return [(band, loan.slots) for (who, band), loan in self._loans.items() if who == holder]

    def holders(self) -> set[str]:
        return {holder for holder, _ in self._loans}
