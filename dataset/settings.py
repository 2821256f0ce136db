"""The base of every configuration section; each package declares its own beside its code."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A validated, frozen configuration section; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
