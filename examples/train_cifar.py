"""Train the micro networks on CIFAR-10 in ten minutes of one processor core: material for the analyses in the docs.

    SHEETS=path/to/data python examples/train_cifar.py resnet_micro_32 vit_micro_32 fan_vit_micro_32 --output trained

AdamW, one cycle, random crops and flips, label smoothing; nothing that resembles a corruption. Every epoch is kept, and
the same command goes on where it stopped. These networks are trained briefly: they show how an analysis reads, and are
no measure of an architecture.
"""

import argparse
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from shared_sheets import cifar10_test, cifar10_train
from torch import Tensor, nn

from weatherglass.models.create import create_model

EPOCHS = {"resnet_micro_32": 12, "vit_micro_32": 1, "fan_vit_micro_32": 1}
BATCH = 128
PEAK_RATE = 2e-3
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def normalised(pixels: Tensor) -> Tensor:
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    return (pixels.float() / 255 - mean) / std


def augmented(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Every image cropped at its own place from a border of four reflected pixels, half of them mirrored."""
    padded = F.pad(pixels.float(), (4, 4, 4, 4), mode="reflect").to(pixels.dtype)
    row, column = torch.randint(0, 9, (2, len(pixels), 1, 1), generator=generator)
    span = torch.arange(32)
    columns = span.expand(len(pixels), 1, 32).clone()
    mirrored = torch.rand(len(pixels), generator=generator) < 0.5
    columns[mirrored] = columns[mirrored].flip(2)
    which = torch.arange(len(pixels)).view(-1, 1, 1)
    cropped = padded.permute(0, 2, 3, 1)[which, row + span.view(1, 32, 1), column + columns]
    return cropped.permute(0, 3, 1, 2)


def train(name: str, train_set: tuple[Tensor, Tensor], test_set: tuple[Tensor, Tensor], output: Path) -> None:
    """Train one network to the end, from its last finished epoch."""
    finished = output / f"{name}.safetensors"
    if finished.exists():
        return
    torch.manual_seed(0)
    model = create_model(name, num_classes=10)
    epochs = EPOCHS[name]
    steps = epochs * (len(train_set[0]) // BATCH)
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, total_steps=steps)
    state, first = output / f"{name}.resume.pt", 0
    if state.exists():
        kept = torch.load(state, weights_only=True)
        model.load_state_dict(kept["model"])
        optimiser.load_state_dict(kept["optimiser"])
        schedule.load_state_dict(kept["schedule"])
        first = kept["epoch"]
    for epoch in range(first, epochs):
        started = time.process_time()
        loss = one_epoch(model, *train_set, optimiser, schedule, torch.Generator().manual_seed(epoch))
        kept = {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "schedule": schedule.state_dict()}
        torch.save({**kept, "epoch": epoch + 1}, state.with_suffix(".part"))
        state.with_suffix(".part").rename(state)
        right = 100 * accuracy(model, *test_set)
        seconds = time.process_time() - started
        print(f"{name} epoch {epoch + 1}/{epochs}: loss {loss:.3f}, test {right:.2f} %, {seconds:.0f} s", flush=True)
    facts = {"test_accuracy": f"{accuracy(model, *test_set):.4f}", "epochs": str(epochs), "seed": "0"}
    save_file(model.state_dict(), finished, facts)


def one_epoch(
    model: nn.Module,
    pixels: Tensor,
    labels: Tensor,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    generator: torch.Generator,
) -> float:
    """The mean loss."""
    model.train()
    losses = []
    for chosen in torch.randperm(len(pixels), generator=generator)[: len(pixels) // BATCH * BATCH].split(BATCH):
        outputs = model(normalised(augmented(pixels[chosen], generator)))
        loss = F.cross_entropy(outputs, labels[chosen], label_smoothing=0.1)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
    return sum(losses) / len(losses)


@torch.inference_mode()
def accuracy(model: nn.Module, pixels: Tensor, labels: Tensor) -> float:
    model.eval()
    parts = torch.arange(len(labels)).split(500)
    right = [(model(normalised(pixels[rows])).argmax(1) == labels[rows]).sum() for rows in parts]
    return float(torch.stack(right).sum()) / len(labels)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("models", nargs="*", default=list(EPOCHS), metavar="MODEL", help=" ".join(EPOCHS))
    parser.add_argument("--output", type=Path, default=Path("trained"))
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.output.mkdir(parents=True, exist_ok=True)
    sets = []
    for data in (cifar10_train(), cifar10_test()):
        pixels = torch.stack([data.image(index) for index in range(len(data))])
        sets.append((pixels, torch.from_numpy(data.labels)))
    for name in arguments.models:
        train(name, sets[0], sets[1], arguments.output)


if __name__ == "__main__":
    main()
