"""Published weights: checking their names, fetching them, and saying in one line why they cannot be had."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
        with _hub_offline_where_unreachable():
            return build()
    except Exception as error:
        if not _is_about_the_network(error):
            raise
        raise UserError(
            f"The published weights of {name} could not be fetched: no connection, and no copy in the local cache "
            f"({type(error).__name__}). Give --checkpoint FILE, or --random (pretrained=False) for random weights."
        ) from error


@contextmanager
def _hub_offline_where_unreachable() -> Iterator[None]:
    """Without name resolution the hub's client would retry for almost a minute; its offline mode answers at once."""
    import socket
    from urllib.parse import urlparse
    from urllib.request import getproxies

    from huggingface_hub import constants

    offline = constants.HF_HUB_OFFLINE
    if not offline and not getproxies():  # a proxy resolves names for us
        try:
            socket.getaddrinfo(urlparse(constants.ENDPOINT).hostname, 443)
        except OSError:
            constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = offline


def _is_about_the_network(error: BaseException) -> bool:
    package = type(error).__module__.partition(".")[0]
    return isinstance(error, URLError | ConnectionError | TimeoutError) or package in _NETWORK_PACKAGES
