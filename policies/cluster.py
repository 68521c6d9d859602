"""Redis Cluster as the limiter sees it: each script call goes to the node that has its keys.

Owns which node that is and the following of redirections; what travels to one node does so as to a single Redis
(`policies.store`), with its own connections, batches and circuit breaker. A redirection says that nothing was run, so
following it resends nothing. How a decision is put together from several nodes' answers is in `policies.groups`.
"""

import asyncio
import contextvars
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import ConnectionPool
from redis.crc import key_slot
from redis.exceptions import AskError, MovedError, RedisClusterException, RedisError

from policies.counts import LimiterCounts
from policies.errors import StoreTimeoutError, StoreUnavailableError
from policies.lane import RedirectedError, Reply
from policies.scripts import Script
from policies.store import RedisStore

MOST_REDIRECTIONS = 16
"""How often one call is sent elsewhere before it is given up; its deadline usually comes first."""

TRY_AGAIN_S = 0.005
"""How long to wait when a slot's keys are between two nodes."""

REFRESH_S = 0.2
"""The map of the slots is asked for at most this often."""

MOST_TAGS = 50_000
"""Of how many hash tags the slot is remembered."""

Address = tuple[str, int]


class ClusterStore:
    """Runs scripts on the nodes of a Redis Cluster. The client is its owner's, and tells which node has which slot."""

    grouped = True

    def __init__(self, redis: RedisCluster, deadline_s: float, counts: LimiterCounts | None = None) -> None:
        self._redis, self._deadline_s = redis, deadline_s
        self._counts = counts or LimiterCounts()
        self._nodes: dict[Address, RedisStore] = {}
        self._slots: dict[str, int] = {}
        self._refreshing: asyncio.Task[None] | None = None
        self._refreshed = float("-inf")

    def of(self, tag: str) -> "SlotStore":
        """What runs scripts on keys with this hash tag."""
        slot = self._slots.get(tag)
        if slot is None:
            if len(self._slots) >= MOST_TAGS:
                self._slots.clear()
            slot = self._slots[tag] = key_slot(b"{%b}" % tag.encode())
        return SlotStore(self, slot)

    async def run(
        self,
        slot: int,
        script: Script,
        keys: tuple[int, bytes],
        args: Sequence[bytes],
        on_late: Callable[[Reply], None] | None,
        share: Hashable | None,
        deadline_s: float | None,
    ) -> Reply:
        """As `RedisStore.run`, on the node of a slot."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + (self._deadline_s if deadline_s is None else deadline_s)
        elsewhere: Address | None = None
        for _ in range(MOST_REDIRECTIONS):
            address = elsewhere or await self._address_of(slot, ends)
            left_s = ends - loop.time()
            if left_s <= 0:
                break
            try:
                return await self._node(address).run(
                    script, keys, args, on_late, share, deadline_s=left_s, asking=elsewhere is not None
                )
            except RedirectedError as error:
                elsewhere = await self._follow(error, slot, address)
            except StoreUnavailableError:
                self._refresh_soon(address)  # a replica may have taken over
                raise
        raise StoreTimeoutError("Redis Cluster did not say in time which of its nodes has these keys")

    @property
    def open_circuits(self) -> int:
        """To how many nodes most calls are not even tried now."""
        return sum(node.open_circuits for node in self._nodes.values())

    async def ping(self) -> None:
        """Returns when every primary answers; raises `StoreError` where one does not within the deadline."""
        await asyncio.gather(*(node.ping() for _, node in await self.primaries()))

    async def primaries(self, tag: str | None = None) -> list[tuple[str, RedisStore]]:
        """Every node that has keys (with this hash tag), under its address, in order of the addresses."""
        slot = 0 if tag is None else self.of(tag).slot
        addresses = {await self._address_of(slot, asyncio.get_running_loop().time() + self._deadline_s)}
        if tag is None:
            addresses = {(node.host, int(node.port)) for node in self._redis.get_primaries()}
        return sorted((f"{host}:{port}", self._node((host, port))) for host, port in addresses)

    async def quiet(self) -> None:
        """As `RedisStore.quiet`, for all nodes."""
        if self._refreshing is not None:  # it may be closing a node
            await asyncio.wait([self._refreshing])
        await asyncio.gather(*(node.quiet() for node in self._nodes.values()))

    async def close(self) -> None:
        """Waits for what is under way, and gives the connections back."""
        if self._refreshing is not None:
            await asyncio.wait([self._refreshing])
        while self._nodes:
            _, node = self._nodes.popitem()
            await node.close()

    def _node(self, address: Address) -> RedisStore:
        node = self._nodes.get(address)
        if node is None:
            made = ClusterNode(*address, **self._redis.nodes_manager.connection_kwargs)
            pool = ConnectionPool(connection_class=made.connection_class, **made.connection_kwargs)
            node = self._nodes[address] = RedisStore(Redis(connection_pool=pool), self._deadline_s, counts=self._counts)
        return node

    async def _address_of(self, slot: int, ends: float) -> Address:
        manager = self._redis.nodes_manager
        if slot not in manager.slots_cache:
            refreshing = self._refresh_soon(None)
            if refreshing is not None:
                await asyncio.wait([refreshing], timeout=max(0.0, ends - asyncio.get_running_loop().time()))
        nodes = manager.slots_cache.get(slot)
        if not nodes:
            raise StoreUnavailableError("Redis Cluster cannot be reached, or none of its nodes has these keys")
        return nodes[0].host, int(nodes[0].port)

    async def _follow(self, error: RedirectedError, slot: int, address: Address) -> Address | None:
        """Where to go instead: behind ASKING to an address, or None for whoever has the slot now."""
        told = error.redirection
        if not isinstance(told, AskError):  # some of the keys have moved already, and the others follow
            await asyncio.sleep(TRY_AGAIN_S)
            return None
        manager = self._redis.nodes_manager
        there: Address = manager.remap_host_port(told.host or address[0], told.port)
        if not isinstance(told, MovedError):
            return there
        if there == address:  # it just learnt that it is no longer, and not yet who is
            await asyncio.sleep(TRY_AGAIN_S)
        told.host, told.port = there
        await manager.move_slot(told)
        self._refresh_soon(None)  # where one slot has moved, others have
        return None

    def _refresh_soon(self, failed: Address | None) -> "asyncio.Task[None] | None":
        """Asks for the map of the slots, unless that was done just now. What is under way, if anything."""
        loop = asyncio.get_running_loop()
        if self._refreshing is None and loop.time() - self._refreshed >= REFRESH_S:
            # An empty context: it outlives the request that happened to start it.
            self._refreshing = loop.create_task(self._refresh(failed), context=contextvars.Context())
        return self._refreshing

    async def _refresh(self, failed: Address | None) -> None:
        manager = self._redis.nodes_manager
        try:
            if manager.slots_cache:
                await manager.initialize(last_failed_node_name=f"{failed[0]}:{failed[1]}" if failed else None)
            else:
                await self._redis.initialize()
            known = {(node.host, int(node.port)) for node in manager.nodes_cache.values()}
            for address in [address for address in self._nodes if address not in known]:
                await self._nodes.pop(address).close()
        except (RedisError, RedisClusterException, OSError, TimeoutError):
            pass  # none of the nodes answers: asked again when somebody needs it
        finally:
            self._refreshed = asyncio.get_running_loop().time()
            self._refreshing = None


@dataclass(frozen=True, slots=True)
class SlotStore:
    """The store of the keys in one hash slot."""

    cluster: ClusterStore
    slot: int

    async def run(
        self,
        script: Script,
        keys: tuple[int, bytes],
        args: Sequence[bytes],
        on_late: Callable[[Reply], None] | None = None,
        share: Hashable | None = None,
        *,
        deadline_s: float | None = None,
    ) -> Reply:
        """As `RedisStore.run`."""
        return await self.cluster.run(self.slot, script, keys, args, on_late, share, deadline_s)
