"""`weatherglass perturbations`: what an attack changes, as pictures and numbers, model by model."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import torch

    from weatherglass.attacks.disturbance import Attacked
    from weatherglass.types import ImageData, Predictor


@click.command("perturbations")
@click.argument("models", nargs=-1, required=True)
@click.option("--data", required=True, help="KIND:PATH, e.g. imagefolder:photos/val. See: weatherglass list data")
@click.option("--attack", "attack_text", default="pgd:exit=never@4/255", show_default=True, help="What perturbs.")
@click.option("--masks", type=click.Path(path_type=Path), help="Folder of masks, named like the images; white: object.")
@click.option("--limit", type=click.IntRange(1), default=64, show_default=True, help="Images that the numbers average.")
@click.option("--pictures", type=click.IntRange(1), default=6, show_default=True, help="Images in the panel.")
@click.option("--patch", type=click.IntRange(2), default=16, show_default=True, help="Side of a patch in pixels.")
@click.option("--output", type=click.Path(path_type=Path), default=Path("perturbations.png"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print all numbers as JSON, every offset of the patch grid too.")
@click.option("--seed", default=0, show_default=True, help="Seed of the attack and of the subset.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1 ...")
def command(
    models: tuple[str, ...],
    data: str,
    attack_text: str,
    masks: Path | None,
    limit: int,
    pictures: int,
    patch: int,
    output: Path,
    as_json: bool,
    seed: int,
    device: str,
) -> None:
    """Draw the perturbations of an attack on each of MODELS for the same images, and describe them.

    In the panel a row is an image; beside it stand, for each model, the perturbation and the gradient. The last rows
    are means over all images: magnitudes, and spectra with frequency 0 in the middle. Border score: how much more the
    perturbation jumps between patches than elsewhere (1: no more). Foreground: share of the gradient on the object
    over its share of the area (1: no more than elsewhere).
    """
    from weatherglass.attacks.parse import parse_attack
    from weatherglass.data.load import load_data
    from weatherglass.errors import UserError
    from weatherglass.models.load import load_predictor

    attack = parse_attack(attack_text)
    images = load_data(data, limit=limit, seed=seed)
    columns, shown, described = [], None, {}
    for model in models:
        predictor = load_predictor(model, device=device)
        attack.check(predictor)
        batch, perturbation, gradient = _perturbed(predictor, images, attack, seed)
        if shown is not None and shown.shape != batch.shape:
            raise UserError(f"{model} sees images of {batch.shape[3]}x{batch.shape[2]} pixels, {models[0]} others.")
        shown = batch
        columns += [perturbation, _scaled(gradient, attack.radius)]
        objects = None if masks is None else _objects(masks, images, predictor)
        described[model] = _described(perturbation, gradient, patch, objects)
    assert shown is not None
    _write(shown, columns, pictures, output)
    _print(described, patch, as_json)
    click.echo(f"{len(shown)} images under {attack}; wrote {output}", err=as_json)


def _described(
    perturbation: "torch.Tensor", gradient: "torch.Tensor", patch: int, objects: "torch.Tensor | None"
) -> "dict[str, Any]":
    """The numbers of one model by name."""
    from dataclasses import asdict

    from weatherglass.attacks.pictures import describe, foreground_concentration
    from weatherglass.errors import UserError

    try:
        numbers: dict[str, Any] = asdict(describe(perturbation, patch))
    except ValueError as error:
        raise UserError(f"{error}; choose another --patch.") from error
    if objects is not None:
        for name, values in (("gradient", gradient), ("perturbation", perturbation)):
            share = foreground_concentration(values.abs().mean(dim=1), objects)
            share = share[share.isfinite()]
            numbers[f"foreground_{name}"] = float(share.mean()) if len(share) else None
    return numbers


def _print(described: "dict[str, dict[str, Any]]", patch: int, as_json: bool) -> None:
    if as_json:
        from weatherglass.cli.results import print_json

        print_json(described)
        return
    for model, numbers in described.items():
        rings = " ".join(f"{100 * share:.0f}" for share in numbers["spectrum"])
        objects = ""
        if numbers.get("foreground_gradient") is not None:
            objects = (
                f", foreground {numbers['foreground_gradient']:.2f} (gradient) "
                f"{numbers['foreground_perturbation']:.2f} (perturbation)"
            )
        click.echo(
            f"{model}: border score {numbers['border_scores'][0]:.3f} "
            f"({'largest' if numbers['aligned'] else 'not the largest'} of {patch} offsets), "
            f"coherence {numbers['coherence']:.3f}{objects}, energy % from coarse to fine {rings}"
        )


def _objects(folder: Path, data: "ImageData", predictor: "Predictor") -> "torch.Tensor":
    """The masks of the images, brought to the model's geometry like them; bool, shape (images, height, width).

    A mask has the path of its image below `folder`, with any ending; brighter than half is the object.
    """
    from dataclasses import replace

    import torch

    from weatherglass.data.decode import IMAGE_ENDINGS, decode_file
    from weatherglass.data.geometry import prepare
    from weatherglass.errors import UserError

    geometry = replace(predictor.preprocessing, interpolation="nearest")
    found = []
    for sample in data.ids:
        stem = folder / Path(sample).with_suffix("")
        # A path may hold dots of its own, so the ending is added to the name as it is.
        file = next((one for end in sorted(IMAGE_ENDINGS) if (one := stem.with_name(stem.name + end)).is_file()), None)
        if file is None:
            raise UserError(
                f"--masks {folder} has no mask for {sample}; it would be {stem}.png, white where the object is."
            )
        found.append(prepare(decode_file(file), geometry).float().mean(dim=0) > 127.5)
    return torch.stack(found)


def _perturbed(
    predictor: "Predictor", data: "ImageData", attack: "Attacked", seed: int
) -> "tuple[torch.Tensor, torch.Tensor, torch.Tensor]":
    """Images, perturbations and gradients at the images, all on the CPU."""
    import torch

    from weatherglass.attacks.objective import Objective
    from weatherglass.data.classes import check_classes
    from weatherglass.data.geometry import prepare
    from weatherglass.data.several_labels import check_single_labels
    from weatherglass.types import Batch

    check_single_labels(attack, data)
    named = check_classes(data, predictor)
    pixels = torch.stack([prepare(named.image(row), predictor.preprocessing) for row in range(len(named))])
    images = (pixels.float() / 255).to(predictor.device)
    labels = torch.from_numpy(named.labels).to(predictor.device)
    found = attack.of_input(Batch(images, labels, named.ids), predictor, seed=seed)
    gradient = Objective(predictor, labels)(images).gradient
    assert gradient is not None
    return images.cpu(), (found - images).cpu(), gradient.cpu()


def _scaled(gradient: "torch.Tensor", radius: float) -> "torch.Tensor":
    """Each gradient with its 99th percentile at the radius, to be drawn on the scale of the perturbations."""
    import torch

    size = torch.quantile(gradient.abs().flatten(1)[:, :: max(1, gradient[0].numel() // 10_000)], 0.99, dim=1)
    return (gradient / size.clamp(min=1e-30)[:, None, None, None] * radius).clamp(-radius, radius)


def _write(images: "torch.Tensor", columns: "list[torch.Tensor]", pictures: int, output: Path) -> None:
    from PIL import Image

    from weatherglass.attacks.pictures import panel
    from weatherglass.evaluation.files import write_aside

    sheet = panel(images, columns, enlarge=max(1, 128 // images.shape[2]), shown=pictures)
    picture = Image.fromarray((sheet * 255).round().byte().permute(1, 2, 0).numpy())
    write_aside(output, lambda part: picture.save(part, format="PNG"))
