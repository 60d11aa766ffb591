"""Bad input through the real server: each a clear error with code, message and hint; nothing lost.

A policy file with a typo is in `test_policy_file`, a broken database file in `test_degraded`.
"""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize(
    ("body", "status", "code", "message", "hint"),
    [
        ({"what": "9g.90gb"}, 409, "unknown_profile", "Nobody offers 9g.90gb", "On offer: "),
        ({"what": "much"}, 400, "bad_ask", "“much” is neither a memory", "Ask for a memory"),
        ({"what": ""}, 400, "bad_ask", "neither a memory", "Ask for a memory"),
        ({"what": "gpu", "count": 3}, 409, "never_fits", "it could give 1", "at most 1"),
        ({"what": "900GB"}, 409, "never_fits", "No slice here has 900 GB", "at most"),
        ({"what": "gpu", "count": 0}, 400, "bad_ask", "A count of 0", "1 or more"),
        ({"what": "gpu", "count": -7}, 400, "bad_ask", "A count of -7", "1 or more"),
        ({"what": "gpu", "seconds": 0}, 400, "bad_ask", "A lease of 0 s", "one second"),
        ({"what": "gpu", "seconds": -60}, 400, "bad_ask", "A lease of -60 s", "one second"),
        ({"what": "gpu", "seconds": 10**12}, 409, "too_long", "more than pool", "at most 24 h"),
        ({"what": "gpu", "seconds": "long"}, 400, "bad_request", "seconds: ", "openapi.json"),
        ({"what": "gpu", "pool": "b200"}, 404, "not_found", "no pool b200", "Pools: default"),
        ({"count": 1}, 400, "bad_request", "`what`", "openapi.json"),
    ],
)
async def test_what_makes_no_sense_is_refused_and_nothing_is_queued(
    workbench: Any, body: dict[str, Any], status: int, code: str, message: str, hint: str
) -> None:
    kept = (await workbench.call("POST", "requests", {"what": "0.25"}))[1]
    answered, problem = await workbench.call("POST", "requests", body)
    assert (answered, problem["code"]) == (status, code)
    assert message in problem["message"]
    assert hint in problem["hint"]
    assert (await workbench.call("GET", "requests"))[1]["requests"] == []
    leases = (await workbench.call("GET", "leases"))[1]["leases"]
    assert [one["id"] for one in leases] == [kept["id"]]


@pytest.mark.parametrize("seconds", [0, -3600, 10**12])
async def test_a_lease_is_not_extended_by_what_makes_no_sense(workbench: Any, seconds: int) -> None:
    lease = (await workbench.call("POST", "requests", {"what": "0.25", "seconds": 60}))[1]
    before = (await workbench.call("GET", f"leases/{lease['id']}"))[1]["ends_at"]
    code, problem = await workbench.call(
        "POST", f"leases/{lease['id']}/extend", {"seconds": seconds}
    )
    assert code == 409
    assert problem["message"]
    assert problem["hint"]
    assert (await workbench.call("GET", f"leases/{lease['id']}"))[1]["ends_at"] == before


async def test_an_unknown_user_is_told_so_and_sees_nothing(workbench: Any) -> None:
    """Whoever has no token of this server: there are no other users on one's own machine."""
    code, problem = await workbench.call(
        "GET", "leases", headers={"Authorization": "token of-somebody-else"}
    )
    assert code in (401, 403)
    assert problem["code"] in ("unauthenticated", "forbidden")
    assert problem["message"]
    assert problem["hint"]
