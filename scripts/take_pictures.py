"""
Takes the pictures in ``docs/`` anew: a whole Airflow beside a local awork, looked at in headless Chromium.

``python -m scripts.take_pictures``, by hand: the pages of Airflow's UI change, so look at what comes out. Needs ``pip
install selenium`` and the Debian packages chromium, chromium-driver, pngquant and optipng.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pendulum
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions as condition
from selenium.webdriver.support.ui import WebDriverWait

from airflow_provider_awork.sandbox import Sandbox
from stack_tests.rest_api import RestApi, wait_for
from stack_tests.stack import REPOSITORY, AirflowStack

DOCS = REPOSITORY / "docs"
BERLIN = "Europe/Berlin"


class Browser:
    """Headless Chromium with a window of so many pixels."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self._driver = driver

    def open(self, url: str) -> None:
        self._driver.get(url)

    def wait(self, xpath: str) -> None:
        WebDriverWait(self._driver, 60).until(condition.visibility_of_element_located((By.XPATH, xpath)))

    def click(self, xpath: str) -> None:
        WebDriverWait(self._driver, 60).until(condition.element_to_be_clickable((By.XPATH, xpath))).click()

    def take(self, name: str) -> None:
        """Write a picture of the window, as small as a page of text can bear."""
        time.sleep(3)  # for the page's movements
        path = DOCS / f"{name}.png"
        self._driver.save_screenshot(path)
        subprocess.run(["pngquant", "--force", "--ext", ".png", "--speed", "1", "128", path], check=True)
        subprocess.run(["optipng", "-quiet", "-o5", path], check=True)


@contextmanager
def browser(width: int, height: int) -> Iterator[Browser]:
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--lang=en"):
        options.add_argument(argument)
    options.add_argument(f"--window-size={width},{height}")
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    try:
        yield Browser(driver)
    finally:
        driver.quit()


@contextmanager
def running_airflow(folder: Path) -> Iterator[RestApi]:
    """Airflow with the example DAGs and a few finished runs."""
    today = pendulum.today(BERLIN)
    (folder / "airflow").mkdir()
    with Sandbox(entries=3000, end=today.date()) as awork:
        connection = {"conn_type": "awork", "host": awork.url, "password": awork.token}
        environment = {
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
            "AIRFLOW_CONN_AWORK_DEFAULT": json.dumps(connection),
            "AWORK_DESTINATION": f"file://{folder}/awork",
            "AWORK_DUCKDB": str(folder),
        }
        dags = REPOSITORY / "example_dags"
        with AirflowStack(folder / "airflow", dags=dags, environment=environment) as stack, stack.explained():
            api = stack.api
            # What the form shows; tasks take the connection of the environment.
            api.post("/api/v2/connections", connection_id="awork_default", conn_type="awork", password=awork.token)
            for dag_id in ("awork_report", "awork_daily_export"):
                wait_for(dag_id, lambda dag_id=dag_id: dag_id in str(api.get("/api/v2/dags", limit=100)))
                api.patch(f"/api/v2/dags/{dag_id}", is_paused=False)
                (run, *_) = wait_for("its scheduled run", lambda dag_id=dag_id: api.runs(dag_id))
                api.succeeded(dag_id, run["dag_run_id"])
            yield api


def take_connection_form(api: RestApi) -> None:
    with browser(1000, 1040) as chromium:
        chromium.open(f"{api.url}/connections")
        chromium.click("//button[@aria-label='Edit Connection']")
        chromium.wait("//*[text()='Base URL']")
        chromium.take("connection_form")


def take_finished_run(api: RestApi) -> None:
    run_id = api.runs("awork_report")[0]["dag_run_id"]
    with browser(1300, 800) as chromium:
        chromium.open(f"{api.url}/dags/awork_report/runs/{run_id}")
        chromium.click("//button[contains(@aria-label, 'Show Graph')]")
        chromium.wait("//*[@data-testid='rf__wrapper']//*[contains(text(), 'companies')]")
        chromium.take("finished_run")


def main() -> None:
    DOCS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, running_airflow(Path(folder)) as api:
        take_connection_form(api)
        take_finished_run(api)


if __name__ == "__main__":
    main()
