"""Published weights: checking their names, fetching them, and saying in one line why they cannot be had."""

from collections.abc import Callable
from difflib import get_close_matches
from urllib.error import URLError

from torch import nn

from weatherglass.errors import UserError

_NETWORK_PACKAGES = ("huggingface_hub", "httpx", "httpx2", "httpcore", "requests", "urllib3", "urllib", "socket")


def check_timm_name(name: str, published: bool) -> None:
    """Raise `UserError` with the nearest names where timm has no such architecture, tag or published weights."""
    import timm

    if name.startswith(("hf-hub:", "hf_hub:", "local-dir:")):
        return
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        near = get_close_matches(architecture, timm.list_models(), n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(f'timm/{one}' for one in near)}?" if near else ""
        raise UserError(f"timm has no model '{name}'.{hint} `weatherglass list models` shows them all.")
    tags = sorted(one.partition(".")[2] for one in timm.list_pretrained(f"{architecture}.*"))
    if tag and tag not in tags:
        raise UserError(f"timm/{architecture} has no weights '{tag}'. Known: {', '.join(tags) or 'none'}.")
    if published and not timm.is_model_pretrained(name):
        raise UserError(
            f"timm publishes no weights for {name}: give --checkpoint FILE, or --random (pretrained=False)."
        )


def fetch(build: Callable[[], nn.Module], name: str) -> nn.Module:
    """Build a network with its published weights; a network that cannot be reached is a `UserError`."""
    try:
        return build()
    except Exception as error:
        if not _is_about_the_network(error):
            raise
        reason = " ".join(str(error).split()).rstrip(".")[:200]
        raise UserError(
            f"The published weights of {name} could not be fetched ({type(error).__name__}: {reason}). "
            "Without a network give --checkpoint FILE, or --random (pretrained=False)."
        ) from error


def _is_about_the_network(error: BaseException) -> bool:
    package = type(error).__module__.partition(".")[0]
    return isinstance(error, URLError | ConnectionError | TimeoutError) or package in _NETWORK_PACKAGES
