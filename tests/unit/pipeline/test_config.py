"""The configuration is validated whole, and its errors say what was meant."""

from __future__ import annotations

import pytest
import yaml

from pipeline.config import Config, config_folder, load_config


@pytest.mark.parametrize("name", ["tiny", "official", "fetch", "champ_paper_mix"])
def test_the_named_configurations_are_valid(name):
    """Everything in configs/ loads."""
    assert isinstance(load_config(name), Config)


def test_a_folder_is_its_files_merged():
    """Each file of configs/tiny holds some sections; together they are one configuration."""
    merged = load_config("tiny")
    for path in sorted((config_folder() / "tiny").glob("*.yaml")):
        assert set(yaml.safe_load(path.read_text())) <= set(Config.model_fields)
    assert merged.encode.size == merged.animate.size == 64
    assert merged.network.cross_attention_dim == merged.models.image_encoder_sizes.projection_dim


def test_the_default_thresholds_are_told_with_their_sources():
    """configs/curate.yaml names every setting of the decisions, with its default."""
    tree = yaml.safe_load((config_folder() / "curate.yaml").read_text())
    assert load_config("curate") == Config()
    assert set(tree["select"]) == set(Config().select.model_dump())
    assert set(tree["duplicates"]) == set(Config().duplicates.model_dump())


@pytest.mark.parametrize("framing", ["full_body", "half_body", "close_up"])
def test_profiles_come_over_other_configurations(framing):
    """-c may be repeated: a profile changes the thresholds of a configuration and nothing else."""
    config = load_config(["tiny", f"profiles/{framing}"])
    assert config.select.framing == (framing,)
    assert config.model_copy(update={"select": load_config("tiny").select}) == load_config("tiny")


def test_overrides_come_last_and_keep_the_rest(tmp_path):
    """--set changes one value of a file and nothing beside it."""
    path = tmp_path / "mine.yaml"
    path.write_text("render: {max_side: 256, backend: cpu}\n")
    config = load_config(str(path), ["render.max_side=512", "animate.sample.steps=3"])
    assert (config.render.max_side, config.render.backend) == (512, "cpu")
    assert config.animate.sample.steps == 3


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("rendr.max_side=1", r"rendr: unknown key; did you mean 'render'"),
        ("render.max_sides=1", r"render\.max_sides: unknown key; did you mean 'max_side'"),
        ("animate.sample.step=1", r"animate\.sample\.step: unknown key; did you mean 'steps'"),
        ("render.max_side=tall", r"render\.max_side: .*integer.*, got 'tall'"),
        ("render.backend=vulkan", r"render\.backend: .*'auto', 'egl'.*got 'vulkan'"),
        ("render", r"--set takes section\.key=value, got 'render'"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_the_nearest_right_one(override, message):
    """The message names the key, what was expected and what came."""
    with pytest.raises(ValueError, match=message):
        load_config(None, [override])


def test_all_mistakes_are_told_at_once(tmp_path):
    """Validation is whole: two mistakes, two lines."""
    path = tmp_path / "bad.yaml"
    path.write_text("render: {max_sid: 1}\ncurate: {fps: -1}\n")
    with pytest.raises(ValueError, match=r"(?s)max_sid.*|curate\.fps") as error:
        load_config(str(path))
    assert "render.max_sid" in str(error.value)
    assert "curate.fps" in str(error.value)


def test_a_missing_or_broken_file_is_named(tmp_path):
    """No such configuration lists the names there are; bad YAML names its file."""
    with pytest.raises(ValueError, match=r"No configuration 'nothing'.*tiny"):
        load_config("nothing")
    path = tmp_path / "bad.yaml"
    path.write_text("render: [")
    with pytest.raises(ValueError, match=r"bad\.yaml is not valid YAML"):
        load_config(str(path))


def test_values_are_frozen():
    """A configuration cannot change under a running job."""
    with pytest.raises(ValueError, match="frozen"):
        load_config("tiny").render.max_side = 3  # type: ignore[misc]


def test_the_fetch_example_holds_the_defaults():
    """configs/fetch.yaml is there to be copied: it says what holds without it."""
    assert load_config("fetch") == load_config()
