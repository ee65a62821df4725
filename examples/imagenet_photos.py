"""From a zip of photographs and an index to an ordinary image folder: one directory for each WordNet id.

python examples/imagenet_photos.py path/to/imagenet_photos photos
weatherglass evaluate ... --data imagefolder:photos
"""

import json
import sys
import zipfile
from pathlib import Path


def main(source: Path, target: Path) -> None:
    """Write every photograph of `source/photos.zip` to `target/<synset>/<file>`, as `source/index.json` says."""
    with zipfile.ZipFile(source / "photos.zip") as archive:
        for entry in json.loads((source / "index.json").read_text()):
            folder = target / entry["synset"]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / entry["file"]).write_bytes(archive.read(entry["file"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
