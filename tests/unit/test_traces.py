"""Traces in: what each format is read as, and what is said of one that is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpu_workbench_server.errors import BadRequest
from gpu_workbench_server.services.policy import Policy
from gpu_workbench_server.simulate.run import Simulation
from gpu_workbench_server.simulate.traces import nodes, read_ledger, read_muri, read_openb

MURI = "job_id,num_gpu,submit_time,iterations,model_name,iteration_time\n"


def test_a_muri_job_list_is_read_in_seconds(tmp_path: Path) -> None:
    path = tmp_path / "small.csv"
    path.write_text(MURI + "0,16,2000,100,bert,200\n1,1,1000,10,dqn,100\n")
    trace = read_muri(path)
    first, second = trace.jobs
    assert (first.submitted, first.gpus, first.kind, first.same_node) == (1, 1, "dqn", True)
    assert second.seconds == pytest.approx(100 * 0.2 * 1.015)
    assert not second.same_node
    assert len(trace.gpus) == 64


def test_an_openb_pod_list_is_read_with_the_nodes_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "pods.csv"
    path.write_text(
        "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,"
        "creation_time,deletion_time,scheduled_time\n"
        "a,1,1,1,460,T4|P100,LS,Running,5,105,25\n"
        "b,1,1,0,0,,LS,Running,0,10,0\n"
        "c,1,1,8,1000,,BE,Running,0,50,\n"
    )
    nodes_file = tmp_path / "openb_node_list_gpu_node.csv"
    nodes_file.write_text("sn,cpu_milli,memory_mib,gpu,model\nn0,1,1,2,T4\nn1,1,1,8,P100\n")
    trace = read_openb(path)
    whole, share = trace.jobs
    assert (whole.gpus, whole.seconds, whole.user) == (8, 50, "BE")
    assert (share.share, share.seconds, share.submitted) == (0.46, 80, 5)
    assert share.models == ("T4", "P100")
    assert [gpu.memory_gb for gpu in trace.gpus] == [16] * 10
    assert "1 pods without a GPU are left out." in trace.notes


LEDGER = (
    "lease_id,user,pool,profile,purpose,name,granted_at,until,held_gpu_seconds,"
    "used_gpu_seconds,end_reason\n"
    "1,ada,default,fraction-0.25,kernel,x.ipynb,1000,1100,50,,released\n"
    "2,bo,default,whole,job,train,1050,1150,100,7,expired\n"
)


def test_our_own_ledger_is_read_as_usage_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    path.write_text(LEDGER)
    trace = read_ledger(path, nodes(1, 1))
    first, second = trace.jobs
    assert (first.user, first.what, first.gpus, first.seconds) == ("ada", "fraction-0.25", 2, 100)
    assert (second.what, second.gpus, second.submitted) == ("whole", 1, 1050)
    assert "no time of request" in trace.notes[0]
    outcome = Simulation(trace, Policy()).run()
    assert [one.started for one in outcome.stories] == [1000, 1100]


def test_a_ledger_in_json_says_the_same(tmp_path: Path) -> None:
    heads, *lines = (line.split(",") for line in LEDGER.splitlines())
    table = {"rows": [dict(zip(heads, line, strict=True)) for line in lines]}
    (tmp_path / "usage.json").write_text(json.dumps(table))
    (tmp_path / "usage.csv").write_text(LEDGER)
    assert read_ledger(tmp_path / "usage.json").jobs == read_ledger(tmp_path / "usage.csv").jobs


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "t.csv has no rows."),
        ("a,b\n1,2\n", "t.csv line 2: there is no column num_gpu."),
        (MURI + "0,1,0,5,bert,200\n0,x,0,5,bert,200\n", "t.csv line 3: invalid literal for int"),
    ],
)
def test_a_trace_that_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(BadRequest, match=says.replace(".", r"\.")):
        read_muri(path)


def test_a_trace_that_is_missing_is_named(tmp_path: Path) -> None:
    for read, name in ((read_muri, "t.csv"), (read_ledger, "t.json")):
        with pytest.raises(BadRequest, match=r"can't be read: No such file"):
            read(tmp_path / name)
