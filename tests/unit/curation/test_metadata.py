"""Claims about what platforms say of their videos."""

from __future__ import annotations

import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from curation.fetching.metadata import PlatformMetadata, harmless_text, platform_metadata


def test_metadata_is_taken_over() -> None:
    """What an extractor found, under our names."""
    info = {
        "id": "BV1", "title": " A dance\n\x00here ", "uploader_id": 42, "upload_date": "20240229",
        "license": "CC BY", "duration": 12, "tags": ["one", "", "=two", 3, None],
    }  # fmt: skip
    assert platform_metadata(info) == PlatformMetadata(
        title="A dance here", uploader_id="42", upload_date="2024-02-29", platform_licence="CC BY",
        platform_duration_seconds=12.0, tags=["one", "'=two", "3"], video_id="BV1",
    )  # fmt: skip


def test_other_types_are_nothing() -> None:
    """A page may hold anything under these names; none of it breaks the row."""
    odd = {name: {"x": 1} for name in ("id", "title", "uploader_id", "upload_date", "license")}
    odd |= {"duration": float("nan"), "tags": "no list"}  # type: ignore[dict-item]
    assert platform_metadata(odd) == PlatformMetadata()
    assert platform_metadata({}) == PlatformMetadata()
    assert platform_metadata({"duration": True, "upload_date": "٢٠٢٤٠٢٢٩"}) == PlatformMetadata()


def test_long_lists_and_texts_are_cut() -> None:
    """At most 500 letters and 50 tags."""
    told = platform_metadata({"title": "x" * 10**6, "tags": ["t"] * 10**4})
    assert told.title is not None
    assert told.tags is not None
    assert (len(told.title), len(told.tags)) == (500, 50)


@given(st.text(max_size=700))
@settings(deadline=None)
def test_any_text_is_harmless(text: str) -> None:
    """No formula, nothing invisible that acts on a terminal or turns the text around, bounded."""
    shown = harmless_text(text)
    if shown is None:
        return
    assert not shown.startswith(("=", "+", "-", "@"))
    assert len(shown) <= 501
    assert not any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in shown)
    assert not set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u200b\ufeff") & set(shown)
    shown.encode()  # a table holds UTF-8
