"""FAN's Table 1, executed: parameters and multiply-adds of every model of the release beside the printed figures."""

from collections.abc import Callable
from dataclasses import dataclass

from weatherglass.models.names import MODELS

PRINTED: dict[str, tuple[float | None, float | None, str]] = {
    "fan_tiny_12_p16_224": (7.3, 1.4, "table 1 (1.3 G in table 8)"),
    "fan_small_12_p16_224": (28.3, 5.3, "table 1"),
    "fan_base_18_p16_224": (54.0, 10.4, "table 1"),
    "fan_large_24_p16_224": (80.5, 15.8, "table 1"),
    "fan_tiny_8_p4_hybrid": (7.4, 3.5, "table 8"),
    "fan_small_12_p4_hybrid": (26.3, 6.7, "tables 8 and 9"),
    "fan_base_16_p4_hybrid": (50.4, 11.3, "table 8"),
    "fan_large_16_p4_hybrid": (76.8, 16.9, "table 8"),
}
"""Model -> parameters in millions, multiply-adds in G at 224 px, where they are printed."""

EXPLANATION = """\
Multiply-adds count every matrix product and convolution of one 224 x 224 image, as executed here. The paper calls
them FLOPs and does not say what it counts; its figures lie 1 to 5 % below. The published code does more than this
one: it multiplies attention and values twice (0.09 to 0.44 G) and projects keys and values of all tokens for the one
class query. The 26.3 M of FAN-S-Hybrid do not follow from the released model, which has 26.1 M. The extra-large hybrid
and FAN-Swin have no printed sizes."""


@dataclass(frozen=True)
class SizeRow:
    """One model of the table."""

    name: str
    parameters: int
    """Counted on the built model."""
    multiply_adds: int
    """For one image of 224 x 224 pixels."""
    printed_parameters: float | None
    """In millions."""
    printed_multiply_adds: float | None
    """In G."""
    source: str


def table1_rows() -> list[SizeRow]:
    """Build every model of the release without memory for its weights, and count."""
    rows = []
    for name, model in MODELS.items():
        if "p16_224" in name or "p4_hybrid" in name or "window7" in name:
            parameters, multiply_adds = count(name)
            assert parameters == model.parameters
            rows.append(SizeRow(name, parameters, multiply_adds, *PRINTED.get(name, (None, None, ""))))
    return rows


def count(name: str, image_size: int = 224) -> tuple[int, int]:
    """Parameters, and multiply-adds for one image, of a model by name."""
    import timm
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    import weatherglass.models.registration  # noqa: F401  (tells timm about our models)

    with torch.device("meta"):
        model = timm.create_model(name).eval()
        image = torch.empty(1, 3, image_size, image_size)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(image)
    return sum(parameter.numel() for parameter in model.parameters()), counter.get_total_flops() // 2


def print_table1(write: Callable[[str], None] = print) -> None:
    """The table as text, with the differences explained."""
    write(f"{'model':34} {'params':>8} {'printed':>8} {'G mult-adds':>12} {'printed':>8}  source")
    for row in table1_rows():
        printed = [
            f"{value:.1f}" if value is not None else "-"
            for value in (row.printed_parameters, row.printed_multiply_adds)
        ]
        write(
            f"{row.name:34} {row.parameters / 1e6:8.2f} {printed[0]:>8} {row.multiply_adds / 1e9:12.2f} "
            f"{printed[1]:>8}  {row.source}".rstrip()
        )
    write("")
    write(EXPLANATION)
