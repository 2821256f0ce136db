"""The command line explains itself, and tells a caller's mistake in one line."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.config import load_config

COMMANDS = (
    "fetch", "curate", "select", "render", "encode", "train", "animate", "evaluate", "report",
    "demo", "doctor", "lint", "vacuum", "files", "export", "forget", "ledger",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_what_a_command_does_and_takes(command):
    """Every command has a help of more than its name and options."""
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    text = " ".join(result.output.split())
    assert f"Usage: champ {command}" in text
    assert len(text) > 200


def test_config_show_prints_a_configuration_that_loads_again(tmp_path):
    """What `champ config show` prints is YAML, and resolves to the same configuration."""
    shown = CliRunner().invoke(app, ["config", "show", "-c", "tiny", "--set", "train.seed=7"])
    path = tmp_path / "shown.yaml"
    path.write_text(shown.output)
    assert yaml.safe_load(shown.output)["train"]["seed"] == 7
    assert load_config(str(path)) == load_config("tiny", ["train.seed=7"])


def test_a_callers_mistake_is_one_line_and_exit_status_2(tmp_path):
    """No traceback: the message alone, on standard error."""
    command = [sys.executable, "-m", "pipeline.cli", "render", str(tmp_path / "none")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "champ curate" in done.stderr
    assert "Traceback" not in done.stderr


def test_vacuum_removes_what_no_commit_names(tmp_path):
    """A file that a killed job left goes; with the default age it would stay for a day."""
    orphan = tmp_path / "videos" / "left.parquet"
    orphan.parent.mkdir()
    orphan.write_bytes(b"half")
    assert CliRunner().invoke(app, ["vacuum", str(tmp_path)]).exit_code == 0
    assert orphan.exists()
    result = CliRunner().invoke(app, ["vacuum", str(tmp_path), "--hours", "0"])
    assert result.exit_code == 0
    assert not orphan.exists()
