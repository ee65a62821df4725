"""Round trips through image codecs."""

from typing import cast

import torch
from torch import Tensor
from torchvision.io import decode_jpeg, encode_jpeg

from weatherglass.types import Pixels


def jpeg_round_trip(pixels: Pixels, quality: int) -> Pixels:
    """Encode and decode with libjpeg-turbo: 4:2:0, standard tables, bit-identical to Pillow's."""
    result = torch.empty_like(pixels, device="cpu", memory_format=torch.contiguous_format)
    for index, picture in enumerate(pixels.cpu()):
        encoded = cast(Tensor, encode_jpeg(picture.contiguous(), quality=quality))
        result[index] = cast(Tensor, decode_jpeg(encoded))
    return result.to(pixels.device)
