"""Repartition over HTTP on simulated GPUs: proposed, applied, and there after a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.lab import LabServer

FLEET = """
[[gpu]]
model = "NVIDIA H100 80GB HBM3"
memory_gb = 80
mig = ["3g.40gb", "3g.40gb"]
[[gpu]]
model = "NVIDIA H100 80GB HBM3"
memory_gb = 80
mig = ["1g.10gb", "1g.10gb", "1g.10gb", "1g.10gb", "1g.10gb", "1g.10gb", "1g.10gb"]
"""


def cut(server: LabServer) -> list[list[str]]:
    gpus = server.api("GET", "fleet")["gpus"]
    return [[one["label"] for one in gpu["segments"]] for gpu in gpus]


def test_an_idle_gpu_is_cut_for_who_waits_and_stays_so(tmp_path: Path) -> None:
    (tmp_path / "fleet.toml").write_text(FLEET)
    (tmp_path / "policy.toml").write_text("[pools.default]\nrepartition = true\n")
    settings: dict[str, Any] = {
        "fleet_file": str(tmp_path / "fleet.toml"),
        "policy_file": str(tmp_path / "policy.toml"),
        "lease_ttl": 60,
    }
    with LabServer(tmp_path, workbench=settings) as server:
        assert server.api("GET", "repartition") == {"proposals": []}
        server.api("POST", "requests", {"what": "3g.40gb", "count": 2})
        waiting = server.api("POST", "requests", {"what": "3g.40gb"})
        assert waiting["state"] == "queued"
        [proposal] = server.api("GET", "repartition")["proposals"]
        assert (proposal["name"], proposal["serves"]) == ("gpu1", [waiting["id"]])

        done = server.api("POST", "repartition", {"gpus": [proposal["gpu"]]})
        assert done["proposals"] == [proposal]
        assert server.api("GET", f"requests/{waiting['id']}")["state"] == "granted"
        after = cut(server)
        assert after[1].count("3g.40gb") >= 1

        server.restart(kill=True)
        assert cut(server) == after
        assert len(server.leases()) == 2
        assert "invariant broken" not in server.log_file.read_text()
