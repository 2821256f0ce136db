"""Claims about manifests: three formats, one meaning; bad rows told, good ones kept."""

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.fetching.sources import COLUMNS, Source, read_manifest

GOOD = {
    "source_id": "walk-01", "url": "https://example.org/walk.mp4", "path": "", "platform": "web",
    "licence": "CC0-1.0", "consent": "given", "start_seconds": "1.5", "end_seconds": "",
}  # fmt: skip


def write_csv(path: Path, rows: list[dict[str, str]]) -> Path:
    """A CSV manifest with the columns of its first row."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def reason_of(tmp_path: Path, **changes: str) -> str:
    """Why a row with these changes is refused."""
    sources, bad = read_manifest(write_csv(tmp_path / "m.csv", [{**GOOD, **changes}]))
    assert sources == []
    return bad[0].reason


def test_the_formats_mean_the_same(tmp_path: Path) -> None:
    """CSV, JSON Lines and Parquet with the same rows give the same sources."""
    typed = {**GOOD, "path": None, "start_seconds": 1.5, "end_seconds": None}
    (tmp_path / "m.jsonl").write_text(json.dumps(typed) + "\n\n", encoding="utf-8")
    pq.write_table(pa.Table.from_pylist([typed]), tmp_path / "m.parquet")
    write_csv(tmp_path / "m.csv", [GOOD])
    expected = Source(
        source_id="walk-01", url="https://example.org/walk.mp4", platform="web",
        licence="CC0-1.0", consent="given", start_seconds=1.5,
    )  # fmt: skip
    for name in ("m.csv", "m.jsonl", "m.parquet"):
        assert read_manifest(tmp_path / name) == ([expected], []), name


def test_paths_are_taken_from_the_manifests_folder(tmp_path: Path) -> None:
    """A relative path does not depend on where the program is started."""
    rows = [{**GOOD, "url": "", "path": "videos/a.mp4"}]
    sources, _ = read_manifest(write_csv(tmp_path / "m.csv", rows))
    assert sources[0].path == str(tmp_path / "videos" / "a.mp4")
    assert sources[0].as_item()["url"] is None


@pytest.mark.parametrize("missing", ["source_id", "platform", "licence", "consent"])
def test_missing_columns_are_named(tmp_path: Path, missing: str) -> None:
    """A manifest without a column is refused whole, by file and column."""
    row = {name: value for name, value in GOOD.items() if name != missing}
    with pytest.raises(ValueError, match=rf"m\.csv: column '{missing}' is missing"):
        read_manifest(write_csv(tmp_path / "m.csv", [row]))


def test_a_place_is_needed(tmp_path: Path) -> None:
    """A manifest has a url column, a path column or both."""
    row = {name: value for name, value in GOOD.items() if name not in ("url", "path")}
    with pytest.raises(ValueError, match="'url' or 'path' is missing"):
        read_manifest(write_csv(tmp_path / "m.csv", [row]))


@pytest.mark.parametrize(
    ("wrong", "right"), [("license", "licence"), ("URL", "url"), ("sourceid", "source_id")]
)
def test_unknown_columns_get_the_nearest_name(tmp_path: Path, wrong: str, right: str) -> None:
    """A misspelt column is refused with the name that was probably meant."""
    row = {wrong if name == right else name: value for name, value in GOOD.items()}
    with pytest.raises(
        ValueError, match=rf"m\.csv: unknown column '{wrong}', did you mean '{right}'"
    ):
        read_manifest(write_csv(tmp_path / "m.csv", [row]))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"source_id": ""}, "manifest.source_id"),
        ({"source_id": "../../etc/passwd"}, "manifest.source_id"),
        ({"source_id": ".."}, "manifest.source_id"),
        ({"source_id": "a b"}, "manifest.source_id"),
        ({"source_id": "=cmd|'/c calc'!A1"}, "manifest.source_id"),
        ({"source_id": "x" * 129}, "manifest.source_id"),
        ({"source_id": "vidéo"}, "manifest.source_id"),
        ({"url": ""}, "manifest.place"),
        ({"path": "a.mp4"}, "manifest.place"),
        ({"url": "https://example.org/" + "x" * 5000}, "manifest.url"),
        ({"url": "https://example.org/\x1b[2J"}, "manifest.url"),
        ({"licence": ""}, "manifest.licence"),
        ({"consent": " "}, "manifest.consent"),
        ({"start_seconds": "soon"}, "manifest.span"),
        ({"start_seconds": "-1"}, "manifest.span"),
        ({"start_seconds": "nan"}, "manifest.span"),
        ({"end_seconds": "inf"}, "manifest.span"),
        ({"end_seconds": "1.5"}, "manifest.span"),
        ({"platform": "=1+1"}, "manifest.platform"),
        ({"platform": "../x"}, "manifest.platform"),
        ({"licence": "x" * 501}, "manifest.licence"),
        ({"headers": "no json"}, "manifest.headers"),
        ({"headers": '["Referer"]'}, "manifest.headers"),
        ({"headers": '{"Cookie": "id=1"}'}, "manifest.headers"),
        ({"headers": '{"authorization": "Bearer x"}'}, "manifest.headers"),
        ({"headers": '{"Host": "inner"}'}, "manifest.headers"),
        ({"headers": '{"Range": "bytes=0-1"}'}, "manifest.headers"),
        ({"headers": '{"Referer": 7}'}, "manifest.headers"),
        ({"headers": '{"Referer": "a\\r\\nCookie: x"}'}, "manifest.headers"),
        ({"label_mood": "x" * 300}, "manifest.label"),
    ],
)
def test_bad_rows_have_a_reason(tmp_path: Path, changes: dict[str, str], reason: str) -> None:
    """A row that cannot be used is told with a reason that can be counted."""
    assert reason_of(tmp_path, **changes) == reason


def test_good_rows_survive_bad_ones(tmp_path: Path) -> None:
    """Bad rows do not stop the others; each has a key of its own that is safe to store."""
    rows = [
        GOOD, {**GOOD, "source_id": "../x"}, {**GOOD, "source_id": "b", "licence": ""},
        GOOD, {**GOOD, "source_id": "c"},
    ]  # fmt: skip
    sources, bad = read_manifest(write_csv(tmp_path / "m.csv", rows))
    assert [source.source_id for source in sources] == ["walk-01", "c"]
    assert [(row.source_id, row.reason) for row in bad] == [
        ("row-2", "manifest.source_id"), ("b", "manifest.licence"), ("row-4", "manifest.duplicate"),
    ]  # fmt: skip
    assert bad[0].message.startswith("row 2: ")


def test_damaged_lines_are_bad_rows(tmp_path: Path) -> None:
    """A CSV row of another length or of megabytes, or a line not JSON, costs only itself."""
    path = write_csv(tmp_path / "m.csv", [GOOD])
    with path.open("a", encoding="utf-8") as file:
        file.write("too,few\n" + "x" * 200_000 + "\n")
        file.write(",".join(["last", *list(GOOD.values())[1:]]) + "\n")
    sources, bad = read_manifest(path)
    assert [source.source_id for source in sources] == ["walk-01", "last"]
    assert [row.reason for row in bad] == ["manifest.cells", "manifest.unreadable"]
    lines = [json.dumps({**GOOD, "start_seconds": 1}), "{not json", "[1]", "[" * 100_000]
    (tmp_path / "m.jsonl").write_text("\n".join(lines), encoding="utf-8")
    sources, bad = read_manifest(tmp_path / "m.jsonl")
    assert len(sources) == 1
    assert [row.reason for row in bad] == ["manifest.json"] * 3


def test_headers_and_labels_come_along(tmp_path: Path) -> None:
    """Harmless headers, as text or as an object, and whatever label_* columns there are."""
    headers = {"Referer": "https://www.kuaishou.com/", "User-Agent": "x"}
    row = {**GOOD, "headers": json.dumps(headers), "label_dance_form": "=ballet", "label_age": ""}
    (source,), _ = read_manifest(write_csv(tmp_path / "m.csv", [row]))
    assert json.loads(source.headers) == headers
    assert json.loads(source.labels) == {"label_dance_form": "'=ballet"}
    typed = {**row, "headers": headers, "label_age": 30}
    (tmp_path / "m.jsonl").write_text(json.dumps(typed), encoding="utf-8")
    (source,), _ = read_manifest(tmp_path / "m.jsonl")
    assert json.loads(source.headers) == headers
    assert json.loads(source.labels)["label_age"] == "30"
    plain, _ = read_manifest(write_csv(tmp_path / "m.csv", [GOOD]))
    assert (plain[0].headers, plain[0].labels) == ("{}", "{}")


def test_a_refused_cookie_names_the_remedy(tmp_path: Path) -> None:
    """And does not repeat the secret."""
    row = {**GOOD, "headers": '{"Cookie": "id=hush"}'}
    _, bad = read_manifest(write_csv(tmp_path / "m.csv", [row]))
    assert "cookies_file" in bad[0].message
    assert "hush" not in bad[0].message


def test_formulas_in_rights_are_harmless(tmp_path: Path) -> None:
    """A cell that a spreadsheet would compute is kept as text."""
    rows = [{**GOOD, "licence": "=1+1", "consent": "@x"}]
    (source,), _ = read_manifest(write_csv(tmp_path / "m.csv", rows))
    assert (source.licence, source.consent) == ("'=1+1", "'@x")


def test_objects_of_stores_are_kept_as_they_are(tmp_path: Path) -> None:
    """A path that is a URL is none of the manifest's folder."""
    rows = [{**GOOD, "url": "", "path": "s3://bucket/videos/a.mp4"}]
    (source,), _ = read_manifest(write_csv(tmp_path / "m.csv", rows))
    assert source.path == "s3://bucket/videos/a.mp4"


def test_a_folder_is_a_manifest_of_its_videos(tmp_path: Path) -> None:
    """Every video in it, also of one name, has an id; nothing is said of its rights."""
    for name in ("a.mp4", "sub/a.MP4", "sub/-x y.mov", "notes.txt", "sub/映画.webm"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    sources, bad = read_manifest(tmp_path)
    assert bad == []
    assert [Path(str(s.path)).name for s in sources] == ["a.mp4", "-x y.mov", "a.MP4", "映画.webm"]
    assert len({s.source_id for s in sources}) == 4
    assert sources[0].source_id.startswith("a-")
    assert {(s.platform, s.licence) for s in sources} == {("local", "unknown")}
    assert [s.source_id for s in read_manifest(tmp_path)[0]] == [s.source_id for s in sources]


def test_values_of_another_type_are_bad_rows(tmp_path: Path) -> None:
    """A number or a list where text belongs is told, not turned into text."""
    rows = [{**GOOD, "source_id": 7}, {**GOOD, "licence": ["CC0"]}]
    rows.append({**GOOD, "source_id": "c", "end_seconds": True})
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    _, bad = read_manifest(tmp_path / "m.jsonl")
    assert [row.reason for row in bad] == [
        "manifest.source_id", "manifest.licence", "manifest.span",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content"),
    [("m.txt", b"x"), ("m.csv", b"\xff\xfe\x00"), ("m.parquet", b"PAR1 no"), ("m.csv", b"")],
)
def test_unreadable_manifests_are_named(tmp_path: Path, name: str, content: bytes) -> None:
    """A file that is no manifest is refused by its name."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=name.replace(".", r"\.")):
        read_manifest(tmp_path / name)


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    """A manifest that is not there is the caller's mistake."""
    with pytest.raises(ValueError, match=r"no manifest .*nowhere\.csv"):
        read_manifest(tmp_path / "nowhere.csv")


@given(st.lists(st.fixed_dictionaries({name: st.text(max_size=8) for name in COLUMNS}), max_size=5))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_every_row_is_accounted_for(tmp_path: Path, rows: list[dict[str, str]]) -> None:
    """Whatever the cells hold, every row is a source or a bad row, and no two share a key."""
    lines = [json.dumps(GOOD), *map(json.dumps, rows)]
    (tmp_path / "any.jsonl").write_text("\n".join(lines), encoding="utf-8")
    sources, bad = read_manifest(tmp_path / "any.jsonl")
    keys = [row.source_id for row in (*sources, *bad)]
    assert len(keys) == len(set(keys)) == len(rows) + 1
