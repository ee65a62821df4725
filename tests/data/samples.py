"""Small data sets of every kind, written where a test can read them."""

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as arrow
import pyarrow.parquet as parquet
import torch
from PIL import Image

from weatherglass.types import Images, Logits, Predictor

PER_CLASS = 4


@dataclass
class Outputs(Predictor):
    """A model of which only the outputs matter."""

    classes: int
    class_names: tuple[str, ...] | None = None
    name: str = "a model"

    def __call__(self, images: Images) -> Logits:
        return torch.zeros(len(images), self.classes)


def picture(seed: int, height: int = 20, width: int = 24) -> np.ndarray:
    """A random picture, different for every seed."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def write_folder(root: Path, classes: tuple[str, ...], ending: str = ".png", start: int = 0) -> Path:
    """PER_CLASS pictures for each class."""
    for label, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for number in range(PER_CLASS):
            Image.fromarray(picture(start + label * 100 + number)).save(root / name / f"{number}{ending}")
    return root


def write_imagefolder(root: Path) -> str:
    return f"imagefolder:{write_folder(root, ('cat', 'dog'))}"


def write_imagenet(root: Path) -> str:
    return f"imagenet:{write_folder(root, ('n01440764', 'n01443537', 'n15075141'), '.JPEG')}"


def write_imagenet_flat(root: Path) -> str:
    (root / "val").mkdir()
    for number in range(8):
        Image.fromarray(picture(number)).save(root / "val" / f"ILSVRC2012_val_0000000{number + 1}.JPEG")
    lines = [f"ILSVRC2012_val_0000000{number + 1}.JPEG {number * 100}" for number in range(8)]
    (root / "val.txt").write_text("\n".join(lines) + "\n")
    return f"imagenet:{root / 'val'}"


def write_imagenet_v2(root: Path) -> str:
    return f"imagenet-v2:{write_folder(root, ('0', '2', '10'))}"


def write_imagenet_real(root: Path) -> str:
    for number in range(5):
        Image.fromarray(picture(number)).save(root / f"ILSVRC2012_val_0000000{number + 1}.JPEG")
    (root / "real.json").write_text(json.dumps([[3, 7], [], [900], [7], [1, 2, 3]]))
    return f"imagenet-real:{root}"


def write_objectnet(root: Path) -> str:
    write_folder(root / "images", ("alarm_clock", "banana"))
    tables = {
        "folder_to_objectnet_label.json": {"alarm_clock": "Alarm clock", "banana": "Banana"},
        "objectnet_to_imagenet_1k.json": {"Alarm clock": "analog clock; digital clock", "Banana": "banana"},
        "pytorch_to_imagenet_2012_id.json": {"409": 2, "530": 0, "954": 1},
    }
    (root / "mappings").mkdir()
    for file, table in tables.items():
        (root / "mappings" / file).write_text(json.dumps(table))
    (root / "mappings" / "imagenet_to_label_2012_v2").write_text("digital clock\nbanana\nanalog clock\n")
    return f"objectnet:{root}"


def write_cue_conflict(root: Path) -> str:
    write_folder(root, ("cat", "dog"))
    for number, path in enumerate(sorted(root.rglob("*.*"))):
        path.rename(path.with_name(f"{path.parent.name}{number}{path.suffix}"))
    return f"cue-conflict:{root}"


def write_cifar10(root: Path) -> str:
    generator = np.random.default_rng(0)
    for name in [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]:
        batch = {
            b"data": generator.integers(0, 256, (8, 3072), dtype=np.uint8),
            b"labels": [index % 10 for index in range(8)],
        }
        (root / name).write_bytes(pickle.dumps(batch, protocol=2))
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    (root / "batches.meta").write_bytes(pickle.dumps({b"label_names": [name.encode() for name in names]}, protocol=2))
    return f"cifar10:{root}"


def write_cifar10_pictures(root: Path) -> str:
    write_folder(root / "test", ("airplane", "frog", "truck"))
    return f"cifar10:{root}"


def write_cifar100(root: Path) -> str:
    generator = np.random.default_rng(0)
    for name in ("train", "test"):
        batch = {
            b"data": generator.integers(0, 256, (8, 3072), dtype=np.uint8),
            b"fine_labels": [index * 3 for index in range(8)],
            b"coarse_labels": [0] * 8,
        }
        (root / name).write_bytes(pickle.dumps(batch, protocol=2))
    names = [f"thing{index:02d}".encode() for index in range(100)]
    (root / "meta").write_bytes(pickle.dumps({b"fine_label_names": names}, protocol=2))
    return f"cifar100:{root}"


def write_cifar10_1(root: Path) -> str:
    np.save(root / "cifar10.1_v6_data.npy", np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8))
    np.save(root / "cifar10.1_v6_labels.npy", np.arange(8, dtype=np.int32))
    return f"cifar10.1:{root}"


def write_imagenet_c(root: Path) -> str:
    for name in ("fog", "snow"):
        for severity in (1, 3):
            write_folder(root / name / str(severity), ("cat", "dog"), start=severity * 1000)
    write_folder(root / "clean", ("cat", "dog"))
    return f"imagenet-c:{root}"


def write_cifar10_c(root: Path) -> str:
    generator = np.random.default_rng(0)
    for name in ("fog", "gaussian_noise"):
        np.save(root / f"{name}.npy", generator.integers(0, 256, (40, 32, 32, 3), dtype=np.uint8))
    np.save(root / "labels.npy", np.tile(np.arange(8, dtype=np.uint8), 5))
    return f"cifar10-c:{root}"


def _encoded(number: int, folder: Path) -> bytes:
    path = folder / "one.png"
    Image.fromarray(picture(number)).save(path)
    data = path.read_bytes()
    path.unlink()
    return data


def write_parquet(root: Path) -> str:
    """Two files as Hugging Face writes them: a struct of bytes and path, class names in the schema's note."""
    note = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    for file in range(2):
        images = [{"bytes": _encoded(file * 10 + row, root), "path": f"{row}.png"} for row in range(6)]
        table = arrow.table({"image": images, "label": [row % 2 for row in range(6)]})
        table = table.replace_schema_metadata({"huggingface": json.dumps(note)})
        parquet.write_table(table, root / f"test-0000{file}.parquet", row_group_size=4)
    return f"parquet:{root}"


def write_parquet_plain(root: Path) -> str:
    """One file with plain bytes and labels that are words."""
    table = arrow.table({"img": [_encoded(row, root) for row in range(6)], "class": ["dog", "cat"] * 3})
    parquet.write_table(table, root / "photos.parquet")
    return f"parquet:{root / 'photos.parquet'}"


def write_hugging_face(root: Path) -> str:
    import datasets

    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    rows = {"image": [{"bytes": _encoded(row, root), "path": None} for row in range(6)], "label": [0, 1] * 3}
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(str(root / "pets"))
    return f"huggingface:{root / 'pets'}"


def write_user_data(root: Path) -> str:
    (root / "mine.py").write_text(
        "import numpy as np\n"
        "from weatherglass.data.images import ArrayImages\n"
        "def reader():\n"
        "    pixels = np.arange(6 * 8 * 8 * 3, dtype=np.uint8).reshape(6, 8, 8, 3)\n"
        "    return ArrayImages('mine', pixels, np.arange(6) % 2, ('a', 'b'), tuple('uvwxyz'))\n"
    )
    return f"{root / 'mine.py'}:reader"


def write_pairs(root: Path, image: str, mask: str, count: int = 4) -> Path:
    """Pictures and masks of ids 0 and 1; `image` and `mask` are file names with the number in braces."""
    for number in range(count):
        for place, array in ((image, picture(number)), (mask, picture(number)[:, :, 0] // 128)):
            file = root / place.format(number)
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(file)
    return root


def write_voc_masks(root: Path) -> str:
    write_pairs(root, "JPEGImages/{}.png", "SegmentationClass/{}.png")
    (root / "ImageSets" / "Segmentation").mkdir(parents=True)
    (root / "ImageSets" / "Segmentation" / "val.txt").write_text("0\n1\n2\n3\n")
    return f"voc-masks:{root}/val"


def write_masks(root: Path) -> str:
    write_pairs(root, "images/{}.png", "masks/{}.png")
    (root / "classes.json").write_text(json.dumps(["road", "tree"]))
    return f"masks:{root}"


def write_coco(root: Path) -> str:
    write_pairs(root, "images/{}.png", "masks/{}.png")
    box = {"category_id": 1, "bbox": [2, 3, 10, 8], "area": 80, "iscrowd": 0}
    content = {
        "images": [{"id": number, "file_name": f"{number}.png"} for number in range(4)],
        "annotations": [{"id": number, "image_id": number} | box for number in range(3)],
        "categories": [{"id": 1, "name": "cat"}],
    }
    (root / "annotations.json").write_text(json.dumps(content))
    return f"coco:{root}"


def write_voc_boxes(root: Path) -> str:
    write_pairs(root, "JPEGImages/{}.png", "masks/{}.png")
    for folder in ("Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    (root / "ImageSets" / "Main" / "val.txt").write_text("0\n1\n2\n3\n")
    box = "<bndbox><xmin>2</xmin><ymin>3</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
    described = f"<size><width>24</width><height>20</height></size><object><name>cat</name>{box}</object>"
    for number in range(4):
        (root / "Annotations" / f"{number}.xml").write_text(f"<annotation>{described}</annotation>")
    return f"voc-boxes:{root}/val"


WRITERS: dict[str, Callable[[Path], str]] = {
    "digits": lambda root: "digits:test",
    "imagefolder": write_imagefolder,
    "images": lambda root: write_imagefolder(root).replace("imagefolder", "images", 1),
    "imagenet": write_imagenet,
    "imagenet flat": write_imagenet_flat,
    **{
        kind: lambda root, kind=kind: write_imagenet(root).replace("imagenet", kind, 1)
        for kind in ("imagenet-a", "imagenet-r", "imagenet-sketch")
    },
    "imagenet-v2": write_imagenet_v2,
    "imagenet-real": write_imagenet_real,
    "objectnet": write_objectnet,
    "cue-conflict": write_cue_conflict,
    "imagenet-c": write_imagenet_c,
    "cifar10": write_cifar10,
    "cifar10 pictures": write_cifar10_pictures,
    "cifar100": write_cifar100,
    "cifar10.1": write_cifar10_1,
    "cifar10-c": write_cifar10_c,
    "cifar100-c": lambda root: write_cifar10_c(root).replace("cifar10-c", "cifar100-c"),
    "huggingface": write_hugging_face,
    "parquet": write_parquet,
    "parquet plain": write_parquet_plain,
    "camvid": lambda root: f"camvid:{write_pairs(root, 'images/{}.png', 'labels/{}.png')}",
    "cityscapes": lambda root: (
        "cityscapes:"
        + str(write_pairs(root, "leftImg8bit/val/ulm/{}_leftImg8bit.png", "gtFine/val/ulm/{}_gtFine_labelTrainIds.png"))
        + "/val"
    ),
    "ade20k": lambda root: f"ade20k:{write_pairs(root, 'images/validation/{}.png', 'annotations/validation/{}.png')}",
    "voc-masks": write_voc_masks,
    "masks": write_masks,
    "scenes": lambda root: "scenes:4@32",
    "coco": write_coco,
    "voc-boxes": write_voc_boxes,
    "scene-objects": lambda root: "scene-objects:4@32",
    "user code": write_user_data,
}
"""What writes a small data set of each kind into a folder and returns its name."""
