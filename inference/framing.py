"""What of the reference picture the network sees: a square around the person, or all of it.

The picture, every map and the frames that come back go through the same framing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from diffusers.image_processor import VaeImageProcessor
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from dataset.crop import Crop, crop_frames
from training.champ.autoencoder import pixels_to_frames


class Framing(Protocol):
    """From a reference picture and maps of some size to the network's square, and back."""

    @property
    def crop(self) -> Crop | None:
        """The square of the reference picture that is shown; None for the whole picture."""
        ...

    @property
    def width(self) -> int:
        """Of the frames that come back, in pixels."""
        ...

    @property
    def height(self) -> int:
        """Of the frames that come back, in pixels."""
        ...

    def reference(
        self, picture: UInt8[np.ndarray, "height width 3"]
    ) -> UInt8[np.ndarray, "1 size size 3"]:
        """The reference picture for the autoencoder."""
        ...

    def seen(
        self, picture: UInt8[np.ndarray, "height width 3"]
    ) -> UInt8[np.ndarray, "1 rows columns 3"]:
        """The reference picture for the image encoder, which squeezes it to its own square."""
        ...

    def maps(
        self, frames: UInt8[np.ndarray, "frames height width channels"]
    ) -> UInt8[np.ndarray, "frames size size channels"]:
        """Frames of a map; background is black."""
        ...

    def frames(
        self, pixels: Float[Tensor, "frames 3 size size"]
    ) -> Iterator[UInt8[np.ndarray, "rows columns 3"]]:
        """Decoded pictures in [0, 1] as frames of the video, one at a time."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonFraming:
    """The square around the person (``dataset.crop``), scaled to ``size`` x ``size``."""

    crop: Crop
    size: int

    @property
    def width(self) -> int:
        return self.size

    @property
    def height(self) -> int:
        return self.size

    def reference(
        self, picture: UInt8[np.ndarray, "height width 3"]
    ) -> UInt8[np.ndarray, "1 size size 3"]:
        return crop_frames(picture[None], self.crop, self.size)

    def seen(
        self, picture: UInt8[np.ndarray, "height width 3"]
    ) -> UInt8[np.ndarray, "1 size size 3"]:
        return self.reference(picture)

    def maps(
        self, frames: UInt8[np.ndarray, "frames height width channels"]
    ) -> UInt8[np.ndarray, "frames size size channels"]:
        return crop_frames(frames, self.crop, self.size, fill_black=True)

    def frames(
        self, pixels: Float[Tensor, "frames 3 size size"]
    ) -> Iterator[UInt8[np.ndarray, "size size 3"]]:
        yield from pixels_to_frames(pixels)


@dataclass(frozen=True, slots=True, kw_only=True)
class StretchedFraming:
    """The whole picture squeezed to ``size`` x ``size`` and the result stretched back.

    Filters are those of the official script: Lanczos for the picture (diffusers' image processor),
    bicubic for maps and for the image encoder, bilinear back to ``width`` x ``height``.
    """

    size: int
    width: int
    height: int

    @property
    def crop(self) -> None:
        return None

    def reference(
        self, picture: UInt8[np.ndarray, "height width 3"]
    ) -> UInt8[np.ndarray, "1 size size 3"]:
        squeezed = VaeImageProcessor().resize(Image.fromarray(picture), self.size, self.size)
        return np.array(squeezed)[None]  # a copy: torch wants it writable

    def seen(
        self, picture: UInt8[np.ndarray, "height width 3"]
    ) -> UInt8[np.ndarray, "1 height width 3"]:
        return picture[None]

    def maps(
        self, frames: UInt8[np.ndarray, "frames height width channels"]
    ) -> UInt8[np.ndarray, "frames size size channels"]:
        return np.stack([_squeezed(frame, self.size) for frame in frames])

    def frames(
        self, pixels: Float[Tensor, "frames 3 size size"]
    ) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
        for picture in pixels.split(1):  # at full size one frame may be large
            size = (self.height, self.width)
            back = interpolate(picture, size=size, mode="bilinear", align_corners=False)
            yield pixels_to_frames(back)[0]


def as_shown(
    frames: UInt8[np.ndarray, "frames height width channels"],
    row: Mapping[str, Any],
    *,
    fill_black: bool = False,
) -> UInt8[np.ndarray, "frames rows columns channels"]:
    """A clip's frames as an animation of the clip's own person shows them.

    Args:
        frames: Of the clip, as its streams have them.
        row: ``crop`` and ``size`` of the ``animations`` table; no crop: stretched back to the
            clip's own size.
        fill_black: For maps: black beside the picture, not its edge repeated.
    """
    if row["crop"] is None:
        return frames
    crop = Crop.from_list(row["crop"])
    return crop_frames(frames, crop, int(row["size"]), fill_black=fill_black)


def _squeezed(
    frame: UInt8[np.ndarray, "height width channels"], size: int
) -> UInt8[np.ndarray, "size size channels"]:
    grey = frame.shape[2] == 1
    picture = Image.fromarray(frame[..., 0] if grey else frame)
    squeezed = np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC))
    return squeezed[..., None] if grey else squeezed
