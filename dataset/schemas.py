"""The columns of every table (docs/data-format.md explains them with examples)."""

from __future__ import annotations

import pyarrow as pa

_PROVENANCE = [
    pa.field("recipe", pa.string(), nullable=False),
    pa.field("created_at", pa.timestamp("us", tz="UTC"), nullable=False),
]


def _table(*fields: tuple[str, pa.DataType]) -> pa.Schema:
    """The key first, then the provenance: a log keeps bounds of the first 32 columns alone."""
    key, *others = [pa.field(name, kind) for name, kind in fields]
    return pa.schema([key, *_PROVENANCE, *others])


_FLOATS = pa.list_(pa.float32())
_INTS = pa.list_(pa.int32())

SCHEMAS: dict[str, pa.Schema] = {
    "sources": _table(
        ("source_id", pa.string()),
        ("url", pa.string()),
        ("path", pa.string()),
        ("platform", pa.string()),
        ("licence", pa.string()),
        ("consent", pa.string()),
        ("start_seconds", pa.float64()),
        ("end_seconds", pa.float64()),
        ("headers", pa.string()),  # JSON object
        ("labels", pa.string()),
        ("needs_manifest", pa.bool_()),  # its URL held a signature, which is not kept
    ),
    "videos": _table(
        ("source_id", pa.string()),
        ("path", pa.string()),
        ("content_sha256", pa.string()),
        ("size_bytes", pa.int64()),
        ("url", pa.string()),
        ("platform", pa.string()),
        ("licence", pa.string()),
        ("consent", pa.string()),
        ("start_seconds", pa.float64()),
        ("end_seconds", pa.float64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("fps", pa.float64()),
        ("frames", pa.int32()),
        ("duration_seconds", pa.float64()),
        ("codec", pa.string()),
        ("title", pa.string()),
        ("uploader_id", pa.string()),
        ("upload_date", pa.string()),  # YYYY-MM-DD
        ("platform_licence", pa.string()),
        ("platform_duration_seconds", pa.float64()),
        ("tags", pa.list_(pa.string())),
        ("video_id", pa.string()),  # the platform's own
        ("labels", pa.string()),  # JSON object of the manifest's label_* columns
        ("container", pa.string()),
        ("pixel_format", pa.string()),
        ("interlaced", pa.bool_()),
        ("hdr", pa.string()),  # "pq", "hlg" or empty
        ("alpha", pa.bool_()),
        ("variable_rate", pa.bool_()),
        ("has_audio", pa.bool_()),
        ("video_streams", pa.int32()),
    ),
    "clips": _table(
        ("clip_id", pa.string()),
        ("source_id", pa.string()),
        ("video_path", pa.string()),
        ("track", pa.int32()),
        ("start_seconds", pa.float64()),
        ("end_seconds", pa.float64()),
        ("fps", pa.float64()),
        ("frames", pa.int32()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("boxes", _FLOATS),
        ("filled_frames", _INTS),
        ("persons_mean", pa.float32()),
        ("persons_max", pa.int32()),
        ("second_person_share", pa.float32()),
        ("track_coverage", pa.float32()),
        ("person_share", pa.float32()),
        ("keypoint_confidence", pa.float32()),
        ("full_body_share", pa.float32()),
        ("sharpness", pa.float32()),
        ("motion", pa.float32()),
        ("source_fps", pa.float32()),
        ("brightness", pa.float32()),
        ("dark_share", pa.float32()),
        ("bright_share", pa.float32()),
        ("blockiness", pa.float32()),
        ("camera_motion", pa.float32()),
        ("static_camera_share", pa.float32()),
        ("flow_motion", pa.float32()),
        ("framing", pa.string()),
        ("upper_body_share", pa.float32()),
        ("face_visible_share", pa.float32()),
        ("hands_visible_share", pa.float32()),
        ("text_share", pa.float32()),
        ("overlay_share", pa.float32()),  # null: nothing changes behind it
        ("border_share", pa.float32()),
        ("repeated_share", pa.float32()),
        ("effective_fps", pa.float32()),
        ("slow_motion", pa.float32()),
        ("loop_seconds", pa.float32()),
        ("cartoon", pa.float32()),
        ("picture_motion", pa.float32()),
        ("indoor", pa.float32()),  # null: no network given
        ("aesthetic", pa.float32()),
        ("skipped_scores", pa.string()),
        ("frame_hashes", pa.binary()),
        ("frame_seconds", pa.list_(pa.float64())),
    ),
    "selection": _table(
        ("clip_id", pa.string()),
        ("source_id", pa.string()),
        ("curate_recipe", pa.string()),
        ("selected", pa.bool_()),
        ("reason", pa.string()),
    ),
    "duplicates": _table(
        ("clip_id", pa.string()),
        ("source_id", pa.string()),
        ("cluster_id", pa.string()),  # the clip that is kept
        ("place", pa.int32()),  # 0: the kept one, 1: the best of its copies, ...
        ("kept", pa.bool_()),
        ("kind", pa.string()),  # kept, exact, near or mirror
        ("distance", pa.float32()),  # mean bits to the kept one
    ),
    "guidance": _table(
        ("clip_id", pa.string()),
        ("source_id", pa.string()),
        ("fps", pa.float64()),
        ("frames", pa.int32()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("focal_length_px", pa.float64()),
        ("boxes", _FLOATS),
        ("betas", _FLOATS),
        ("global_orient", _FLOATS),
        ("body_pose", _FLOATS),
        ("transl", _FLOATS),
        ("reprojection_error_px", _FLOATS),
        ("keypoints", _FLOATS),
        ("silhouette_iou", pa.float32()),
        ("joint_acceleration", pa.float32()),
        ("rgb", pa.large_binary()),
        ("depth", pa.large_binary()),
        ("normal", pa.large_binary()),
        ("semantic_map", pa.large_binary()),
        ("dwpose", pa.large_binary()),
        ("mask", pa.large_binary()),
    ),
    "latents": _table(
        ("clip_id", pa.string()),
        ("guidance_recipe", pa.string()),
        ("frames", pa.int32()),
        ("size", pa.int32()),
        ("crop", _FLOATS),
        ("latents", pa.large_binary()),
        ("latents_shape", _INTS),
        ("image_embeds", pa.large_binary()),
        ("image_embeds_shape", _INTS),
        ("image_encoder_trained", pa.bool_()),
    ),
    "animations": _table(
        ("animation_id", pa.string()),
        ("reference", pa.string()),
        ("motion", pa.string()),
        ("start_frame", pa.int32()),
        ("frames", pa.int32()),
        ("frame_order", pa.string()),
        ("size", pa.int32()),
        ("crop", _FLOATS),  # null: the whole picture, stretched
        ("seed", pa.int64()),
        ("video_path", pa.string()),
        ("frames_path", pa.string()),
        ("checkpoint", pa.string()),
        ("alignment_iou", pa.float32()),  # null: no mask of the reference person
        ("seconds", pa.float64()),
        ("notes", pa.string()),
        ("width", pa.int32()),  # of the video
        ("height", pa.int32()),
    ),
    "metrics": _table(
        ("animation_id", pa.string()),
        ("animation_recipe", pa.string()),
        ("method", pa.string()),
        ("frames", pa.int32()),
        ("l1", pa.float64()),
        ("psnr", pa.float64()),
        ("ssim", pa.float64()),
        ("psnr_body", pa.float64()),
        ("motion_energy", pa.float64()),
    ),
    "outcomes": _table(
        ("key", pa.string()),
        ("job", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("message", pa.string()),
        ("attempts", pa.int32()),
        ("seconds", pa.float64()),
        ("versions", pa.string()),
    ),
    "denied": _table(
        ("digest", pa.string()),
        ("reason", pa.string()),
    ),
}

KEYS = {
    "sources": "source_id",
    "videos": "source_id",
    "clips": "clip_id",
    "selection": "clip_id",
    "duplicates": "clip_id",
    "guidance": "clip_id",
    "latents": "clip_id",
    "animations": "animation_id",
    "metrics": "animation_id",
    "outcomes": "key",
    "denied": "digest",
}
"""The column that, with ``recipe``, names a row (of ``metrics`` and ``outcomes``: several)."""

MEDIA_COLUMNS = (
    "rgb",
    "depth",
    "normal",
    "semantic_map",
    "dwpose",
    "mask",
    "latents",
    "image_embeds",
)
"""Already compressed or raw tensors: written without compression or statistics."""
