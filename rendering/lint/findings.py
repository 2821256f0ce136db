"""What the linter says: a symptom in one frame, a finding over a clip, and the causes it knows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why something is off, as a person would say it, and what to do about it."""

    likely: str
    remedy: str
    severity: Severity = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Symptom:
    """What one check saw in one frame of a map; ``cause`` is a key of ``CAUSES``."""

    check: str
    map: str
    cause: str
    measured: str
    expected: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The same symptom in all the frames of a clip where it was seen.

    ``frames`` are the numbers of those frames, empty where the whole clip is meant; ``measured`` is
    of the first of them.
    """

    clip: str
    check: str
    map: str
    cause: str
    severity: Severity
    frames: tuple[int, ...]
    measured: str
    expected: str
    likely: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipReport:
    """One clip: which maps it has, how many frames were looked at, and what was found."""

    clip: str
    maps: tuple[str, ...]
    frames: int
    looked_at: int
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> int:
        """How many findings the weights would stumble over."""
        return sum(finding.severity == "error" for finding in self.findings)


_VAGUE = ("other_silhouette", "other_palette", "normal_other_axes", "skeleton_other_drawing")


def merge(clip: str, seen: Iterable[tuple[int | None, Symptom]]) -> tuple[Finding, ...]:
    """Findings of a clip, errors first; frame ``None`` is a symptom of the clip as a whole."""
    groups: dict[tuple[str, str, str], list[tuple[int | None, Symptom]]] = {}
    for frame, symptom in seen:
        groups.setdefault((symptom.check, symptom.map, symptom.cause), []).append((frame, symptom))
    findings = [_finding(clip, group) for group in groups.values()]
    kept = [finding for finding in findings if not _is_covered(finding, findings)]
    return tuple(sorted(kept, key=lambda finding: finding.severity != "error"))


def _is_covered(finding: Finding, all_findings: Iterable[Finding]) -> bool:
    """A vague finding in the frames that tell little of a fault that others name."""
    return finding.cause in _VAGUE and any(
        other.map == finding.map
        and other.cause not in _VAGUE
        and other.check.split(".")[0] == finding.check.split(".")[0]
        and len(other.frames) >= len(finding.frames)
        for other in all_findings
    )


def _finding(clip: str, group: Sequence[tuple[int | None, Symptom]]) -> Finding:
    first = group[0][1]
    why = CAUSES[first.cause]
    return Finding(
        clip=clip,
        check=first.check,
        map=first.map,
        cause=first.cause,
        severity=why.severity,
        frames=tuple(sorted({frame for frame, _ in group if frame is not None})),
        measured=first.measured,
        expected=first.expected,
        likely=why.likely,
        remedy=why.remedy,
    )


CAUSES: dict[str, Explanation] = {
    # files and frames
    "map_missing": Explanation(
        likely="the map was not drawn, or lies under another name",
        remedy="draw it: the network takes depth, normal, semantic_map and dwpose",
        severity="warning",
    ),
    "frames_missing": Explanation(
        likely="drawing or copying stopped early, or a frame was dropped",
        remedy="draw the missing frames; never shift the others into the gap",
    ),
    "damaged": Explanation(
        likely="the file is cut off or was changed after it was written",
        remedy="copy or draw it again",
    ),
    "too_large": Explanation(
        likely="the header promises more pixels than any frame has",
        remedy="do not open it elsewhere; take maps of at most 8192 pixels a side",
    ),
    "other_size": Explanation(
        likely="maps were drawn or resized for another frame size",
        remedy="draw every map at the size of the frame",
    ),
    "other_channels": Explanation(
        likely="grey and colour were confused, or a colour map was laid over grey values",
        remedy="depth and mask are grey; normal, semantic_map and dwpose are RGB",
    ),
    "bit_depth": Explanation(
        likely="written with 16 bits a channel",
        remedy="write 8 bits: grey level = floor(255 v + 0.5)",
    ),
    "alpha": Explanation(
        likely="the renderer kept its alpha channel (film transparent)",
        remedy="write RGB or grey; what is outside the body is 0",
        severity="warning",
    ),
    "nothing_drawn": Explanation(
        likely="the body is outside the picture, or drawing failed silently",
        remedy="look at the frames and the camera",
    ),
    # edges and background
    "background": Explanation(
        likely="the renderer's background was kept (white, middle grey or part 0's colour)",
        remedy="set every pixel outside the mask to 0",
    ),
    "lossy": Explanation(
        likely="lossy compression: JPEG, or H.264 with a quantiser or chroma subsampling",
        remedy="write PNG, or the dataset's lossless streams",
    ),
    "resampled": Explanation(
        likely="resized or anti-aliased: edges are mixed with the background",
        remedy="draw at the final size, one sample a pixel at its centre",
    ),
    # silhouettes
    "mask_inverted": Explanation(
        likely="the mask marks the background", remedy="body 255, background 0"
    ),
    "shifted": Explanation(
        likely="cropped or padded differently from the other maps, or another principal point",
        remedy="one crop and one camera for all maps of a frame",
    ),
    "dilated": Explanation(
        likely="the mask was dilated (a margin for matting), or drawn with thick edges",
        remedy="the mask is the body's silhouette, nothing more",
    ),
    "eroded": Explanation(
        likely="the mask was eroded, or drawn with a border taken off",
        remedy="the mask is the body's silhouette, nothing less",
    ),
    "other_silhouette": Explanation(
        likely="maps of another frame, another body (a person segmentation?) or another camera",
        remedy="draw all maps of a frame from one body with one camera",
    ),
    # depth
    "depth_inverted": Explanation(
        likely="distance was stored, not nearness", remedy="nearest 255, farthest 0: 1 - z"
    ),
    "depth_not_per_frame": Explanation(
        likely="normalised over the whole clip, or with fixed near and far planes",
        remedy="normalise each frame over its body: nearest 255, farthest 0",
    ),
    "depth_curve": Explanation(
        likely="an sRGB curve or a gamma was applied when the picture was saved",
        remedy="store depth linearly (Blender: view transform Raw)",
    ),
    # normals
    "normal_srgb_encoded": Explanation(
        likely="an sRGB curve was applied when the picture was saved",
        remedy="store normals linearly (Blender: view transform Raw): 0.5 + 0.5 n",
    ),
    "normal_srgb_decoded": Explanation(
        likely="the picture was taken for sRGB and converted to linear light",
        remedy="mark the normals as non-colour data: 0.5 + 0.5 n",
    ),
    "normal_not_unit": Explanation(
        likely="not 0.5 + 0.5 n of unit normals: another range, absolute values, or no normals",
        remedy="normalise per pixel and store 0.5 + 0.5 n",
    ),
    "normal_bgr": Explanation(
        likely="red and blue swapped: OpenCV writes BGR",
        remedy="convert with cv2.COLOR_RGB2BGR before cv2.imwrite",
    ),
    "normal_y_down": Explanation(
        likely="green points down: camera axes of OpenCV, or a DirectX normal map",
        remedy="negate y: G = 0.5 + 0.5 (up)",
    ),
    "normal_x_left": Explanation(
        likely="red points left: other axes, or the picture was mirrored",
        remedy="negate x; a mirrored sample is a mirrored body drawn again",
    ),
    "normal_z_away": Explanation(
        likely="blue points away from the camera: camera axes, or normals turned inwards",
        remedy="negate z: B = 0.5 + 0.5 (towards the camera)",
    ),
    "normal_other_axes": Explanation(
        likely="normals of the world or of the body, or axes in another order",
        remedy="rotate into the camera: R right, G up, B towards the camera",
    ),
    # semantic map
    "semantic_bgr": Explanation(
        likely="red and blue swapped: OpenCV writes BGR",
        remedy="convert with cv2.COLOR_RGB2BGR before cv2.imwrite",
    ),
    "semantic_linear": Explanation(
        likely="linear light was stored without the sRGB curve",
        remedy="encode as sRGB (Blender: view transform Standard)",
    ),
    "semantic_srgb_twice": Explanation(
        likely="the sRGB curve was applied twice",
        remedy="decode the part colours before rendering, encode once when saving",
    ),
    "densepose": Explanation(
        likely="a DensePose picture: other parts in other colours",
        remedy="draw the SMPL parts of the fitted body; DensePose cannot be recoloured into them",
    ),
    "part_numbering": Explanation(
        likely="VIRIDIS, but with other part numbers or another spacing",
        remedy="part p has the colour VIRIDIS[10 p]",
    ),
    "other_palette": Explanation(
        likely="colours of another body model's parts or of a segmentation network",
        remedy="use PART_COLOURS: VIRIDIS at 10 x part",
    ),
    # skeleton
    "skeleton_bgr": Explanation(
        likely="red and blue swapped: OpenCV writes BGR",
        remedy="convert with cv2.COLOR_RGB2BGR before cv2.imwrite",
    ),
    "skeleton_not_darkened": Explanation(
        likely="limbs in full colour: the canvas was not multiplied by 0.6",
        remedy="draw limbs, multiply by 0.6, then draw joints",
    ),
    "skeleton_line_width": Explanation(
        likely="drawn for another picture size, or with lines instead of filled ellipses",
        remedy="limbs are filled ellipses of half width 4 pixels at the frame's size",
    ),
    "skeleton_feet": Explanation(
        likely="feet were drawn (OpenPose BODY_25, or DWPose with its feet)",
        remedy="draw the 18 points and 17 limbs; feet are not drawn",
    ),
    "skeleton_other_drawing": Explanation(
        likely="not ControlNet's drawing of DWPose: BODY_25, MMPose or COCO colours",
        remedy="draw the 17 limbs in their rainbow colours (docs/conventions.md)",
    ),
    "skeleton_off_body": Explanation(
        likely="points of another frame, another crop, or another person",
        remedy="draw points and body with one camera and one crop",
    ),
}
"""Every cause the linter names."""
