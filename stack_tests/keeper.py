"""
Starts the processes of a stack, and ends them all when whoever asked for them is gone.

``python -m stack_tests.keeper LOG``: each line on standard input is a command as JSON, answered by its process id.
When the input ends, by intent or because the tests crashed or were killed, every process of this session is killed.
It takes a session of its own: process groups are not enough, because Airflow puts each task into one of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import psutil


def session_members(session: int) -> list[psutil.Process]:
    """The processes of a session that have not ended."""
    members = []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process)
    return members


def end_session() -> None:
    """Kill all processes of this session but this one; those that are just being started need another round."""
    while others := [process for process in session_members(os.getsid(0)) if process.pid != os.getpid()]:
        for process in others:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(0.1)


def main() -> None:
    if os.getsid(0) != os.getpid():
        raise SystemExit("The keeper ends its whole session, so it wants one of its own")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit("The keeper was told to end"))
    processes = []
    with open(sys.argv[1], "ab") as log:
        try:
            for line in sys.stdin:
                process = subprocess.Popen(json.loads(line), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
                processes.append(process)
                print(process.pid, flush=True)
        finally:
            end_session()
            for process in processes:
                process.wait()


if __name__ == "__main__":
    main()
