"""Train the three small digit classifiers that ship with Weatherglass (about a minute each on two cores).

    python examples/train_digits.py digits_vit --output src/weatherglass/models/weights

The recipe is plain on purpose: AdamW, one cycle, shifted images, nothing that resembles a corruption.
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from weatherglass.data.load import load_data
from weatherglass.models.digits import DIGITS_MODELS, build_digits_model

EPOCHS = {"digits_cnn": 15, "digits_vit": 150, "digits_fan": 100}
"""About as many as each needs; a transformer needs more on so few images."""
BATCH = 100
PEAK_RATE = 2e-3


def tensors(part: str) -> tuple[Tensor, Tensor]:
    """All images of a part, normalised, and their labels."""
    data = load_data(f"digits:{part}")
    images = torch.stack([data.image(index) for index in range(len(data))])
    return (images.float() / 255 - 0.5) / 0.5, torch.from_numpy(data.labels)


def shifted(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each batch moved by up to three pixels; the border repeats."""
    padded = F.pad(images, (3, 3, 3, 3), mode="replicate")
    row, column = torch.randint(0, 7, (2,), generator=generator).tolist()
    return padded[:, :, row : row + 32, column : column + 32]


def train(model: nn.Module, images: Tensor, labels: Tensor, *, epochs: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    steps = epochs * (len(images) // BATCH)
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, total_steps=steps)
    model.train()
    for _ in range(epochs):
        for chosen in torch.randperm(len(images), generator=generator).split(BATCH):
            loss = F.cross_entropy(model(shifted(images[chosen], generator)), labels[chosen], label_smoothing=0.1)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("models", nargs="*", default=list(DIGITS_MODELS), metavar="MODEL", help=" ".join(DIGITS_MODELS))
    parser.add_argument("--output", type=Path, default=Path("weights"))
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    images, labels = tensors("train")
    test_images, test_labels = tensors("test")
    for name in arguments.models:
        torch.manual_seed(0)
        model = build_digits_model(name, trained=False)
        train(model, images, labels, epochs=EPOCHS[name], seed=0)
        with torch.inference_mode():
            accuracy = (model(test_images).argmax(1) == test_labels).float().mean().item()
        save_file(model.state_dict(), arguments.output / f"{name}.safetensors", {"test_accuracy": f"{accuracy:.4f}"})
        print(f"{name}: {100 * accuracy:.2f} % of the {len(test_labels)} test digits")


if __name__ == "__main__":
    main()
