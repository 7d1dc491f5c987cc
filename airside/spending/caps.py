"""What caps a scope as the ledger spells it: the budget that somebody defined for it, or for each of its kind."""

from __future__ import annotations

from collections.abc import Mapping

from airside.spending.budgets import BudgetDefinition, StoredBudget
from airside.spending.ledger import Cap
from airside.spending.scopes import ANY, ScopeKind


def budget_of(
    budgets: Mapping[str, StoredBudget], kind: ScopeKind, name: str | None, window: str
) -> BudgetDefinition | None:
    """The budget of a scope in a kind of window: its own, else the one for each of its kind; None if there is neither.

    `name`: as people write it; None for a project.
    """
    for scope in [str(kind)] if name is None else [f"{kind}:{name}", f"{kind}:{ANY}"]:
        budget = budgets.get(scope if window == "total" else f"{scope}/{window}")
        if budget is not None:
            return budget.definition
    return None


def as_cap(definition: BudgetDefinition) -> Cap:
    """How much, and how often anew."""
    return Cap(definition.limit_nanousd, definition.window, definition.timezone)
