"""Base classes of operators and sensors: the hook, the link to awork and the retry policy; a window; stopping."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_awork.client.entries.arguments import checked_flag
from airflow_provider_awork.exceptions import AworkStoppedError
from airflow_provider_awork.hooks.awork import AworkHook
from airflow_provider_awork.links.awork import APP_URL, AworkLink
from airflow_provider_awork.operators.retry_policy import AworkRetryPolicy
from airflow_provider_awork.version_compat import HAS_RETRY_POLICIES
from airflow_provider_awork.windows.completeness import LOOKBACK, checked_lookback, wait_until_complete
from airflow_provider_awork.windows.resolution import resolve_window
from airflow_provider_awork.windows.run_facts import read_run_facts

if TYPE_CHECKING:
    from airflow.sdk import BaseOperatorLink, Context

    from airflow_provider_awork.version_compat import RetryPolicy
    from airflow_provider_awork.windows.window import Window

LINK = AworkLink()
WINDOW_PARAMETERS = ("window_field", "window_start", "window_end", "window_length", "timezone")


class AworkBaseOperator(BaseOperator):
    """
    Base of all operators; a sensor puts it before ``BaseSensorOperator``.

    A subclass takes ``awork_conn_id`` itself, so that its signature shows it.

    :param retry_policy: (Airflow 3.3+) decides when a failed task is tried again; None leaves it to ``retry_delay``.
    """

    operator_extra_links: Collection[BaseOperatorLink] = (LINK,)
    ui_color = "#e6f4f1"
    awork_conn_id: str

    if HAS_RETRY_POLICIES:
        # The default stands in the signature: there default_args take precedence over it, and partial() finds it.
        def __init__(self, *, retry_policy: RetryPolicy | None = AworkRetryPolicy(), **kwargs: Any) -> None:  # noqa: B008 - no state
            super().__init__(retry_policy=retry_policy, **kwargs)

    @cached_property
    def hook(self) -> AworkHook:
        """The hook of the task's connection, made at first use."""
        return AworkHook(self.awork_conn_id)

    def pre_execute(self, context: Context) -> None:
        """Link to awork before anything can fail; when the task ends, Airflow asks :class:`AworkLink` again."""
        super().pre_execute(context)
        context["ti"].xcom_push(key=LINK.xcom_key, value=APP_URL)


class AworkWindowOperator(AworkBaseOperator):
    """
    Base of operators and sensors that take a window, with ``WINDOW_PARAMETERS`` among their ``template_fields``.

    A base and no plain mixin: Airflow takes ``default_args`` and the parameters of ``partial()`` and ``expand()`` from
    constructors of operators alone. Each subclass documents the parameters itself.
    """

    def __init__(
        self,
        *,
        window_field: str | None = None,
        window_start: date | datetime | str | None = None,
        window_end: date | datetime | str | None = None,
        window_length: str | None = None,
        timezone: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.window_field = window_field
        self.window_start = window_start
        self.window_end = window_end
        self.window_length = window_length
        self.timezone = timezone

    def window(self, context: Context) -> Window | None:
        """
        The window of the running task; None for everything.

        :raises AworkConfigError: bounds that cannot work, or none where one is needed.
        """
        return resolve_window(
            read_run_facts(context),
            field=self.window_field,
            start=self.window_start,
            end=self.window_end,
            length=self.window_length,
            timezone=self.timezone,
        )


class AworkCompleteWindowOperator(AworkWindowOperator):
    """Base of operators that deliver the entries of a window once it is complete; see :mod:`.windows.completeness`."""

    def __init__(self, *, lookback: timedelta = LOOKBACK, open_window: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lookback = lookback
        self.open_window = open_window

    def check_completeness(self) -> None:
        """
        Check ``lookback`` and ``open_window``.

        :raises AworkConfigError: one cannot work.
        """
        checked_lookback(self.lookback)
        checked_flag(self.open_window, "open_window")

    def await_completeness(self, window: Window | None) -> bool:
        """
        Wait until a window is complete; with ``open_window`` do not wait.

        :return: whether entries may still come into the window.
        :raises AworkConfigError: it ends later than a lookback from now.
        :raises AworkAssumptionError: awork does not tell its clock.
        """
        client = self.hook.client
        return wait_until_complete(
            window,
            lookback=self.lookback,
            may_be_open=self.open_window,
            access=client.access,
            sleep=client.session.limiter.sleep,
        )


class AworkStoppableOperator(AworkBaseOperator):
    """Base of operators that clean up after themselves when Airflow stops the task."""

    _is_stoppable = False

    @contextmanager
    def stoppable(self) -> Iterator[None]:
        """Mark the part of ``execute`` that :meth:`on_kill` interrupts."""
        self._is_stoppable = True
        try:
            yield
        finally:
            self._is_stoppable = False

    def on_kill(self) -> None:
        """
        Interrupt the run, so that it cleans up after itself.

        Airflow calls this in the main thread, which may be waiting for an answer or for another run, and kills the
        process a few seconds later.
        """
        self.hook.close()
        if self._is_stoppable:
            self._is_stoppable = False  # do not interrupt the clean-up
            raise AworkStoppedError("The task is being stopped: it was marked or cleared, or its worker ends")
