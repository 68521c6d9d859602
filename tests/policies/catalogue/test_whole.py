import traceback
from collections.abc import Callable
from typing import Any

import pytest

from policies.catalogue import Catalogue
from policies.errors import CatalogueError


def catalogue() -> dict[str, Any]:
    return {
        "tenants": [{"name": "acme"}, {"name": "globex", "qos_tier": "batch"}],
        "users": [{"name": "paula", "tenant": "acme"}],
        "keys": [{"id": "k1", "user": "paula", "sha256": "0" * 64, "models": ["m"]}],
        "tiers": [{"name": "small"}],
        "models": [{"name": "m", "tier": "small", "aliases": ["default"]}],
        "policies": [{"name": "p", "scope": "TENANT", "limit": 1, "window": "1s", "match": {"tenant": "acme"}}],
    }


def test_a_catalogue_that_is_right() -> None:
    assert Catalogue.parse(catalogue()).tenants[1].qos_tier == "batch"


Change = Callable[[dict[str, Any]], Any]
BROKEN: list[tuple[str, Change, str]] = [
    ("tenant twice", lambda c: c["tenants"].append({"name": "acme"}), "tenants: the name 'acme' is used 2 times"),
    ("unknown band", lambda c: c["tenants"][0].update(qos_tier="premum"), "'premum' does not exist; did you mean 'pr"),
    ("user of nobody", lambda c: c["users"][0].update(tenant="acne"), "user 'paula': tenant 'acne' does not exist; di"),
    ("key of nobody", lambda c: c["keys"][0].update(user="paul"), "key 'k1': user 'paul' does not exist; did you mea"),
    ("key for no model", lambda c: c["keys"][0].update(models=["n"]), "key 'k1': models 'n' does not exist; known are"),
    ("model of no tier", lambda c: c["models"][0].update(tier="smal"), "model 'm': tier 'smal' does not exist; did yo"),
    ("alias is a model", lambda c: c["models"][0].update(aliases=["m"]), "models: the name 'm' is used 2 times"),
    ("no such tenant", lambda c: c["policies"][0].update(match={"tenant": "x"}), "policy 'p': match.tenant 'x' does n"),
    ("no such model", lambda c: c["policies"][0].update(match={"model": "x"}), "policy 'p': match.model 'x' does not"),
    ("misspelt field", lambda c: c["policies"][0].update(limt=3), "policies[0].limt: unknown key 'limt'; did you mea"),
    ("misspelt kind", lambda c: c.update(polices=[]), "catalogue.polices: unknown key 'polices'; did you mean 'pol"),
    ("misspelt match", lambda c: c["policies"][0].update(match={"tennant": "acme"}), "unknown key 'tennant'; did you"),
    ("no limit", lambda c: c["policies"][0].pop("limit"), "catalogue.policies[0].limit: missing"),
    (
        "bad unit",
        lambda c: c["policies"][0].pop("window") and c["policies"][0].update(unit="rps"),
        "[0].unit: Input sh",
    ),
    (
        "misspelt window",
        lambda c: c["policies"][0].update(windw=c["policies"][0].pop("window")),
        "policies[0].windw: unknown key 'windw'; did you mean 'window'?",
    ),
    ("no list", lambda c: c.update(tiers={"a": 1}), "catalogue.tiers: must be a list (got {'a': 1})"),
    (
        "no mapping",
        lambda c: c["policies"][0].update(match=None),
        "match: must be a mapping of keys to values (got None",
    ),
    ("bad scope", lambda c: c["policies"][0].update(scope="TENNANT"), "policies[0].scope: Input should be 'GLOBAL',"),
]


@pytest.mark.parametrize(("change", "says"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_a_broken_catalogue_says_where_and_what(change: Change, says: str) -> None:
    data = catalogue()
    change(data)
    with pytest.raises(CatalogueError) as caught:
        Catalogue.parse(data)
    assert any(says in problem for problem in caught.value.problems), caught.value.problems


def test_a_key_in_the_place_of_its_hash_is_not_repeated() -> None:
    data = catalogue()
    data["keys"][0]["sha256"] = "sk-k1-verysecret"
    with pytest.raises(CatalogueError) as caught:
        Catalogue.parse(data)
    assert "SHA-256" in str(caught.value)
    assert "verysecret" not in str(caught.value)


def test_all_problems_are_told_together() -> None:
    data = catalogue()
    data["tenants"][0]["weight"] = -1
    data["policies"][0]["window"] = "soon"
    with pytest.raises(CatalogueError) as caught:
        Catalogue.parse(data)
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["keys"][0].update(id="sk-k1-verysecret"),
        lambda c: c["keys"][0].update(previous_sha256="sk-k1-verysecret"),
        lambda c: c["keys"][0].update(user="sk-k1-verysecret"),
        lambda c: c["policies"][0].update(match={"api_key": "sk-k1-verysecret"}),
        lambda c: c["policies"][0].update({"sk-k1-verysecret": 1}),
    ],
)
def test_a_key_that_went_astray_is_not_repeated(change: Change) -> None:
    data = catalogue()
    change(data)
    with pytest.raises(CatalogueError) as caught:
        Catalogue.parse(data)
    told = "".join(traceback.format_exception(caught.value))
    assert "verysecret" not in told
