"""The harness shows what Airflow really does: states, tries, XComs, windows and logs of inline DAGs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.airflow_harness import connection_in_environment, data_interval_timetable, run_dag
from tests.helpers.storage_emulators import S3Emulator


def test_a_task_gives_its_state_its_xcoms_and_its_log() -> None:
    from airflow.sdk import DAG, task

    with DAG("harness_simple", schedule=None) as dag:

        @task
        def say(word: str, *, ti: Any = None) -> dict[str, Any]:
            import logging

            logging.getLogger("some.module").info("logged %s", word)
            ti.xcom_push(key="extra", value=[1, 2])
            return {"word": word}

        say("{{ dag_run.conf['word'] }}")

    result = run_dag(dag, run_conf={"word": "hello"})

    assert result.state == "success"
    assert result.task("say").state == "success"
    assert result.task("say").try_number == 1
    assert result.xcom("say") == {"word": "hello"}
    assert result.xcom("say", key="extra") == [1, 2]
    assert result.task("say").rendered_fields["op_args"] == ["hello"]
    assert "logged hello" in result.logs


def test_logs_belong_to_one_run() -> None:
    from airflow.sdk import DAG, task

    with DAG("harness_logs", schedule=None) as dag:

        @task
        def say(word: str) -> None:
            import logging

            logging.getLogger("some.module").info("logged %s", word)

        say("{{ dag_run.conf['word'] }}")

    first, second = run_dag(dag, run_conf={"word": "first"}), run_dag(dag, run_conf={"word": "second"})

    assert "logged first" in first.logs
    assert "logged first" not in second.logs
    assert "logged second" in second.logs


def test_a_failed_task_is_tried_again_until_it_succeeds() -> None:
    from airflow.sdk import DAG, task

    with DAG("harness_retries", schedule=None) as dag:

        @task(retries=2, retry_delay=timedelta(0))
        def succeed_on_third_try(*, ti: Any = None) -> int:
            if ti.try_number < 3:
                raise RuntimeError(f"try {ti.try_number} fails")
            return ti.try_number

        succeed_on_third_try()

    result = run_dag(dag)

    assert result.state == "success"
    assert result.task("succeed_on_third_try").try_number == 3
    assert result.xcom("succeed_on_third_try") == 3
    assert "try 1 fails" in result.logs
    assert "try 2 fails" in result.logs


def test_our_permanent_errors_end_a_task_without_another_try() -> None:
    from airflow.sdk import DAG, task

    from airflow_provider_awork.exceptions import AworkConfigError

    with DAG("harness_fail", schedule=None) as dag:

        @task(retries=2, retry_delay=timedelta(0))
        def misconfigured() -> None:
            raise AworkConfigError("host: wrong")

        @task
        def after() -> None:
            raise AssertionError("must not run")

        misconfigured() >> after()

    result = run_dag(dag)

    assert result.state == "failed"
    assert result.task("misconfigured").state == "failed"
    assert result.task("misconfigured").try_number == 1
    assert result.task("after").state == "upstream_failed"
    assert "host: wrong" in result.logs
    assert "must not run" not in result.logs


def _dag_that_returns_its_window(dag_id: str, schedule: Any) -> Any:
    from airflow.sdk import DAG, task

    with DAG(dag_id, schedule=schedule, start_date=datetime(2025, 1, 1, tzinfo=UTC), catchup=False) as dag:

        @task
        def window(**context: Any) -> dict[str, Any]:
            run = context["dag_run"]
            ends = [context.get("data_interval_start"), context.get("data_interval_end")]
            return {
                "logical_date": run.logical_date and run.logical_date.isoformat(),
                "interval": [end and end.isoformat() for end in ends],
                "run_type": run.run_type.value,
            }

        window()

    return dag


def test_a_manual_run_without_logical_date_has_no_interval() -> None:
    window = run_dag(_dag_that_returns_its_window("harness_manual", None)).xcom("window")

    assert window == {"logical_date": None, "interval": [None, None], "run_type": "manual"}


def test_a_daily_schedule_has_an_interval_of_zero_length() -> None:
    dag = _dag_that_returns_its_window("harness_daily", "@daily")

    window = run_dag(dag, logical_date=datetime(2025, 3, 30, tzinfo=UTC)).xcom("window")

    assert window["interval"] == ["2025-03-30T00:00:00+00:00"] * 2


def test_a_data_interval_timetable_gives_the_day_before() -> None:
    dag = _dag_that_returns_its_window("harness_interval", data_interval_timetable("@daily"))

    window = run_dag(dag, logical_date=datetime(2025, 3, 30, tzinfo=UTC)).xcom("window")

    assert window["interval"] == ["2025-03-29T00:00:00+00:00", "2025-03-30T00:00:00+00:00"]


def test_type_and_interval_of_a_run_can_be_given() -> None:
    dag = _dag_that_returns_its_window("harness_backfill", None)
    start, end = datetime(2025, 2, 1, tzinfo=UTC), datetime(2025, 3, 1, tzinfo=UTC)

    window = run_dag(dag, logical_date=start, data_interval=(start, end), run_type="backfill").xcom("window")

    assert window == {
        "logical_date": "2025-02-01T00:00:00+00:00",
        "interval": ["2025-02-01T00:00:00+00:00", "2025-03-01T00:00:00+00:00"],
        "run_type": "backfill",
    }


def test_mapped_tasks_are_told_apart() -> None:
    from airflow.sdk import DAG, task

    with DAG("harness_mapped", schedule=None) as dag:

        @task
        def double(number: int) -> int:
            return 2 * number

        double.expand(number=[1, 2])

    result = run_dag(dag)

    assert [result.xcom("double", map_index=index) for index in (0, 1)] == [2, 4]


def test_the_awork_connection_reaches_a_task_and_no_mask_hides_what_a_task_logs() -> None:
    from airflow.sdk import DAG, BaseHook, task

    with DAG("harness_connection", schedule=None) as dag:

        @task
        def read_connection() -> dict[str, Any]:
            import logging

            connection = BaseHook.get_connection("awork_default")
            logging.getLogger("some.module").info("password %s", connection.password)
            return {"host": connection.host, "extra": connection.extra_dejson}

        read_connection()

    with connection_in_environment("http://127.0.0.1:1/api/v1", "key-of-the-test", read_timeout=5):
        result = run_dag(dag)

    assert result.xcom("read_connection") == {"host": "http://127.0.0.1:1/api/v1", "extra": {"read_timeout": 5}}
    assert "password key-of-the-test" in result.logs


@pytest.mark.emulator
def test_the_s3_emulator_takes_files_through_an_airflow_connection(s3_emulator: S3Emulator, tmp_path: Path) -> None:
    from airflow.sdk import ObjectStoragePath

    source = tmp_path / "source"
    source.write_bytes(b"some bytes")
    target = ObjectStoragePath(s3_emulator.create_bucket("harness-bucket")) / "folder" / "file"

    target.fs.put_file(str(source), target.path)

    assert s3_emulator.keys("harness-bucket") == ["folder/file"]
    body = s3_emulator.client().get_object(Bucket="harness-bucket", Key="folder/file")["Body"]
    assert body.read() == b"some bytes"
