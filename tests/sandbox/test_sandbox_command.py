"""``python -m airflow_provider_awork.sandbox`` as a user runs it."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial

import pytest
import requests

COMMAND = [sys.executable, "-m", "airflow_provider_awork.sandbox"]


@pytest.fixture
def served() -> Iterator[tuple[subprocess.Popen[str], str]]:
    arguments = ["--port", "0", "--entries", "120", "--seed", "5", "--start", "2026-03-02", "--end", "2026-03-14"]
    # A shell's background job ignores SIGINT, and so would its children.
    heed_interrupts = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    command = [*COMMAND, *arguments, "--token", "hidden"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=heed_interrupts) as process:
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(3)]
        yield process, "".join(lines)
        process.kill()


def test_serves_until_interrupted(served):
    process, said = served
    url = re.search(r"http://127\.0\.0\.1:\d+/api/v1", said)[0]

    response = requests.get(f"{url}/timeentries", headers={"Authorization": "Bearer hidden"}, timeout=20)

    assert response.headers["aw-totalitems"] == "120"
    assert "120 time entries, work of 2026-03-02 to 2026-03-14" in said
    assert "--token" in said
    assert "hidden" not in said
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0


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
