"""Everything a project is made of, in one place to pass around."""

from __future__ import annotations

from airside.access.keys import Keys
from airside.access.projects import Projects
from airside.agents.agents import Agents
from airside.clock import Clock
from airside.environments.environments import Environments
from airside.ids import Ids
from airside.spending.budgets import Budgets
from airside.storage import tables
from airside.storage.definitions import Definitions

UNKNOWN_PRICE_SETTING = "unknown_price"
RECORDING_SETTING = "recording"


class Stores:
    """Where each noun is kept."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self.projects = Projects(clock, ids)
        self.providers = Definitions(tables.providers, clock)
        self.models = Definitions(tables.models, clock)
        self.settings = Definitions(tables.settings, clock)
        self.environments = Environments(clock, ids)
        self.agents = Agents(clock, ids)
        self.budgets = Budgets(clock, ids)
        self.rate_limits = Definitions(tables.rate_limits, clock)
        self.keys = Keys(clock, ids)
