"""CIFAR-10 and CIFAR-100 (python batches, PNG trees) and CIFAR-10.1 (arrays)."""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from weatherglass.data.folder import check_directory, class_directories, load_folder
from weatherglass.data.images import ArrayImages
from weatherglass.errors import UserError
from weatherglass.types import ImageData

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
"""In label order; see A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images" (2009)."""

_BATCHES = {
    "cifar10": {"train": tuple(f"data_batch_{number}" for number in range(1, 6)), "test": ("test_batch",)},
    "cifar100": {"train": ("train",), "test": ("test",)},
}
_META = {"cifar10": ("batches.meta", "label_names"), "cifar100": ("meta", "fine_label_names")}
_LABELS = {"cifar10": "labels", "cifar100": "fine_labels"}


def load_cifar(name: str, kind: str, place: str) -> ImageData:
    """Python batches, or a tree of PNG files. `place` is a folder, or that and '/train' or '/test' (the default)."""
    folder, split = _folder_and_split(Path(place).expanduser(), kind)
    check_directory(folder, name)
    root = _batch_root(folder, kind)
    if root is not None:
        return _load_batches(name, kind, root, split)
    tree = folder / split if (folder / split).is_dir() else folder
    if class_directories(tree):
        return load_folder(name, tree, _tree_classes(tree, kind))
    raise UserError(
        f"{name}: {folder} holds neither the python batches of {kind} ({', '.join(_BATCHES[kind]['test'])}, "
        f"{_META[kind][0]}) nor class directories with images."
    )


def load_cifar10_1(name: str, place: str) -> ArrayImages:
    """CIFAR-10.1 (Recht et al. 2018): `..._data.npy` beside `..._labels.npy`; v6 is preferred where there are more."""
    folder = Path(place).expanduser()
    if folder.suffix == ".npy":
        data_file = folder
    else:
        check_directory(folder, name)
        found = sorted(folder.glob("*_data.npy"))
        if not found:
            raise UserError(f"{name}: {folder} holds no file that ends in _data.npy, such as cifar10.1_v6_data.npy.")
        data_file = found[-1]
    label_file = data_file.with_name(data_file.name.replace("_data", "_labels"))
    pixels, labels = load_array(data_file), load_array(label_file)
    ids = tuple(f"{data_file.stem.removesuffix('_data')}/{index:05d}" for index in range(len(pixels)))
    return ArrayImages(name, pixels, labels, CIFAR10_CLASSES, ids)


def load_array(path: Path) -> np.ndarray:
    """A .npy file as a memory map, without pickled objects."""
    if not path.is_file():
        raise UserError(f"There is no file {path}.")
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise UserError(f"{path} is not a readable .npy array: {' '.join(str(error).split())}.") from error


def _folder_and_split(place: Path, kind: str) -> tuple[Path, str]:
    is_batch = place.is_file() and any(place.name in files for files in _BATCHES[kind].values())
    if place.name in ("train", "test") and (is_batch or not place.exists()):
        return place.parent, place.name
    if is_batch:
        return place.parent, "test" if place.name == "test_batch" else "train"
    return place, "test"


def _batch_root(folder: Path, kind: str) -> Path | None:
    unpacked = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}[kind]
    for root in (folder, folder / unpacked):
        if (root / _META[kind][0]).is_file():
            return root
    return None


def _load_batches(name: str, kind: str, root: Path, split: str) -> ArrayImages:
    meta_file, field = _META[kind]
    classes = tuple(_text(value) for value in _load_pickle(root / meta_file)[field])
    batches = [_load_pickle(root / file) for file in _BATCHES[kind][split]]
    rows = np.concatenate([np.asarray(batch["data"], dtype=np.uint8) for batch in batches])
    labels = np.concatenate([np.asarray(batch[_LABELS[kind]], dtype=np.int64) for batch in batches])
    if rows.ndim != 2 or rows.shape[1] != 3072:
        raise UserError(f"{name}: the batches hold rows of shape {rows.shape}; 3,072 values an image are needed.")
    pixels = np.ascontiguousarray(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    return ArrayImages(name, pixels, labels, classes, tuple(f"{split}/{index:05d}" for index in range(len(pixels))))


def _tree_classes(tree: Path, kind: str) -> tuple[str, ...] | None:
    found = class_directories(tree)
    known = kind == "cifar10" and set(found) <= set(CIFAR10_CLASSES)
    return CIFAR10_CLASSES if known else None  # CIFAR-100's fine names are in label order when sorted


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _load_pickle(path: Path) -> dict[str, Any]:
    """A CIFAR batch without running code: only what rebuilds NumPy arrays may be called."""
    if not path.is_file():
        raise UserError(f"There is no file {path}; the python version of the data set is incomplete.")
    try:
        loaded = _ArraysOnly(io.BytesIO(path.read_bytes()), encoding="bytes").load()
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except Exception as error:  # a damaged pickle can raise almost anything
        raise UserError(f"{path} is not a readable batch: {type(error).__name__}: {error}.") from error
    return {_text(key): value for key, value in loaded.items()}


class _ArraysOnly(pickle.Unpickler):
    _allowed = frozenset({"_reconstruct", "ndarray", "dtype", "scalar", "_frombuffer"})

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] == "numpy" and name in self._allowed:
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        if (module, name) == ("_codecs", "encode"):
            return super().find_class(module, name)
        raise UserError(f"it wants to run {module}.{name}, which a data set has no need of; it was not opened")
