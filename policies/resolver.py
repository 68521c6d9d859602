"""Which policies apply to a request, and what they charge: identity and model in, charges out; all in memory.

One rule of precedence: where policies of the same scope and unit apply to a request and some of them name its subject
in `match` (a TENANT policy that names the tenant, a USER_MODEL policy that names the user or the model, …), those
replace the ones that do not. Whatever stands after that applies together.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from policies.catalogue.whole import Catalogue
from policies.decision import Charge
from policies.entities import ApiKey, Dimension, Mode, Model, RateLimitPolicy, Scope, Unit
from policies.policy_index import PolicyIndex

SCOPE_DIMENSIONS: Mapping[Scope, tuple[Dimension, ...]] = {
    Scope.GLOBAL: (),
    Scope.TENANT: (Dimension.TENANT,),
    Scope.API_KEY: (Dimension.API_KEY,),
    Scope.MODEL: (Dimension.MODEL,),
    Scope.MODEL_TIER: (Dimension.MODEL_TIER,),
    Scope.USER_MODEL: (Dimension.USER, Dimension.MODEL),
}
"""What a window of each scope is kept for."""

_OF_A_TENANT = {Dimension.TENANT, Dimension.USER, Dimension.API_KEY}

MAX_PLANS = 10_000
"""Most (key, model) pairs whose plan is remembered."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks."""

    tenant: str
    user: str
    key: ApiKey
    qos_tier: str
    weight: float = 1.0
    """The tenant's share of its band against the others in it."""

    @property
    def api_key(self) -> str:
        return self.key.id


@dataclass(frozen=True, slots=True)
class Applied:
    """A policy that applies to a request, the subject of its window, and why."""

    policy: RateLimitPolicy
    subject: str
    slot: str
    _one: Charge = field(init=False, repr=False, compare=False)
    """What nearly every request is charged: made once."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_one", Charge(self.policy, self.subject, 1, self.slot))

    def charge(self, cost: int) -> Charge:
        return self._one if cost == 1 else Charge(self.policy, self.subject, cost, self.slot)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a policy applies to a request, or does not."""

    policy: RateLimitPolicy
    applies: bool
    reason: str
    subject: str
    """Whose window it would count in; empty where it does not apply, and for GLOBAL."""


class Resolver:
    """What requests are judged by: the models and policies as they are now, and the keys that `catalogue` holds itself.

    `put_…` and `remove_…` change it in place; the next request sees the change, one under way keeps what it had.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        tenants = {tenant.name: tenant for tenant in catalogue.tenants}
        users = {user.name: user for user in catalogue.users}
        self._identities: dict[str, Identity] = {}
        for key in catalogue.keys:
            tenant = tenants[users[key.user].tenant]
            self._identities[key.id] = Identity(tenant.name, key.user, key, tenant.qos_tier, tenant.weight)
        self._by_name: dict[str, Model] = {model.name: model for model in catalogue.models}
        self._models: dict[str, Model] = {}
        self.models: tuple[Model, ...] = ()
        self._name_models()
        self._policies = PolicyIndex()
        for at, policy in enumerate(catalogue.policies):
            self._policies.put(policy, (0, at, ""))
        self._plans: dict[tuple[str, ...], tuple[Applied, ...]] = {}

    def put_models(self, models: Iterable[Model], removed: Iterable[str] = ()) -> None:
        """Adds models or replaces those of their names, and removes others by name."""
        for name in removed:
            self._by_name.pop(name, None)
        self._by_name |= {model.name: model for model in models}
        self._name_models()
        self._plans.clear()

    def put_policies(self, policies: Iterable[RateLimitPolicy], removed: Iterable[str] = ()) -> None:
        """Adds policies behind those of the constructor, in order of their names, or replaces them; removes others."""
        for name in removed:
            self._policies.remove(name)
        for policy in policies:
            self._policies.put(policy, (1, 0, policy.name))
        self._plans.clear()

    def identity(self, key_id: str) -> Identity | None:
        """Who holds the key with this id."""
        return self._identities.get(key_id)

    def model(self, name: str) -> Model | None:
        """The model with this name or alias."""
        return self._models.get(name)

    @property
    def policies(self) -> list[RateLimitPolicy]:
        """All policies, in the catalogue's order."""
        return self._policies.in_order()

    def policy(self, name: str) -> RateLimitPolicy | None:
        """The policy with this name."""
        return self._policies.get(name)

    def plan(self, identity: Identity, model: Model) -> tuple[Applied, ...]:
        """The policies that apply to a request, in the catalogue's order."""
        at = (identity.api_key, identity.user, identity.tenant, identity.qos_tier, model.name, model.tier)
        plan = self._plans.get(at)
        if plan is None:
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            plan = self._plans[at] = tuple(self._applied(identity, model))
        return plan

    def charges(self, identity: Identity, model: Model, costs: Mapping[Unit, int]) -> list[Charge]:
        """What a request is charged; `costs` says how much in each unit. A unit that is left out costs nothing."""
        return [a.charge(cost) for a in self.plan(identity, model) if (cost := costs.get(a.policy.unit, 0))]

    def explain(self, identity: Identity, model: Model) -> list[Explanation]:
        """Every policy of the catalogue, and why it applies to this request or does not."""
        request = _request(identity, model)
        applied = {a.policy.name: a for a in self.plan(identity, model)}
        explanations = []
        for policy in self._policies.in_order():
            found = applied.get(policy.name)
            if found is not None:
                named = " and names the subject" if names_subject(policy) else ""
                explanations.append(Explanation(policy, True, f"its match holds{named}", found.subject))
            elif policy.mode is Mode.OFF:
                explanations.append(Explanation(policy, False, "its mode is off", ""))
            elif broken := _unmatched(policy, request):
                explanations.append(Explanation(policy, False, broken, ""))
            else:
                by = [a.policy.name for a in applied.values() if names_subject(a.policy) and _alike(a.policy, policy)]
                reason = f"replaced by {', '.join(by)}, which names the subject"
                explanations.append(Explanation(policy, False, reason, ""))
        return explanations

    def _applied(self, identity: Identity, model: Model) -> Iterable[Applied]:
        request = _request(identity, model)
        matching = [
            policy
            for policy in self._policies.candidates(request)
            if policy.mode is not Mode.OFF and not _unmatched(policy, request)
        ]
        named = {(policy.scope, policy.unit) for policy in matching if names_subject(policy)}
        for policy in matching:
            if names_subject(policy) or (policy.scope, policy.unit) not in named:
                yield Applied(policy, _subject(policy, request), slot_of(policy, request))

    def _name_models(self) -> None:
        self.models = tuple(self._by_name.values())
        self._models = {name: model for model in self.models for name in (model.name, *model.aliases)}


def names_subject(policy: RateLimitPolicy) -> bool:
    """Whether its `match` names a subject of its own scope, and so replaces the policies that do not."""
    conditions = policy.match.conditions()
    return any(dimension in conditions for dimension in SCOPE_DIMENSIONS[policy.scope])


def _request(identity: Identity, model: Model) -> Mapping[Dimension, str]:
    return {
        Dimension.TENANT: identity.tenant,
        Dimension.USER: identity.user,
        Dimension.API_KEY: identity.api_key,
        Dimension.MODEL: model.name,
        Dimension.MODEL_TIER: model.tier,
        Dimension.QOS_TIER: identity.qos_tier,
    }


def _alike(one: RateLimitPolicy, other: RateLimitPolicy) -> bool:
    return (one.scope, one.unit) == (other.scope, other.unit)


def _unmatched(policy: RateLimitPolicy, request: Mapping[Dimension, str]) -> str:
    """The first condition that does not hold, in words; empty where all do."""
    for name, accepted in policy.match.conditions().items():
        if request[Dimension(name)] not in accepted:
            return f"{name} is {request[Dimension(name)]}, not {' or '.join(accepted)}"
    return ""


def _subject(policy: RateLimitPolicy, request: Mapping[Dimension, str]) -> str:
    # "|" and "=" cannot stand in a name, so two different subjects never read the same.
    own = [request[dimension] for dimension in SCOPE_DIMENSIONS[policy.scope]]
    split = [f"{dimension}={request[dimension]}" for dimension in policy.per]
    return "|".join(own + split)


def dimensions_of(policy: RateLimitPolicy, subject: str) -> dict[Dimension, str] | None:
    """What a subject names, by dimension; None where it is none that the policy keeps a window for."""
    own = SCOPE_DIMENSIONS[policy.scope]
    parts = subject.split("|") if subject else []
    if len(parts) != len(own) + len(policy.per):
        return None
    known = dict(zip(own, parts, strict=False))
    for dimension, part in zip(policy.per, parts[len(own) :], strict=True):
        name, equals, value = part.partition("=")
        if name != dimension or not equals:
            return None
        known[Dimension(dimension)] = value
    return known if all(known.values()) else None


def slot_of(policy: RateLimitPolicy, request: Mapping[Dimension, str]) -> str:
    """The hash tag of its window for such a request: what belongs to a tenant is kept together."""
    dimensions = (*SCOPE_DIMENSIONS[policy.scope], *policy.per)
    if _OF_A_TENANT.intersection(dimensions):
        return f"tenant:{request[Dimension.TENANT]}"
    if Dimension.MODEL in dimensions:
        return f"model:{request[Dimension.MODEL]}"
    if Dimension.MODEL_TIER in dimensions:
        return f"tier:{request[Dimension.MODEL_TIER]}"
    return "global"
