"""The part of the hook that turns an Airflow connection into a client of one workspace."""

from __future__ import annotations

import logging
from contextlib import closing
from functools import cached_property
from typing import TYPE_CHECKING

from airflow.sdk import BaseHook

from airflow_provider_awork.client.http.retries import RetryRules
from airflow_provider_awork.client.lists.resources import TIME_ENTRIES, find_endpoint
from airflow_provider_awork.exceptions import AworkConfigError, AworkError, is_missing_connection
from airflow_provider_awork.get_provider_info import CONNECTION_TYPE
from airflow_provider_awork.hooks.connection import config_of, oauth_client_of, without_transient_id
from airflow_provider_awork.version_compat import in_thread

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from airflow_provider_awork.client.client import AworkClient
    from airflow_provider_awork.client.http.config import AworkConfig
    from airflow_provider_awork.client.http.oauth import OAuthClient
    from airflow_provider_awork.client.identity import Identity
    from airflow_provider_awork.hooks.token_store import TokenStore

log = logging.getLogger(__name__)


class AworkConnectionHook(BaseHook):
    """
    Base of the hook: the connection, the client, and the identity of the key.

    :param awork_conn_id: Airflow connection of type ``awork``.
    :param single_try: each read is one request, whose failure is raised at once.
    """

    conn_name_attr = "awork_conn_id"
    default_conn_name = "awork_default"
    conn_type = CONNECTION_TYPE["connection-type"]
    hook_name = CONNECTION_TYPE["hook-name"]

    def __init__(self, awork_conn_id: str = default_conn_name, *, single_try: bool = False) -> None:
        super().__init__()
        self.awork_conn_id = awork_conn_id
        self.single_try = single_try
        self._warned: set[str] = set()

    @classmethod
    def get_connection(cls, conn_id: str) -> Connection:
        """
        The Airflow connection.

        :raises AworkConfigError: there is none of that name.
        """
        try:
            return super().get_connection(conn_id)
        except Exception as error:
            if not is_missing_connection(error):
                raise
            raise AworkConfigError(
                f"awork_conn_id: Airflow has no connection {conn_id!r}. Create it with the type awork and the API key "
                f"as password (or as AIRFLOW_CONN_{conn_id.upper()}), or pass the name of another one"
            ) from error

    @cached_property
    def config(self) -> AworkConfig:
        """
        The connection's settings, with the API key or, for OAuth, the access token that is stored at first use.

        :raises AworkConfigError: a field of the connection has a value that cannot work.
        """
        return config_of(self.get_connection(self.awork_conn_id))

    def oauth_client(self) -> tuple[OAuthClient, TokenStore]:
        """
        The connection's OAuth client, and where its tokens are stored; only for who refreshes them.

        :raises AworkConfigError: the connection does not use OAuth, or a field has a value that cannot work.
        """
        return oauth_client_of(self.get_connection(self.awork_conn_id))

    @cached_property
    def client(self) -> AworkClient:
        """The client, made at first use."""
        return self._new_client()

    def _new_client(self, *, is_impatient: bool = False) -> AworkClient:
        """Return a client; an impatient one gives up within about ten seconds."""
        # These load requests.
        from airflow_provider_awork.client.client import AworkClient
        from airflow_provider_awork.client.http.session import AworkSession, impatient_session

        if is_impatient:
            session = impatient_session(self.config)
        elif self.single_try:  # pollers read the connection again themselves
            session = AworkSession(self.config, retry=RetryRules.single_try())
        else:
            session = AworkSession(self.config, read_token=self._read_token)
        return AworkClient(self.config, session=session)

    def _read_token(self) -> str:
        """Read the key or access token that the connection has now."""
        return config_of(self.get_connection(self.awork_conn_id)).token

    def get_conn(self) -> AworkClient:
        """
        The client of this hook's workspace.

        :raises AworkConfigError: a field of the connection has a value that cannot work.
        """
        return self.client

    async def aget_conn(self) -> AworkClient:
        """:meth:`get_conn` for code on an event loop, such as triggers."""
        return await in_thread(self.get_conn)

    def close(self) -> None:
        """Close the connections; requests that wait fail."""
        if "client" in self.__dict__:
            self.client.close()

    @cached_property
    def identity(self) -> Identity:
        """
        The key's user and what it may see, read once.

        :raises AworkAuthenticationError: the key is not valid.
        """
        return self.client.access.identity

    def warn_if_entries_are_hidden(self) -> None:
        """
        Log a warning, once per hook, if the key's user may not see other people's time entries.

        :raises AworkAuthenticationError: the key is not valid.
        """
        self._warn_of_hidden_entries(self.identity)

    def sees_all_rows(self, path: str) -> bool | None:
        """
        Return whether the key sees the whole list; log a warning, once per hook and list, if not.

        :param path: of the list, below the base URL.
        :return: None if awork does not report it, or if its document names no permission for this list.
        :raises AworkAuthenticationError: the key is not valid.
        """
        endpoint, identity = find_endpoint(path), self.identity
        if endpoint is None:
            return None
        if endpoint.has_time_entries:
            self._warn_of_hidden_entries(identity)
            return identity.sees_all_entries
        sees_all = endpoint.is_whole_for(identity.permissions)
        if sees_all is False:
            self._warn_once(
                endpoint.path,
                f"{identity.name} lacks the permission {endpoint.permission}: awork leaves out of {endpoint.path} what "
                "it may not see. Give it a role with that permission, or use an administrator's API key.",
            )
        return sees_all

    def _warn_of_hidden_entries(self, identity: Identity) -> None:
        if warning := identity.warn_of_hidden_entries("the result holds only its own"):
            self._warn_once(TIME_ENTRIES, warning)

    def _warn_once(self, about: str, warning: str) -> None:
        if about not in self._warned:
            self._warned.add(about)
            log.warning("%s", warning)

    def test_connection(self) -> tuple[bool, str]:
        """
        Read ``/me``: the connection form calls this for its Test button.

        Gives up within about ten seconds and after two tries.

        :return: whether it worked, and the workspace and identity or the reason.
        """
        try:
            with closing(self._new_client(is_impatient=True)) as client:
                identity = client.identity()
        except (AworkError, OSError) as error:
            return False, without_transient_id(str(error), self.awork_conn_id)
        own = "" if identity.sees_all_entries is not False else "; sees only its own time entries"
        return True, f"Connected to awork workspace {identity.workspace_name!r} as {identity.name}{own}"
