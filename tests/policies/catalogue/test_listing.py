"""Lists of both sources together."""

import pytest

from policies.catalogue import Catalogue, Kind
from policies.catalogue.listing import Listing
from policies.catalogue.live import LiveCatalogue
from policies.catalogue.store import CatalogueStore
from policies.entities import Tenant
from tests.policies.catalogue.conftest import OPS


@pytest.mark.parametrize("limit", [1, 2, 3, 10])
async def test_two_of_one_name_are_both_listed_whatever_the_pages(
    live: LiveCatalogue, store: CatalogueStore, limit: int
) -> None:
    """One of the API that a later configuration has as well."""
    for name in ("a", "b", "d", "e"):
        await store.put(Tenant(name=name), OPS, "create", expected=0, here=())
    live.use_config(Catalogue(tenants=tuple(Tenant(name=name) for name in ("b", "c", "e"))))
    listing, found, after = Listing(live), list[tuple[str, str]](), ""
    while True:
        page = await listing.page(Kind.TENANTS, after=after, limit=limit)
        found += [(each.name, each.source) for each in page.items]
        if page.next_after is None:
            break
        after = page.next_after
    assert sorted(found) == [
        *(("a", "api"), ("b", "api"), ("b", "config"), ("c", "config"), ("d", "api"), ("e", "api"), ("e", "config")),
    ]
