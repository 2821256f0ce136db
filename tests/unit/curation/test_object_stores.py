"""Claims about sources in object stores, against an S3 server on the loopback address."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import obstore
import pytest
from moto.server import ThreadedMotoServer
from obstore.store import S3Store

from curation.fetching.object_stores import copy_object, is_object
from dataset.errors import ItemError

BODY = bytes(range(256)) * 20_000
ALLOWED = ("s3://videos/in",)


@pytest.fixture(scope="module", autouse=True)
def _store() -> Iterator[None]:
    """A store with two objects, found through the environment as S3's own tools find theirs."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
        }.items():  # fmt: skip
            patch.setenv(name, value)
        S3Store("videos")  # the environment is read here
        import boto3

        client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
        client.create_bucket(Bucket="videos")
        for key in ("in/a b.mp4", "inside/b.mp4"):
            obstore.put(S3Store("videos"), key, BODY)
        yield
    server.stop()


def copy(url: str, target: Path, *, max_bytes: int = 10_000_000) -> str:
    """The hash of an object."""
    return copy_object(url, target, max_bytes=max_bytes, allow_paths=ALLOWED)


def test_an_object_arrives_whole(tmp_path: Path) -> None:
    """An object under an allowed prefix is copied and hashed."""
    assert copy("s3://videos/in/a b.mp4", tmp_path / "f") == hashlib.sha256(BODY).hexdigest()
    assert (tmp_path / "f").read_bytes() == BODY


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("s3://videos/in/gone.mp4", "fetch.missing_file"),
        ("s3://videos/inside/b.mp4", "fetch.path_not_allowed"),
        ("s3://others/in/a.mp4", "fetch.path_not_allowed"),
        ("s3://videos/in/../inside/b.mp4", "fetch.path_not_allowed"),
        ("gs://videos/in/a.mp4", "fetch.path_not_allowed"),
        ("file:///etc/passwd", "fetch.scheme"),
        ("memory:///a.mp4", "fetch.scheme"),
        ("https://videos/in/a.mp4", "fetch.scheme"),
        ("s3://videos/in/a.mp4?versionId=1", "fetch.scheme"),
        ("s3://videos", "fetch.scheme"),
    ],
)
def test_other_places_are_refused(tmp_path: Path, url: str, kind: str) -> None:
    """Only what lies under an allowed prefix is read with the operator's rights."""
    with pytest.raises(ItemError) as caught:
        copy(url, tmp_path / "f")
    assert caught.value.kind == kind


def test_the_size_limit_holds(tmp_path: Path) -> None:
    """An object over the limit is not read."""
    with pytest.raises(ItemError, match=r"fetch\.too_large"):
        copy("s3://videos/in/a b.mp4", tmp_path / "f", max_bytes=1000)
    assert not (tmp_path / "f").exists() or (tmp_path / "f").stat().st_size == 0


def test_without_a_setting_no_store_is_read(tmp_path: Path) -> None:
    """All local folders being allowed allows no bucket."""
    with pytest.raises(ItemError, match=r"fetch\.path_not_allowed"):
        copy_object("s3://videos/in/a b.mp4", tmp_path / "f", max_bytes=10, allow_paths=("/",))


@pytest.mark.parametrize(
    ("path", "expected"),
    [("s3://a/b", True), ("S3://a/b", True), ("/a/b", False), ("a:b", False), ("c:/x", False)],
)
def test_urls_are_told_from_files(path: str, expected: bool) -> None:
    """A scheme and two slashes make a URL."""
    assert is_object(path) == expected
