"""The kinds of data that a name can stand for: `kind:path`. Listed without importing torch."""

from dataclasses import dataclass

from weatherglass.catalog import Catalog


@dataclass(frozen=True)
class Kind:
    """One kind of data set."""

    example: str
    description: str


KINDS: Catalog[Kind] = Catalog(
    "kind of data",
    {
        "digits": Kind("digits:test", "Handwritten digits, 32x32, embedded: digits (1,797), digits:train, digits:test"),
        "imagefolder": Kind("imagefolder:photos/val", "One directory a class, images anywhere below it"),
        "images": Kind("images:photos", "Images without classes, for analyses: accuracy is agreement with itself"),
        "imagenet": Kind("imagenet:ILSVRC/val", "ImageNet: wnid directories, or flat files and a ground-truth file"),
        "imagenet-c": Kind("imagenet-c:FOLDER", "A stored tree corruption/severity/class/file, with clean/ or not"),
        "cifar10": Kind("cifar10:FOLDER", "CIFAR-10, python batches or PNG tree; FOLDER/train for the training part"),
        "cifar100": Kind("cifar100:FOLDER", "CIFAR-100, likewise; fine labels"),
        "cifar10.1": Kind("cifar10.1:FOLDER", "CIFAR-10.1: ..._data.npy beside ..._labels.npy"),
        "cifar10-c": Kind("cifar10-c:FOLDER", "CIFAR-10-C: one .npy a corruption and labels.npy"),
        "cifar100-c": Kind("cifar100-c:FOLDER", "CIFAR-100-C, likewise"),
        "imagenet-a": Kind("imagenet-a:FOLDER", "ImageNet-A; the 200 classes compete, or all: --outputs all"),
        "imagenet-r": Kind("imagenet-r:FOLDER", "ImageNet-R, likewise"),
        "imagenet-v2": Kind("imagenet-v2:FOLDER", "ImageNetV2: directories 0 ... 999, read as numbers"),
        "imagenet-real": Kind(
            "imagenet-real:ILSVRC/val", "ImageNet validation images under the ReaL labels, real.json"
        ),
        "objectnet": Kind("objectnet:objectnet-1.0", "ObjectNet, the classes shared with ImageNet: images/, mappings/"),
        "imagenet-sketch": Kind("imagenet-sketch:FOLDER", "ImageNet-Sketch: wnid directories"),
        "cue-conflict": Kind("cue-conflict:FOLDER", "Texture against shape: SHAPEn-TEXTUREm.png, folder or zip file"),
        "camvid": Kind("camvid:val.zip", "Segmentation, 11 classes: images/ and labels/, folder or zip file"),
        "cityscapes": Kind("cityscapes:ROOT/val", "Segmentation, 19 classes: leftImg8bit/ and gtFine/"),
        "ade20k": Kind("ade20k:ROOT/validation", "Segmentation, 150 classes: images/ and annotations/"),
        "voc-masks": Kind("voc-masks:VOC2012/val", "Segmentation, 21 classes: JPEGImages/ and SegmentationClass/"),
        "masks": Kind("masks:FOLDER", "Segmentation: images/ and masks/ of equal names, and classes.json"),
        "scenes": Kind("scenes:64@96", "Segmentation: 64 synthetic scenes of 96 pixels; scenes:train-64@96 for others"),
        "coco": Kind("coco:ANNOTATIONS.json", "Detection: COCO's instances; images beside the file, or FILE::IMAGES"),
        "voc-boxes": Kind("voc-boxes:VOC2012/val", "Detection, 20 classes: JPEGImages/ and Annotations/"),
        "scene-objects": Kind("scene-objects:64@96", "Detection: the boxes and masks of the same scenes"),
        "huggingface": Kind("huggingface:FOLDER", "A Hugging Face data set written by save_to_disk"),
        "parquet": Kind("parquet:FOLDER", "Parquet with an image column (bytes) and a label column"),
    },
)
"""Anything else is `file.py:factory`, a function without arguments that returns an `ImageData`."""
