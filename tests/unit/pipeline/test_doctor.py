"""The doctor looks at the real machine and has a remedy for all that is not there."""

from __future__ import annotations

import shutil

from pipeline.doctor import find_all


def test_every_question_has_an_answer_and_what_lacks_has_a_remedy():
    """All that a newcomer needs is looked for; the states are what this machine shows."""
    findings = {finding.what: finding for finding in find_all()}
    assert {
        "Python", "GPU", "GL through egl", "GL through osmesa", "FFmpeg", "C++ compiler",
        "Body model", "Champ's weights", "Pose models, sample videos", "ray", "deepspeed",
    } == set(findings)  # fmt: skip
    assert all(finding.remedy for finding in findings.values() if finding.state != "ok")
    for name in ("Python", "FFmpeg", "Body model", "ray", "deepspeed"):
        assert findings[name].state == "ok"
    compiler = findings["C++ compiler"]
    assert (compiler.state == "ok") == (shutil.which("g++") is not None)
