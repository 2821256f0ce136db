"""Child processes with OpenGL: it binds to one platform for the whole life of a process."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import pytest

from rendering.gl_platform import _LIBRARIES, GlPlatform, _is_installed
from tests.unit.rendering.scenes import child_pool


@pytest.fixture(scope="module", params=["egl", "osmesa"])
def platform(request: pytest.FixtureRequest) -> GlPlatform:
    if not _is_installed(request.param):
        pytest.skip(f"{_LIBRARIES[request.param]} is not installed")
    return request.param


@pytest.fixture(scope="module")
def worker(platform: GlPlatform) -> Iterator[ProcessPoolExecutor]:
    with child_pool(LP_NUM_THREADS="1", PYOPENGL_PLATFORM=platform) as pool:
        yield pool
