"""Claims about what of a URL is shown and stored."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.fetching.urls import has_secrets, texts_without_secrets, without_secrets


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://www.youtube.com/watch?v=abc&t=3", "https://www.youtube.com/watch?v=abc&t=3"),
        ("https://a.org/v.mp4?X-Amz-Signature=s&X-Amz-Credential=c&p=1", "https://a.org/v.mp4?p=1"),
        ("https://a.org/v.mp4?pkey=s&wsTime=1&sign=x&Expires=9", "https://a.org/v.mp4"),
        ("https://user:word@a.org:8080/v", "https://a.org:8080/v"),
        ("https://a.org/v#access_token=s", "https://a.org/v"),
        ("http://[::1/?token=s", "http://[::1/"),
        ("not a url", "not a url"),
        ("", ""),
    ],
)
def test_what_gives_access_is_left_out(url: str, shown: str) -> None:
    """Users, passwords and signatures go; what names the video stays."""
    assert without_secrets(url) == shown
    assert without_secrets(shown) == shown


def test_a_url_that_lost_something_is_told() -> None:
    """Only where something was taken away is the rest not enough."""
    assert has_secrets("https://a.org/?sig=1")
    assert has_secrets("https://u@a.org/")
    assert not has_secrets("https://a.org/?v=1#t=2")


def test_messages_are_cleaned() -> None:
    """Every address in a text, wherever it stands."""
    text = "got https://a.org/?sig=1&v=2 from 'http://u:p@b.org/x'"
    assert texts_without_secrets(text) == "got https://a.org/?v=2 from 'http://b.org/x'"


@given(st.text(max_size=60), st.text("abc", min_size=1, max_size=5))
@settings(deadline=None)
def test_no_text_breaks_it(text: str, value: str) -> None:
    """Anything may stand in a manifest."""
    without_secrets(text)
    has_secrets(text)
    assert "hush" not in without_secrets(f"https://{value}.org/?token=hush")
