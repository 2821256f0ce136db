"""The VAE and the image encoder that lie with a network: its checkpoint's or an official tree's."""

from __future__ import annotations

from pathlib import Path

from training.champ.autoencoder import Autoencoder
from training.champ.image_encoder import ImageEncoder
from training.champ.library_folders import stored_dtype
from training.champ.weight_files import Told

VAE_FOLDERS = ("vae", "sd-vae-ft-mse")
IMAGE_ENCODER_FOLDER = "image_encoder"


def companions(folder: Path) -> tuple[Path | None, Path | None]:
    """The folders of the VAE and of the image encoder inside a folder, None where there is none."""
    vae = next((folder / name for name in VAE_FOLDERS if _is_model(folder / name)), None)
    image_encoder = folder / IMAGE_ENCODER_FOLDER
    return vae, image_encoder if _is_model(image_encoder) else None


def save_companions(
    vae: Path | None,
    image_encoder: Path | None,
    out: Path,
    *,
    vae_name: str = VAE_FOLDERS[0],
    told: Told | None = None,
) -> None:
    """Write both, where there are such, into a folder as safetensors, in the types they have.

    Raises:
        ValueError: A folder's weights are damaged, not all there, or other things than tensors.
    """
    if vae:
        autoencoder = Autoencoder.load(vae).to("cpu", stored_dtype(vae, "autoencoder"))
        autoencoder.save(out / vae_name)
        _tell(out / vae_name, told)
    if image_encoder:
        dtype = stored_dtype(image_encoder, "image encoder")
        ImageEncoder.load(image_encoder).to("cpu", dtype).save(out / IMAGE_ENCODER_FOLDER)
        _tell(out / IMAGE_ENCODER_FOLDER, told)


def bytes_below(folder: Path | None) -> int:
    """Sizes of a model folder's files; 0 for none."""
    files = folder.iterdir() if folder else ()
    return sum(path.stat().st_size for path in files if path.is_file())


def _tell(folder: Path, told: Told | None) -> None:
    if told:
        told(f"wrote {folder.name}", bytes_below(folder))


def _is_model(folder: Path) -> bool:
    return (folder / "config.json").is_file()
