"""The fetch budget of a whole cluster: one named actor that every worker asks."""

from __future__ import annotations

from typing import Any

from curation.fetching.budgets import Entry, PlatformBudgets, Rates

_NAME = "champ-fetch-budget"
_NAMESPACE = "champ"


class RayBudget:
    """Implements ``Budget``; found or made by whoever asks first, and shared by all jobs.

    The actor needs no CPU and outlives the job, so that a job started right after another one
    inherits its budget and its pauses; it ends with the cluster. Where its node is lost it starts
    anew, with empty books.
    """

    def __init__(self) -> None:
        self._actor: Any = None

    def start(self, platform: str, ticket: str, rates: Rates) -> Entry:
        """See ``Budget``."""
        return self._ask("start", platform, ticket, rates)

    def spend(self, platform: str, ticket: str, requests: int, received: int) -> float:
        """See ``Budget``."""
        return self._ask("spend", platform, ticket, requests, received)

    def finish(self, platform: str, ticket: str, result: str, retry_after: float) -> None:
        """See ``Budget``."""
        self._ask("finish", platform, ticket, result, retry_after)

    def _ask(self, method: str, *what: object) -> Any:
        import ray

        if self._actor is None:
            self._actor = (
                ray.remote(PlatformBudgets)
                .options(
                    name=_NAME,
                    namespace=_NAMESPACE,
                    lifetime="detached",
                    get_if_exists=True,
                    num_cpus=0,
                    max_restarts=-1,
                    max_task_retries=-1,
                )
                .remote()
            )
        return ray.get(getattr(self._actor, method).remote(*what))
