"""
Keeps the OAuth tokens of the connection `awork_person` fresh.

Only for those who need a person's rights; an API key needs no DAG. The connection has the client's id as login, its
secret as password and `{"oauth_variable": "awork_person_token"}` as extra. This DAG is the only user of the refresh
token in that Variable; all others read its access token through the connection.

An access token lives for 24 hours, so a run may fail and be mended before anybody notices. If one fails, its log says
what to do.
"""

import pendulum
from airflow.sdk import DAG, Param
from airflow.timetables.trigger import CronTriggerTimetable

from airflow_provider_awork.operators.tokens import AworkRefreshTokenOperator

with DAG(
    "awork_refresh_token",
    schedule=CronTriggerTimetable("0 */12 * * *", timezone="UTC"),
    start_date=pendulum.datetime(2026, 11, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    params={"force": Param(False, type="boolean", description="Exchange a young pair, or one that was cut off, too")},
    doc_md=__doc__,
    tags=["awork"],
):
    AworkRefreshTokenOperator(task_id="refresh", awork_conn_id="awork_person", force="{{ params.force }}")
