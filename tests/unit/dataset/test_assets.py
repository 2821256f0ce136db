"""Assets are taken from wheels: whole, checked, once, and with their licence."""

from __future__ import annotations

import hashlib
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dataset import assets
from dataset.assets import ASSETS, Asset, AssetError, Wheel, asset_path

_NAME = "sample/leaf"
_FILENAME = "champ_sample_leaf-1.0-py3-none-any.whl"
_CONTENT = bytes(range(256)) * 64


@pytest.fixture
def wheel_folder(tmp_path: Path) -> Path:
    """A folder with one small wheel in it, as pip's `--find-links` takes it."""
    folder = tmp_path / "links"
    folder.mkdir()
    info = "champ_sample_leaf-1.0.dist-info"
    with zipfile.ZipFile(folder / _FILENAME, "w") as archive:
        archive.writestr("leaf/data.bin", _CONTENT)
        archive.writestr("leaf/other.bin", b"not listed")
        archive.writestr("../outside.bin", b"never written")
        archive.writestr(f"{info}/LICENSE", "as you like")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: champ-sample-leaf\nVersion: 1.0\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return folder


@pytest.fixture
def cache(tmp_path: Path, wheel_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, pip pointed at the folder alone, and the wheel among the known assets."""
    digest = hashlib.sha256((wheel_folder / _FILENAME).read_bytes()).hexdigest()
    _know(monkeypatch, digest)
    monkeypatch.setenv("CHAMP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel_folder))
    return tmp_path / "cache"


def _know(monkeypatch: pytest.MonkeyPatch, digest: str) -> None:
    wheel = Wheel(
        package="champ-sample-leaf",
        version="1.0",
        filename=_FILENAME,
        sha256=digest,
        licence="CC0-1.0",
        licence_member="champ_sample_leaf-1.0.dist-info/LICENSE",
        homepage="https://example.org",
    )
    monkeypatch.setitem(ASSETS, _NAME, Asset(name=_NAME, wheel=wheel, member="leaf/data.bin"))


def test_asset_comes_with_licence_and_source(cache: Path) -> None:
    """The member arrives byte for byte; beside it lie the licence and where it is from."""
    path = asset_path(_NAME)
    assert path.read_bytes() == _CONTENT
    assert (path.parent / "LICENSE.txt").read_text() == "as you like"
    source = json.loads((path.parent / "SOURCE.json").read_text())
    assert (source["package"], source["licence"]) == ("champ-sample-leaf", "CC0-1.0")
    assert path.is_relative_to(cache)


def test_nothing_unlisted_is_written(cache: Path) -> None:
    """Other members of the wheel, hostile names among them, leave no file anywhere."""
    folder = asset_path(_NAME).parent
    names = {path.name for path in folder.iterdir()}
    assert names == {"sample-leaf.bin", "LICENSE.txt", "SOURCE.json", ".lock"}
    assert not list(cache.parent.rglob("outside.bin"))


def test_second_use_needs_no_index(cache: Path, wheel_folder: Path) -> None:
    """Once taken, an asset is there without the index."""
    first = asset_path(_NAME)
    (wheel_folder / _FILENAME).unlink()
    assert asset_path(_NAME) == first
    assert cache.is_dir()


def test_other_digest_is_refused(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel with another digest is named in the error, and nothing of it is kept."""
    _know(monkeypatch, "0" * 64)
    with pytest.raises(AssetError, match="expected sha256 0000"):
        asset_path(_NAME)
    assert not list(cache.rglob("*.bin"))
    assert not list(cache.rglob("*.whl"))


@pytest.mark.usefixtures("cache")
def test_offline_says_where_to_put_the_wheel(wheel_folder: Path, tmp_path: Path) -> None:
    """Without an index the error names a folder; the wheel laid there is then used."""
    moved = (wheel_folder / _FILENAME).rename(tmp_path / _FILENAME)
    with pytest.raises(AssetError, match="package index") as caught:
        asset_path(_NAME)
    place = tmp_path / "cache" / "wheels"
    assert f"put {_FILENAME} into {place}" in str(caught.value)
    place.mkdir()
    moved.rename(place / _FILENAME)
    assert asset_path(_NAME).read_bytes() == _CONTENT


@pytest.mark.usefixtures("cache")
def test_several_at_once_take_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers at the same time all get the whole file, and only one of them fetches it."""
    taken = []
    take = assets._take

    def counting(wheel: Wheel, folder: Path) -> None:
        taken.append(wheel.package)
        take(wheel, folder)

    monkeypatch.setattr(assets, "_take", counting)
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(asset_path, [_NAME] * 4))
    assert {path.read_bytes() for path in paths} == {_CONTENT}
    assert taken == ["champ-sample-leaf"]


def test_unknown_name_is_the_callers_mistake() -> None:
    """A name that is not in the list raises ValueError with the names that are."""
    with pytest.raises(ValueError, match="mediapipe/pose_detection"):
        asset_path("mediapipe/nose_detection")


def test_file_names_do_not_clash() -> None:
    """No two assets of a wheel would be written to the same file."""
    places = [(asset.wheel.package, asset.filename) for asset in ASSETS.values()]
    assert len(set(places)) == len(places)


def test_published_wheel_holds_what_is_listed() -> None:
    """Every listed model is in the real wheel and is a TensorFlow Lite file."""
    try:
        paths = [asset_path(name) for name in ASSETS if name.startswith("mediapipe/")]
    except AssetError as error:
        pytest.skip(f"the package index is not there: {error}")
    assert all(path.read_bytes()[4:8] == b"TFL3" for path in paths)
