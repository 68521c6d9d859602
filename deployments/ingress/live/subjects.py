"""From a policy and a subject to the window that they name: where it is kept follows from whose it is."""

from deployments.ingress.authentication import look_up
from deployments.ingress.errors import HttpError, unavailable
from deployments.ingress.state import IngressState
from policies import Charge, StoreError
from policies.catalogue.kinds import Kind
from policies.entities import Dimension, UserAccount
from policies.resolver import dimensions_of, slot_of


async def charge_for(state: IngressState, policy_name: str, subject: str) -> Charge:
    """What a request would be charged in that window, or a 404."""
    policy = state.resolver.policy(policy_name)
    if policy is None:
        raise HttpError(404, "not_found", f"Policy {policy_name!r} does not exist.", param="policy")
    known = dimensions_of(policy, subject)
    if known is None:
        raise HttpError(
            404,
            "not_found",
            f"Policy {policy_name!r} keeps no window for {subject!r}: GET /admin/usage.",
            param="subject",
        )
    if Dimension.TENANT not in known:
        try:
            tenant = await _tenant_of(state, known)
        except StoreError as error:
            raise unavailable("catalogue_unavailable", "The catalogue cannot be read now.") from error
        if tenant is not None:
            known = {**known, Dimension.TENANT: tenant}
        elif Dimension.USER in known or Dimension.API_KEY in known:
            raise HttpError(404, "not_found", f"There is no user or key of the name in {subject!r}.", param="subject")
    return Charge(policy, subject, 1, slot_of(policy, known))


async def _tenant_of(state: IngressState, known: dict[Dimension, str]) -> str | None:
    """Whose user or key it is; None where it names neither, or there is none."""
    if Dimension.API_KEY in known:
        identity = await look_up(state.live, known[Dimension.API_KEY])
        return None if identity is None else identity.tenant
    if Dimension.USER in known:
        stored = await state.listing.get(Kind.USERS, known[Dimension.USER])
        return stored.entity.tenant if stored is not None and isinstance(stored.entity, UserAccount) else None
    return None
