"""Every route: what it answers when all is well, and when the call is wrong."""

from __future__ import annotations

from typing import Any

import pytest


async def test_status_tells_who_i_am_and_what_is_free(workbench: Any) -> None:
    code, status = await workbench.call("GET", "status")
    assert code == 200
    assert status["simulated"] is True
    assert status["api_version"] == "1"
    assert status["user"]
    assert status["units_free"] == status["units_total"] > 0


async def test_fleet_shows_the_simulated_gpus_and_says_so(workbench: Any) -> None:
    code, fleet = await workbench.call("GET", "fleet")
    assert code == 200
    assert fleet["simulated"] is True
    assert len(fleet["gpus"]) == 2
    assert all(gpu["segments"] for gpu in fleet["gpus"])


async def test_cards_say_what_can_be_had_now(workbench: Any) -> None:
    code, cards = await workbench.call("GET", "cards", count=1)
    assert code == 200
    assert {card["when"] for card in cards["cards"]} == {"now"}


async def test_a_request_becomes_a_lease_that_can_be_extended_and_given_back(
    workbench: Any,
) -> None:
    code, request = await workbench.call("POST", "requests", {"what": "20GB", "seconds": 600})
    assert (code, request["state"]) == (201, "granted")
    number = request["id"]

    code, lease = await workbench.call("GET", f"leases/{number}")
    assert (code, lease["state"], lease["mine"]) == (200, "active", True)
    assert (await workbench.call("GET", f"requests/{number}"))[1]["state"] == "granted"
    assert [one["id"] for one in (await workbench.call("GET", "leases"))[1]["leases"]] == [number]

    code, longer = await workbench.call("POST", f"leases/{number}/extend", {"seconds": 600})
    assert code == 200
    assert longer["ends_at"] == pytest.approx(lease["ends_at"] + 600, abs=5)

    code, alive = await workbench.call("POST", "leases/heartbeat", {"leases": [number, 999]})
    assert (code, alive["leases"]) == (200, [number])

    code, ended = await workbench.call("DELETE", f"leases/{number}")
    assert (code, ended["state"], ended["end_reason"]) == (200, "ended", "released")
    again = await workbench.call("DELETE", f"leases/{number}")
    assert again[0] == 200, "giving back twice is no error"

    assert (await workbench.call("GET", "leases"))[1]["leases"] == []
    past = (await workbench.call("GET", "leases", ended=1))[1]["leases"]
    assert [one["id"] for one in past] == [number]
    usage = (await workbench.call("GET", "usage", since=0))[1]
    assert [row["lease_id"] for row in usage["rows"]] == [number]


async def test_what_does_not_fit_waits_with_position_and_reason_and_can_be_cancelled(
    workbench: Any,
) -> None:
    await workbench.call("POST", "requests", {"what": "gpu"})
    code, waiting = await workbench.call("POST", "requests", {"what": "gpu", "key": "once"})
    assert (code, waiting["state"], waiting["position"]) == (201, "queued", 1)
    assert waiting["reason"]["sentence"]
    same = (await workbench.call("POST", "requests", {"what": "gpu", "key": "once"}))[1]
    assert same["id"] == waiting["id"], "the same key is the same request"
    queue = (await workbench.call("GET", "requests"))[1]["requests"]
    assert [one["id"] for one in queue] == [waiting["id"]]
    code, cancelled = await workbench.call("DELETE", f"requests/{waiting['id']}")
    assert (code, cancelled["state"]) == (200, "cancelled")


async def test_a_dry_run_takes_nothing(workbench: Any) -> None:
    await workbench.call("POST", "requests", {"what": "20GB", "dry_run": True})
    assert (await workbench.call("GET", "leases"))[1]["leases"] == []


async def test_a_kernel_claims_the_lease_that_waits_for_its_notebook(workbench: Any) -> None:
    request = (await workbench.call("POST", "requests", {"what": "10GB", "name": "a.ipynb"}))[1]
    code, lease = await workbench.call(
        "POST", "leases/claim", {"path": "a.ipynb", "kernel_id": "k1"}
    )
    assert (code, lease["id"]) == (200, request["id"])
    assert lease["holder"]["id"] == "k1"
    code, problem = await workbench.call(
        "POST", "leases/claim", {"path": "b.ipynb", "kernel_id": "k2"}
    )
    assert (code, problem["code"]) == (409, "not_now")


async def test_a_holder_is_bound_to_a_lease(workbench: Any) -> None:
    number = (await workbench.call("POST", "requests", {"what": "10GB", "purpose": "cell"}))[1][
        "id"
    ]
    holder = {"kind": "cell", "id": "c1", "name": "cell 3"}
    code, lease = await workbench.call("POST", f"leases/{number}/bind", holder)
    assert (code, lease["holder"]["name"]) == (200, "cell 3")


async def test_telemetry_has_a_sample_a_history_and_processes(workbench: Any) -> None:
    async def sample() -> Any:
        code, body = await workbench.call("GET", "telemetry")
        return body if code == 200 else None

    latest = await workbench.eventually(sample, "first sample")
    assert latest["simulated"] is True
    gpu = latest["gpus"][0]["uuid"]

    async def past_up_to_now() -> Any:  # a second that has just begun may have no sample yet
        code, history = await workbench.call("GET", "telemetry/history", subject=gpu, seconds=60)
        assert code == 200 and len(history["times"]) >= 60
        means = {one["metric"]: one["mean"] for one in history["series"]}
        assert all(len(mean) == len(history["times"]) for mean in means.values())
        return means if means["memory_bytes"][-1] is not None else None

    means = await workbench.eventually(past_up_to_now, "its past goes up to now")
    assert {"activity", "memory_bytes", "power_watts", "temperature_c"} <= means.keys()
    assert (await workbench.call("GET", "telemetry/processes")) == (200, {"processes": []})


async def test_metrics_are_text_for_prometheus(workbench: Any) -> None:
    await workbench.call("POST", "requests", {"what": "10GB"})
    answer = await workbench.raw("GET", "metrics")
    assert answer.code == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    text = answer.body.decode()
    assert "gpu_workbench_changes_total{" in text
    assert "# HELP" in text


async def test_clusters_and_jobs_are_listed_when_there_are_none(workbench: Any) -> None:
    assert await workbench.call("GET", "clusters") == (200, {"clusters": []})
    assert await workbench.call("GET", "jobs") == (200, {"jobs": []})


NOT_THERE = [
    ("GET", "requests/999", None),
    ("DELETE", "requests/999", None),
    ("GET", "leases/999", None),
    ("DELETE", "leases/999", None),
    ("POST", "leases/999/extend", {"seconds": 60}),
    ("POST", "leases/999/bind", {"kind": "cell", "id": "c", "name": "c"}),
    ("GET", "clusters/none", None),
    ("DELETE", "clusters/none", None),
    ("POST", "clusters/none/scale", {"workers": 2}),
    ("GET", "jobs/none", None),
    ("POST", "jobs/none/stop", None),
    ("GET", "jobs/none/logs", None),
    ("GET", "jobs/none/metrics", None),
    ("GET", "jobs/none/result", None),
]


async def test_what_is_not_there_is_a_404_in_three_fields(workbench: Any) -> None:
    for method, path, body in NOT_THERE:
        code, problem = await workbench.call(method, path, body)
        assert (code, problem["code"]) == (404, "not_found"), (method, path, problem)
        assert set(problem) == {"code", "message", "hint"}


BAD = [
    ("requests", b"{", "body"),
    ("requests", {}, "what"),
    ("requests", {"what": "20GB", "count": "two"}, "count"),
    ("leases/claim", {"path": "a", "kernel_id": 3}, "kernel_id"),
    ("leases/claim", {"path": "a", "kernel_id": "k", "ask": {"what": 1}}, "ask.what"),
    ("leases/heartbeat", {"leases": [1, "x"]}, "leases[1]"),
    ("leases/1/extend", None, "seconds"),
    ("clusters", {"workers": 2}, "per_worker"),
    ("jobs", {"ranks": 2, "per_rank": "0.5", "env": {"A": 1}}, "env"),
]


async def test_a_body_that_cannot_be_read_is_a_400_that_names_the_field(workbench: Any) -> None:
    for path, body, field in BAD:
        code, problem = await workbench.call("POST", path, body)
        assert (code, problem["code"]) == (400, "bad_request"), (path, problem)
        assert field in problem["message"], (path, problem)


async def test_a_query_that_cannot_be_read_is_a_400_that_names_it(workbench: Any) -> None:
    for path, params, name in [
        ("cards", {"count": "many"}, "count"),
        ("cards", {"count": 0}, "count"),
        ("telemetry/history", {}, "subject"),
        ("usage", {"since": "yesterday"}, "since"),
        ("jobs/j/logs", {"stream": "in"}, "stream"),
    ]:
        code, problem = await workbench.call("GET", path, **params)
        assert (code, problem["code"]) == (400, "bad_request"), (path, problem)
        assert name in problem["message"]


async def test_an_ask_that_makes_no_sense_or_never_fits_is_refused_with_a_hint(
    workbench: Any,
) -> None:
    code, problem = await workbench.call("POST", "requests", {"what": "a lot"})
    assert (code, problem["code"]) == (400, "bad_ask")
    code, problem = await workbench.call("POST", "requests", {"what": "gpu", "count": 50})
    assert (code, problem["code"]) == (409, "never_fits")
    assert problem["hint"]


async def test_an_unknown_route_or_method_is_json_too(workbench: Any) -> None:
    code, problem = await workbench.call("GET", "no/such/thing")
    assert (code, problem["code"]) == (404, "not_found")
    code, problem = await workbench.call("GET", "leases/abc")
    assert (code, problem["code"]) == (404, "not_found")
    code, problem = await workbench.call("PUT", "status", {})
    assert (code, problem["code"]) == (405, "method_not_allowed")


async def test_a_defect_is_a_500_without_traceback(
    workbench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = await workbench.app.workbench.services()

    def defect(*_: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(services.broker, "fleet", defect)
    answer = await workbench.raw("GET", "fleet")
    assert answer.code == 500
    assert b"internal" in answer.body
    assert b"secret" not in answer.body
    assert b"Traceback" not in answer.body


async def test_answers_are_json_that_is_not_sniffed_or_stored(workbench: Any) -> None:
    answer = await workbench.raw("GET", "status")
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"


async def test_polling_is_no_activity(workbench: Any, jp_serverapp: Any) -> None:
    before = jp_serverapp.web_app.last_activity()
    for path in ("status", "fleet", "leases", "requests", "telemetry"):
        await workbench.call("GET", path)
    assert jp_serverapp.web_app.last_activity() == before
