"""Versions of the libraries that pixels and numbers pass through."""

from importlib.metadata import PackageNotFoundError, version

VERSIONED = ("weatherglass", "torch", "torchvision", "timm", "numpy", "opencv-python-headless", "pillow")


def library_versions() -> dict[str, str]:
    """Name and version of each that is installed, for the protocol."""
    return {name: found for name in VERSIONED if (found := _version(name))}


def _version(package: str) -> str | None:
    if package == "weatherglass":
        from weatherglass import __version__

        return __version__
    try:
        return version(package)
    except PackageNotFoundError:
        return None
