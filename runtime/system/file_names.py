"""Tell names of files from those of folders, by their suffixes."""

from __future__ import annotations

from pathlib import Path

from ..errors import UserError

# Of files that somebody might want to have written; folders are not named so.
_NAMES = """
    .png .apng .jpg .jpeg .jpe .jfif .tif .tiff .webp .bmp .dib .gif .heic .heif .hif .avif .jxl .jxr
    .jp2 .j2k .j2c .jpf .jpx .jls .exr .hdr .pfm .ppm .pgm .pbm .pnm .pam .tga .psd .psb .svg .ico .pdf
    .eps .dcm .fits .fit .npy .npz .mat .dng .cr2 .cr3 .nef .arw .orf .rw2 .raf .pef .srw .raw .mp4 .m4v
    .mov .qt .avi .mkv .mk3d .webm .mpg .mpeg .m2v .mts .m2ts .ts .wmv .asf .flv .f4v .3gp .3g2 .ogv
    .ogg .mxf .y4m .vob .dv .h264 .264 .h265 .265 .hevc .av1 .ivf .rm .rmvb .onnx .engine .plan .trt .pt
    .pth .ckpt .safetensors .json .jsonl .yaml .yml .html .txt .csv .log .zip .tar .gz .tgz
"""
_SUFFIXES = frozenset(_NAMES.split())


def names_a_file(path: Path) -> bool:
    """Return True if a name is that of a file, rather than of a folder to be made or that exists."""
    return path.suffix.lower() in _SUFFIXES and not path.is_dir()


def check_folder_name(folder: Path | None, option: str) -> None:
    """Raise UserError if a folder to be made is named like a file."""
    if folder is not None and names_a_file(folder):
        raise UserError(f"{folder} names a file; {option} takes a folder")
