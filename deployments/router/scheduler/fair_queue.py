"""The queue of one band: tenants share it by weight, in tokens; within a tenant it is first come, first served.

The algorithm is the Virtual Token Counter of "Fairness in Serving Large Language Models" (arXiv 2401.00588), with
weights. Each tenant has a counter: the tokens it was charged, divided by its weight. The next request is that of the
waiting tenant whose counter is lowest. A request is charged its estimate when it starts and corrected when it ends.

A tenant that comes back to the queue has its counter lifted to the `floor`: the lowest counter among those waiting or,
where nobody waits, the counter of the last that started; as high as that has ever been. So idling earns no credit. (In
the paper it can fall with a refund to somebody else; one that never falls is the same wherever estimates are exact.)
"""

from collections import OrderedDict
from heapq import heapify, heappop, heappush

from deployments.router.scheduler.entry import Entry
from deployments.router.scheduler.messages import Request

SLACK = 64
"""How many dead items a heap, or idle tenants the table, may hold beyond a few times the live ones."""


class _Tenant:
    """What one tenant has waiting, and its virtual token counter."""

    __slots__ = ("counter", "name", "running", "stamp", "waiting", "weight")

    def __init__(self, name: str, weight: float, counter: float) -> None:
        self.name = name
        self.weight = weight
        self.counter = counter
        """Tokens charged, divided by weight."""
        self.stamp = -1
        """Of its only valid item in the heap of counters."""
        self.waiting: OrderedDict[str, Entry] = OrderedDict()
        self.running = 0
        """Requests whose charge is still an estimate."""

    def length(self, more: int = 0) -> float:
        """Its queue, against its weight."""
        return (len(self.waiting) + more) / self.weight


class FairQueue:
    """Every operation is O(log n) in the number of tenants that wait, amortised."""

    def __init__(self) -> None:
        self._tenants: dict[str, _Tenant] = {}
        self._by_counter: list[tuple[float, int, _Tenant]] = []
        self._by_length: list[tuple[float, int, _Tenant]] = []
        self._floor = 0.0
        self._waiting = 0
        self._active = 0
        self._active_weight = 0.0
        self._stamps = 0
        self._kept = 0

    def __len__(self) -> int:
        return self._waiting

    def push(self, entry: Entry) -> None:
        tenant = self._tenant(entry.request.tenant, entry.request.weight)
        if tenant.waiting:
            self._active_weight += entry.request.weight - tenant.weight
            tenant.weight = entry.request.weight
        else:
            tenant.weight = entry.request.weight
            self._raise_floor()
            tenant.counter = max(tenant.counter, self._floor)
            self._active += 1
            self._active_weight += tenant.weight
            self._rank(tenant)
        tenant.waiting[entry.request.id] = entry
        entry.waiting = True
        self._waiting += 1
        self._push_length(tenant)

    def pop(self) -> Entry:
        """Takes the request that goes next, and charges its tenant the estimate. IndexError when nothing waits."""
        tenant = self._lowest()
        self._floor = max(self._floor, tenant.counter)
        entry = next(iter(tenant.waiting.values()))
        self._take(tenant, entry)
        self.begin(entry.request)
        if not self._waiting:
            self._floor = max(self._floor, tenant.counter)
        return entry

    def begin(self, request: Request) -> None:
        """A request runs: its tenant is charged the estimate."""
        tenant = self._tenant(request.tenant, request.weight)
        tenant.running += 1
        self._charge(tenant, request.cost_tokens / request.weight)

    def end(self, request: Request, actual_tokens: int) -> None:
        """A request that began has ended: the charge becomes what was used."""
        tenant = self._tenants[request.tenant]
        tenant.running -= 1
        self._charge(tenant, (actual_tokens - request.cost_tokens) / request.weight)

    def remove(self, entry: Entry) -> None:
        """A request leaves without starting."""
        self._take(self._tenants[entry.request.tenant], entry)

    def charge_unqueued(self, name: str, weight: float, tokens: int) -> None:
        """Charges a request that ran without passing through here, as though it had: it would have come, been lifted,
        and gone at once. Thus time spent alone on lent slots is neither held against a tenant later, nor credited to
        those who were idle."""
        tenant = self._tenant(name, weight)
        self._raise_floor()
        if not tenant.waiting:
            tenant.counter = max(tenant.counter, self._floor)
        self._charge(tenant, tokens / weight)
        if not self._waiting:
            self._floor = tenant.counter

    def newest_of_longest(self, name: str, weight: float) -> Entry | None:
        """The request that gives up its place in a full queue to a newcomer of tenant `name`: the newest of the tenant
        whose queue is longest against its weight, if that queue is longer than the newcomer's own would be."""
        tenant = self._tenants.get(name)
        own = (1 + (len(tenant.waiting) if tenant else 0)) / weight
        longest = self._longest()
        if longest is None or longest is tenant or longest.length() <= own:
            return None
        return next(reversed(longest.waiting.values()))

    def ahead_of(self, name: str, weight: float) -> float:
        """About how many waiting requests go before a newcomer of this tenant, all taken to be of one size: its own,
        and of the others as many as their weight lets them start meanwhile."""
        tenant = self._tenants.get(name)
        own = len(tenant.waiting) if tenant else 0
        others_weight = max(0.0, self._active_weight - (tenant.weight if tenant and own else 0.0))
        return own + min(self._waiting - own, (own + 1) * others_weight / weight)

    def counters(self) -> dict[str, float]:
        """The virtual token counters of those that wait. For tests and pages: O(tenants)."""
        return {name: tenant.counter for name, tenant in self._tenants.items() if tenant.waiting}

    def _charge(self, tenant: _Tenant, virtual_tokens: float) -> None:
        tenant.counter += virtual_tokens
        if tenant.waiting:
            self._rank(tenant)

    def _take(self, tenant: _Tenant, entry: Entry) -> None:
        del tenant.waiting[entry.request.id]
        entry.waiting = False
        self._waiting -= 1
        if not tenant.waiting:
            tenant.stamp = -1
            self._active -= 1
            self._active_weight = self._active_weight - tenant.weight if self._active else 0.0

    def _tenant(self, name: str, weight: float) -> _Tenant:
        tenant = self._tenants.get(name)
        if tenant is None:
            self._forget_idle()
            tenant = self._tenants[name] = _Tenant(name, weight, self._floor)
        return tenant

    def _forget_idle(self) -> None:
        """Drops idle tenants at or below the floor (coming back they would be lifted to it anyway), now and then."""
        if len(self._tenants) > 2 * self._kept + SLACK:
            floor = self._floor
            self._tenants = {n: t for n, t in self._tenants.items() if t.waiting or t.running or t.counter > floor}
            self._kept = len(self._tenants)

    def _rank(self, tenant: _Tenant) -> None:
        """Puts the tenant into the heap under its present counter; of equals, the least recently ranked goes first."""
        self._stamps += 1
        tenant.stamp = self._stamps
        heappush(self._by_counter, (tenant.counter, tenant.stamp, tenant))
        if len(self._by_counter) > 4 * self._active + SLACK:
            self._by_counter = [item for item in self._by_counter if item[1] == item[2].stamp]
            heapify(self._by_counter)

    def _lowest(self) -> _Tenant:
        while self._by_counter[0][1] != self._by_counter[0][2].stamp:
            heappop(self._by_counter)
        return self._by_counter[0][2]

    def _raise_floor(self) -> None:
        if self._waiting:
            self._floor = max(self._floor, self._lowest().counter)

    def _push_length(self, tenant: _Tenant) -> None:
        """Every growth is put into the heap of lengths; what has shrunk since is found out when it comes up."""
        self._stamps += 1
        heappush(self._by_length, (-tenant.length(), self._stamps, tenant))
        if len(self._by_length) > 4 * self._active + SLACK:
            active = {item[2].name: item[2] for item in self._by_length if item[2].waiting}
            self._by_length = [(-t.length(), at, t) for at, t in enumerate(active.values())]
            heapify(self._by_length)

    def _longest(self) -> _Tenant | None:
        while self._by_length:
            length, _, tenant = self._by_length[0]
            if tenant.waiting and -length == tenant.length():
                return tenant
            heappop(self._by_length)
            if tenant.waiting and tenant.length() < -length:
                self._stamps += 1
                heappush(self._by_length, (-tenant.length(), self._stamps, tenant))
        return None
