"""Scores a film with the model in this folder, with numpy, Pillow and onnxruntime alone.

    python example.py                 the golden film, which has to give its golden logits
    python example.py film.png ...    a film, or all films of one study or patient if config.json says that unit

Every step from file to probability is written out here as preprocessing.json tells it. Pictures are PNG, grey or colour, of
8 bits a channel, or grey of 16. Research use only. Not a medical device.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image

Array = np.ndarray[Any, Any]

FOLDER = Path(__file__).resolve().parent


def read_grey(path: Path) -> Array:
    """A PNG file as grey values [H, W], uint8 or uint16. Colour becomes luma (BT.601); transparency lies on black."""
    with Image.open(path) as picture:
        kind, mode, channels = picture.format, picture.mode, np.asarray(picture)
        colour_key = "transparency" in picture.info
    if kind != "PNG":
        raise SystemExit(f"{path}: this example reads PNG; export the film as PNG first")
    bits = path.read_bytes()[24]  # of a channel; Pillow shows 8 of whatever is in colour
    if bits == 16 and mode.startswith("I"):
        return channels.astype(np.uint16)
    if bits == 8 and mode == "L":
        return channels
    if bits != 8 or mode not in ("RGB", "RGBA") or colour_key:
        told = f"{bits} bits and mode {mode}{' with a colour key' if colour_key else ''}"
        raise SystemExit(f"{path}: a picture of {told}; export the film as grey PNG first")
    channels = channels.astype(np.int64)
    # Weights of BT.601 in units of 2^-15.
    grey = (9798 * channels[:, :, 0] + 19235 * channels[:, :, 1] + 3735 * channels[:, :, 2] + (1 << 14)) >> 15
    if mode == "RGBA":
        grey = np.rint(grey * (channels[:, :, 3] / 255))
    return grey.astype(np.uint8)


def area_weights(before: int, after: int) -> Array:
    """[after, before] weights of averaging areas: each new pixel covers before / after old ones, at its ends in part."""
    edges = np.arange(after + 1) * (before / after)
    pixels = np.arange(before)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.maximum(overlap, 0) * (after / before)


def neighbours(before: int, after: int, areas: bool) -> tuple[Array, Array, Array]:
    """Of each new pixel [after]: two old ones, and their weights in units of 1 / 2048.

    With `areas`, an old pixel keeps its value over its area, and only new pixels across its border mix two.
    """
    scale = before / after
    new = np.arange(after)
    if areas:
        first = np.floor(new * scale).astype(int)
        share = (new + 1) - (first + 1) / scale
        share = np.where(share <= 0, 0.0, share - np.floor(share))
    else:
        place = (new + 0.5) * scale - 0.5
        first = np.floor(place).astype(int)
        share = place - first
    share = np.where((first < 0) | (first >= before - 1), 0.0, share)
    first = np.clip(first, 0, before - 1)
    weights = np.rint(np.array([1 - share, share], dtype=np.float32) * 2048).astype(int)
    return first, np.minimum(first + 1, before - 1), weights


def interpolated(grey: Array, height: int, width: int, areas: bool) -> Array:
    """Grey values [height, width] between those of [H, W], in whole numbers: across first, then down."""
    left, right, weights = neighbours(grey.shape[1], width, areas)
    values = grey.astype(int)
    across = values[:, left] * weights[0] + values[:, right] * weights[1]
    upper, lower, weights = neighbours(grey.shape[0], height, areas)
    above = (across[upper] >> 4) * weights[0][:, None] >> 16
    below = (across[lower] >> 4) * weights[1][:, None] >> 16
    return ((above + below + 2) >> 2).astype(np.uint8)


def averaged(grey: Array, height: int, width: int) -> Array:
    """Grey values [height, width], not larger than [H, W]: means of areas, rounded; half of two by two is rounded up."""
    if grey.shape == (2 * height, 2 * width):
        four = grey.reshape(height, 2, width, 2).astype(int).sum(axis=(1, 3))
        return ((four + 2) >> 2).astype(grey.dtype)
    down, across = area_weights(grey.shape[0], height), area_weights(grey.shape[1], width)
    return np.rint(np.round(down @ grey.astype(float) @ across.T, 6)).astype(grey.dtype)


def resize(grey: Array, height: int, width: int, linear: bool = False) -> Array:
    """Grey values [H, W] as [height, width]: means of areas; what has to grow in any direction is interpolated."""
    if grey.shape == (height, width):
        return grey
    if linear or height > grey.shape[0] or width > grey.shape[1]:
        return interpolated(grey, height, width, areas=not linear)
    return averaged(grey, height, width)


def shrink(grey: Array, short_side: int) -> Array:
    """Reduced to `short_side` pixels on its short side, never enlarged; then 16 bits are stretched to 8."""
    height, width = grey.shape
    if min(height, width) > short_side:
        scale = short_side / min(height, width)
        grey = resize(grey, max(short_side, round(height * scale)), max(short_side, round(width * scale)))
    if grey.dtype == np.uint8:
        return grey
    low, high = float(grey.min()), float(grey.max())
    return np.rint((grey - low) * (255.0 / max(high - low, 1.0))).astype(np.uint8)


def square(grey: Array, size: int) -> Array:
    """The whole film in a square of `size` pixels, aspect kept, centred on black."""
    height, width = grey.shape
    if height == width == size:
        return grey
    scale = size / max(height, width)
    new_height, new_width = max(1, round(height * scale)), max(1, round(width * scale))
    step = 1
    while max(height, width) / size >= 2 * step and min(grey.shape) >= 2:
        # Halve first; an odd last row or column is left out.
        rows, columns = grey.shape[0] // 2, grey.shape[1] // 2
        grey = resize(grey[: 2 * rows, : 2 * columns], rows, columns)
        step *= 2
    grey = resize(grey, new_height, new_width, linear=scale >= 1)
    top, left = (size - new_height) // 2, (size - new_width) // 2
    view = np.zeros((size, size), np.uint8)
    view[top : top + new_height, left : left + new_width] = grey
    return view


def view_of(path: Path) -> Array:
    """What the model sees of a film, uint8 [size, size]."""
    steps = json.loads((FOLDER / "preprocessing.json").read_text())
    return square(shrink(read_grey(path), steps["stored_short_side"]), steps["size"])


def logits_of(views: list[Array]) -> Array:
    """Calibrated logits [N, T] of views [N, size, size]. Normalisation, members, their slopes and intercepts are in the file."""
    session = onnxruntime.InferenceSession(FOLDER / "model.onnx", providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["logits"], {"images": np.stack(views)[:, None]})[0])


def main(paths: list[str]) -> None:
    """Check the golden film, then score the named films."""
    config = json.loads((FOLDER / "config.json").read_text())
    golden = np.load(FOLDER / "golden.npz")["film_logits"]
    difference = np.abs(logits_of([view_of(FOLDER / "golden-film.png")])[0] - golden).max()
    print(f"golden film: logits differ by {difference:.1e} from those of the model's maker")
    if not difference <= 1e-3:
        raise SystemExit("do not use the model here")
    if not paths:
        return
    films = logits_of([view_of(Path(path)) for path in paths])
    print(config["use"])
    if config["unit"] == "Image":
        units = dict(zip(paths, films, strict=True))
    else:
        units = {f"the {config['unit'].lower()} of {len(paths)} films": films.mean(axis=0)}
    for unit, logits in units.items():
        for task, logit in zip(config["tasks"], logits, strict=True):
            probability = 1 / (1 + np.exp(-float(logit)))
            passed = [
                each["wanted_specificity"]
                for each in task["thresholds"]
                if probability >= each["probability"]
            ]
            note = "" if task["calibrated"] else ", not calibrated"
            print(
                f"{unit}  {task['name']}  probability {probability:.4f}{note}, positive at specificity {passed or 'none'}"
            )


if __name__ == "__main__":
    main(sys.argv[1:])
