"""How many workers a node has room for."""

from __future__ import annotations

import pytest

from pipeline.pool import workers_that_fit


@pytest.mark.parametrize(
    ("needs", "resources", "count"),
    [
        ({"CPU": 1.0, "GPU": 0.0}, {"CPU": 16.0}, 16),
        ({"CPU": 1.0, "GPU": 0.1}, {"CPU": 16.0, "GPU": 1.0}, 10),  # 1.0 // 0.1 is 9
        ({"CPU": 1.0, "GPU": 1.0}, {"CPU": 16.0}, 0),
        ({"CPU": 2.0, "download": 1.0}, {"CPU": 5.0, "download": 16.0}, 2),
        ({"CPU": 0.0, "GPU": 0.0}, {"CPU": 4.0}, 1),
    ],
)
def test_the_scarcest_resource_decides(needs, resources, count):
    """As many as the resource allows of which the node has least for their need."""
    assert workers_that_fit(needs, resources) == count
