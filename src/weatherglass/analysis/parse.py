"""From a text to a disturbance of the model."""

from weatherglass.analysis.attention_distance import parse_attention_distance
from weatherglass.analysis.lesions import parse_lesion
from weatherglass.errors import UnknownName
from weatherglass.types import Disturbance


def parse_model_disturbance(name: str, text: str) -> Disturbance:
    """The disturbance that `text` describes; `name` is one of `MODEL_DISTURBANCES`. Raises `UserError`."""
    parsers = {"lesion": parse_lesion, "attention_distance": parse_attention_distance}
    if name not in parsers:
        raise UnknownName("disturbance of the model", name, parsers)
    return parsers[name](text)
