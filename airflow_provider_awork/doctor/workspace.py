"""The workspace under examination: what the checks ask it for, each thing once."""

from __future__ import annotations

from functools import cached_property

from airflow_provider_awork.client.client import AworkClient
from airflow_provider_awork.client.identity import Identity
from airflow_provider_awork.client.me import read_identity
from airflow_provider_awork.doctor.literals import Literals, examine_literals
from airflow_provider_awork.doctor.samples import NotCheckedError, Samples


class Workspace:
    """
    A workspace, read through the connection as it is set.

    :param client: of the workspace.
    """

    def __init__(self, client: AworkClient) -> None:
        self.session = client.session
        self.base_url = client.config.base_url
        self.extras = client.config.extras
        self.behaviour = self.extras.behaviour
        self.samples = Samples(client.session)

    @cached_property
    def identity(self) -> Identity:
        """Who asks, and what it may see."""
        return read_identity(self.session)

    @property
    def known_identity(self) -> Identity | None:
        """The identity if awork told it."""
        return self.__dict__.get("identity")

    @cached_property
    def literals(self) -> Literals:
        """How literals are read."""
        _ = self.samples.first
        if self.samples.orderby is None:
            raise NotCheckedError("needs the order by createdOn")
        return examine_literals(self.session, zone=self.behaviour.literal_timezone)
