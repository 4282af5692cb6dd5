"""``python -m airflow_provider_awork.sandbox`` as a user runs it."""

from __future__ import annotations

import json
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import requests

COMMAND = [sys.executable, "-m", "airflow_provider_awork.sandbox"]


@pytest.fixture
def served() -> Iterator[tuple[subprocess.Popen[str], str]]:
    arguments = ["--port", "0", "--entries", "120", "--seed", "5", "--start", "2026-03-02", "--end", "2026-03-14"]
    arguments += ["--log-requests", "--faults", "503/2", "html/3", "--read-only-role"]
    # A shell's background job ignores SIGINT, and so would its children.
    heed_interrupts = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    command = [*COMMAND, *arguments, "--token", "hidden"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=heed_interrupts) as process:
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(4)]
        yield process, "".join(lines)
        process.kill()


def test_serves_until_interrupted(served):
    process, said = served
    url = re.search(r"http://127\.0\.0\.1:\d+/api/v1", said)[0]

    response = requests.get(f"{url}/timeentries", headers={"Authorization": "Bearer hidden"}, timeout=20)

    assert int(response.headers["aw-totalitems"]) < 120  # the role shows the key's own entries only
    assert "120 time entries, work of 2026-03-02 to 2026-03-14" in said
    assert "--token" in said
    assert "hidden" not in said
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0


def test_requests_are_logged_and_every_second_list_fails(served):
    process, said = served
    url = re.search(r"http://127\.0\.0\.1:\d+/api/v1", said)[0]
    headers = {"Authorization": "Bearer hidden"}

    statuses = [
        requests.get(f"{url}/timeentries", params={"pageSize": size}, headers=headers, timeout=20).status_code
        for size in (1, 2)
    ]

    assert statuses == [200, 503]
    lines = [process.stdout.readline() for _ in range(2)]
    assert re.fullmatch(r"200 GET /timeentries\?pageSize=1 \d+ ms\n", lines[0])
    assert re.fullmatch(r"503 GET /timeentries\?pageSize=2 \d+ ms\n", lines[1])


def test_the_printed_connection_works_and_yesterday_has_entries():
    with subprocess.Popen([*COMMAND, "--port", "0"], stdout=subprocess.PIPE, text=True) as process:
        lines = [process.stdout.readline() for _ in range(4)]
        name, _, value = shlex.split(lines[3])[1].partition("=")
        connection = json.loads(value)
        yesterday = datetime.now(UTC).date() - timedelta(days=1)
        answer = requests.get(
            f"{connection['host']}/timeentries",
            params={"filterby": f"startDateLocal eq datetime'{yesterday}T00:00'", "pageSize": 1000},
            headers={"Authorization": f"Bearer {connection['password']}"},
            timeout=20,
        )
        process.kill()

    assert (name, connection["conn_type"]) == ("AIRFLOW_CONN_AWORK_DEFAULT", "awork")
    assert int(answer.headers["aw-totalitems"]) > 10
    assert all(entry["updatedOn"] < datetime.now(UTC).isoformat() for entry in answer.json())


@pytest.mark.parametrize("fault", ["503", "503/0", "503/x", "tea/3"])
def test_an_unknown_fault_is_a_clear_error(fault):
    done = subprocess.run([*COMMAND, "--faults", fault], capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 2
    assert f"{fault!r} is not KIND/N such as 503/10; kinds: 429, 500" in done.stderr


def test_a_taken_port_is_a_clear_error():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run([*COMMAND, "--port", port], capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 1
    assert f"port {port} of 127.0.0.1 cannot be used" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_its_libraries_it_names_the_extra():
    code = (
        "import runpy, sys\nsys.modules['lark'] = None\nrunpy._run_module_as_main('airflow_provider_awork.sandbox')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 1
    assert "pip install 'airflow-provider-awork[sandbox]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_sandbox_needs_nothing_of_the_rest_of_the_package_and_no_airflow():
    code = (
        "import sys, airflow_provider_awork.sandbox.__main__\n"
        "own = [n for n in sys.modules if n.startswith('airflow_provider_awork') and '.sandbox' not in n]\n"
        "assert own == ['airflow_provider_awork'], own\n"
        "assert 'airflow' not in sys.modules\n"
    )

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
