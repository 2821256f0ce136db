"""Settings of the fetch stage: what a source may be, and how each platform is treated."""

from __future__ import annotations

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from curation.fetching.budgets import Rates
from curation.fetching.turns import RetryRules
from dataset.settings import Settings

FETCH_VERSION = 2
"""Of the stage's code, a part of its recipe: other rows of the same settings, another version."""


class PlatformSettings(Settings):
    """What one platform bears from all workers together, and what is asked of it."""

    requests_per_minute: int = Field(
        default=20, ge=1, description="Requests of all workers, pages and media, in any minute"
    )
    bytes_per_minute: int = Field(
        default=600 << 20, ge=1 << 16, description="Bytes to all workers in any minute"
    )
    concurrency: int = Field(default=2, ge=1, description="Fetches at a time, of all workers")
    sleep_seconds: tuple[float, float] = Field(
        default=(1.0, 3.0), description="A worker waits between so long before each fetch"
    )
    pause_seconds: float = Field(
        default=60.0,
        gt=0,
        description="How long it is left alone when it blocks (429, 412, captcha); then doubled",
    )
    pause_cap_seconds: float = Field(
        default=3600.0, gt=0, description="Longest pause that it did not ask for itself"
    )
    cookies_file: Path | None = Field(
        default=None, description="Netscape cookie file; read, never written"
    )
    proxy: SecretStr | None = Field(
        default=None, description="http://[user:password@]host:port that requests go through"
    )
    max_height: int = Field(
        default=1080, gt=0, description="The best pictures up to this height, else the smallest"
    )
    format: str = Field(
        default="", description="yt-dlp's format selection in place of max_height; one file, no '+'"
    )

    @field_validator("sleep_seconds")
    @classmethod
    def _ordered(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= value[0] <= value[1]:
            raise ValueError(f"must be two times, the shorter first, got {value}")
        return value

    @field_validator("format")
    @classmethod
    def _one_file(cls, value: str) -> str:
        if "+" in value:
            raise ValueError("joins streams by '+', which is not done: sound is not used")
        return value

    @field_validator("proxy")
    @classmethod
    def _plain_proxy(cls, value: SecretStr | None) -> SecretStr | None:
        parts = urlsplit(value.get_secret_value()) if value else None
        if parts is not None and (parts.scheme != "http" or not parts.hostname):
            raise ValueError("must be http://[user:password@]host:port")
        return value

    @property
    def rates(self) -> Rates:
        """The part of it that the budget goes by."""
        return Rates(
            requests_per_minute=self.requests_per_minute,
            bytes_per_minute=self.bytes_per_minute,
            concurrency=self.concurrency,
            pause_seconds=self.pause_seconds,
            pause_cap_seconds=self.pause_cap_seconds,
        )


class PlatformsSettings(Settings):
    """One section a platform. The numbers are ours, and cautious: no platform publishes its own."""

    youtube: PlatformSettings = Field(
        default=PlatformSettings(requests_per_minute=15, sleep_seconds=(5.0, 10.0)),
        description="youtube.com, youtu.be",
    )
    tiktok: PlatformSettings = Field(
        default=PlatformSettings(), description="tiktok.com, douyin.com"
    )
    bilibili: PlatformSettings = Field(
        default=PlatformSettings(), description="bilibili.com, b23.tv"
    )
    xiaohongshu: PlatformSettings = Field(
        default=PlatformSettings(requests_per_minute=10),
        description="xiaohongshu.com, xhslink.com",
    )
    kuaishou: PlatformSettings = Field(
        default=PlatformSettings(requests_per_minute=60, concurrency=4),
        description="Rows of platform kuaishou: addresses of the videos themselves",
    )
    web: PlatformSettings = Field(
        default=PlatformSettings(
            requests_per_minute=600,
            bytes_per_minute=3 << 30,
            concurrency=4,
            sleep_seconds=(0.0, 0.0),
        ),
        description="Every other host, each with a budget of its own",
    )

    def of(self, budget_name: str) -> PlatformSettings:
        """The section behind a name of ``platform_names.budget_name``."""
        return self.web if budget_name.startswith("web/") else getattr(self, budget_name)


class FetchSettings(Settings):
    """What a source may be and cost before it is refused."""

    max_bytes: int = Field(default=2 << 30, gt=0, description="Largest file, in bytes")
    max_duration_seconds: float = Field(default=3600.0, gt=0, description="Longest video")
    min_side: int = Field(default=64, gt=0, description="Least pixels of the shorter side")
    max_side: int = Field(default=4096, gt=0, description="Most pixels of the longer side")
    max_fps: float = Field(default=240.0, gt=0, description="Most frames per second")
    timeout_seconds: float = Field(
        default=30.0, gt=0, description="A download without progress ends"
    )
    total_seconds: float = Field(default=1800.0, gt=0, description="A download of any speed ends")
    attempts: int = Field(
        default=3, ge=1, description="Tries of a fetch that failed in passing or was blocked"
    )
    retry_seconds: float = Field(
        default=2.0, ge=0, description="Most of the wait before the second try; then doubled"
    )
    retry_cap_seconds: float = Field(default=60.0, ge=0, description="Most of any such wait")
    patience_seconds: float = Field(
        default=120.0,
        ge=0,
        description="A worker waits so long for a paused platform; else the row is put off",
    )
    platforms: PlatformsSettings = Field(
        default=PlatformsSettings(), description="Budgets, cookies, proxies, formats"
    )
    deny_list: Path | None = Field(
        default=None,
        description="Text file: a source_id or a content SHA-256 a line that never comes in",
    )
    allow_addresses: tuple[str, ...] = Field(
        default=(),
        description='"address:port" that may be reached although not public, e.g. a cache',
    )
    allow_paths: tuple[str, ...] = Field(
        default=("/",),
        description="Folders, and prefixes like s3://bucket/videos, that a path may lead into",
    )

    @model_validator(mode="after")
    def _absolute_paths(self) -> Self:
        for place in self.allow_paths:
            if "://" not in place and not Path(place).is_absolute():
                raise ValueError(f"allow_paths has absolute folders and URL prefixes, got {place}")
        return self

    @property
    def retry_rules(self) -> RetryRules:
        """The part of it that retries go by."""
        return RetryRules(
            attempts=self.attempts,
            retry_seconds=self.retry_seconds,
            retry_cap_seconds=self.retry_cap_seconds,
            patience_seconds=self.patience_seconds,
        )


def deciding_settings(settings: FetchSettings) -> dict[str, object]:
    """The settings that decide what is fetched, for the recipe: no waiting times, no places."""
    limits = {"max_bytes", "max_duration_seconds", "min_side", "max_side", "max_fps"}
    platforms = {
        name: section.model_dump(mode="json", include={"max_height", "format"})
        for name, section in settings.platforms
    }
    return {**settings.model_dump(mode="json", include=limits), "platforms": platforms}
