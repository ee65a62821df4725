"""Our PGD against that of the attack libraries: the same model, images, steps and step length, in one process.

ResNet-18 with random weights, 32 images of 64 pixels, 10 steps in the max norm, no early exit, no random start, the
last iterate, one thread. The libraries take turns within every repeat, so that a busy machine slows all of them; CPU
time is counted, and the best repeat of each stands. Printed: seconds, our time over theirs (below 1: we are faster),
and the loss reached.

Run: python -m benchmarks attacks
"""

import importlib.util
import time
from collections.abc import Callable

import timm
import torch
from torch import Tensor, nn
from torchvision.transforms.v2 import Normalize

from weatherglass.attacks.gradient import Ascent, ascend
from weatherglass.attacks.norms import Threat, perturbation_norm
from weatherglass.attacks.objective import Objective
from weatherglass.models.predictor import TorchPredictor
from weatherglass.randomness import Draws
from weatherglass.types import Preprocessing

IMAGES, SIDE, STEPS, RADIUS, REPEATS = 32, 64, 10, 8 / 255, 5
STEP = RADIUS / 4


def main(options: list[str]) -> None:
    """Measure ours, foolbox and, where it is installed, torchattacks."""
    del options
    torch.set_num_threads(1)
    torch.default_generator.manual_seed(0)
    network = timm.create_model("resnet18", pretrained=False, num_classes=10).eval()
    preprocessing = Preprocessing(size=(SIDE, SIDE), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    predictor = TorchPredictor(network, name="resnet18", preprocessing=preprocessing, device="cpu", classes=10)
    images = 0.1 + 0.8 * torch.rand(IMAGES, 3, SIDE, SIDE)
    with torch.no_grad():
        labels = predictor(images).argmax(dim=1)
    attacks = contenders(predictor, images, labels)
    seconds = {name: [] for name in attacks}
    found: dict[str, Tensor] = {}
    for _ in range(REPEATS):
        for name, attack in attacks.items():
            started = time.process_time()
            found[name] = attack()
            seconds[name].append(time.process_time() - started)
    ours = min(seconds["weatherglass"])
    for name, times in seconds.items():
        largest = float(perturbation_norm(found[name] - images, "linf").max())
        with torch.no_grad():
            loss = float(nn.functional.cross_entropy(predictor(found[name]), labels))
        print(
            f"{name:14} {min(times):6.2f} s CPU   ours/theirs {ours / min(times):.2f}   "
            f"loss {loss:.3f}   norm {largest:.6f} (radius {RADIUS:.6f})"
        )


def contenders(predictor: TorchPredictor, images: Tensor, labels: Tensor) -> dict[str, Callable[[], Tensor]]:
    """The same attack by each library that is there."""
    mean, std = predictor.preprocessing.mean, predictor.preprocessing.std
    ascent = Ascent(steps=STEPS, step=STEP / RADIUS, early_exit=False, keep="last")
    draws = Draws(0, tuple(map(str, range(IMAGES))), "benchmark")
    attacks: dict[str, Callable[[], Tensor]] = {
        "weatherglass": lambda: ascend(Objective(predictor, labels), images, Threat("linf", RADIUS), ascent, draws)
    }
    if importlib.util.find_spec("foolbox"):
        import foolbox

        wrapped = foolbox.models.PyTorchModel(
            predictor.module, bounds=(0, 1), device="cpu", preprocessing={"mean": mean, "std": std, "axis": -3}
        )
        attack = foolbox.attacks.LinfPGD(abs_stepsize=STEP, steps=STEPS, random_start=False)
        attacks["foolbox"] = lambda: attack(wrapped, images, labels, epsilons=RADIUS)[1]
    if importlib.util.find_spec("torchattacks"):
        import torchattacks

        # Its model takes pixels in [0, 1], so the normalisation is its first layer.
        whole = nn.Sequential(Normalize(mean, std), predictor.module).eval()
        other = torchattacks.PGD(whole, eps=RADIUS, alpha=STEP, steps=STEPS, random_start=False)
        attacks["torchattacks"] = lambda: other(images, labels)
    return attacks
