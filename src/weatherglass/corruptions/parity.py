"""The parity certificate: how far our pixels agree with the reference's, corruption by corruption.

    python -m weatherglass.corruptions.parity --golden FOLDER -o docs/parity.md

FOLDER holds clean pictures (input), the exact results of the reference, masks of its coin tosses (exact, ambiguous) and
the statistics of the stochastic corruptions (stochastic_stats.json). Statistics of stochastic corruptions are computed
by the checker that comes with that folder, whose report (`--report checker.json`) is read with `--statistics`.
`--photographs FOLDER` compares the deterministic corruptions on fresh photographs with the installed package.
"""

import argparse
import json
import os
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from weatherglass.corruptions.engine import KERNEL_REVISION, corrupt
from weatherglass.corruptions.severity import CORRUPTIONS
from weatherglass.corruptions.suites import ALL
from weatherglass.errors import MissingExtra, UserError
from weatherglass.types import Pixels


def checker(images: Pixels, name: str, severity: int, seed: int) -> Pixels:
    """The signature that checkers of the reference data ask for: the 224-pixel constants at every size.

    WEATHERGLASS_FROST names the folder of reference textures, WEATHERGLASS_BACKEND the backend.
    """
    return corrupt(
        images,
        name,
        severity,
        seed=seed,
        calibration=224,
        frost=os.environ.get("WEATHERGLASS_FROST", "reference"),
        backend=os.environ.get("WEATHERGLASS_BACKEND", "auto"),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the certificate."""
    parser = argparse.ArgumentParser(prog="python -m weatherglass.corruptions.parity")
    parser.add_argument("--golden", type=Path, required=True, help="folder of reference data")
    parser.add_argument("--statistics", type=Path, help="report of the checker, JSON")
    parser.add_argument("--photographs", type=Path, help="folder of fresh photographs for the installed reference")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    sections = [_head(), *_exact_section(options.golden)]
    if options.statistics:
        sections += _stochastic_section(json.loads(options.statistics.read_text()))
    if options.photographs:
        sections += _fresh_section(options.photographs)
    aside = options.output.with_name(f".{options.output.name}.part")
    aside.write_text("\n".join(sections) + "\n")
    aside.replace(options.output)
    print(f"{options.output} written")


def _head() -> str:
    return (
        "# Parity certificate\n\nMade by `python -m weatherglass.corruptions.parity` on "
        f"{date.today().isoformat()}, kernel revision {KERNEL_REVISION}, torch {torch.__version__}. The reference is "
        "`imagecorruptions` 1.1.2 with numpy 1.26.4, scikit-image 0.19.3 and OpenCV 4.11.\n\n"
        "A level is 1/255. The reference truncates in double precision; where the true value is a whole number, "
        "rounding noise decides between two levels. Such *coin tosses* are marked in the reference data; one level of "
        "difference there is not counted, and listed on its own.\n"
    )


def _exact_section(golden: Path) -> list[str]:
    """Share within a level, largest difference, share of coin tosses: for each deterministic corruption and backend."""
    pictures = sorted((golden / "input").glob("*.png"))
    if not pictures:
        raise UserError(f"There is no reference data in {golden}: expected pictures in its folder 'input'.")
    lines = [
        "## Deterministic corruptions, on the reference data\n",
        "| corruption | severity | backend | identical | within 1 level | largest | coin tosses that differ |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    for name in (name for name in ALL if not CORRUPTIONS[name].stochastic):
        for severity in (1, 3, 5):
            for backend in ("torch", "numba"):
                counts = [_compared(golden, path, name, severity, backend) for path in pictures]
                difference = np.concatenate([difference for difference, _ in counts])
                tosses = sum(number for _, number in counts) / difference.size
                lines.append(
                    f"| {name} | {severity} | {backend} | {np.mean(difference == 0):.4%} | "
                    f"{np.mean(difference <= 1):.4%} | {difference.max()} | {tosses:.2%} |"
                )
    return [*lines, ""]


def _compared(golden: Path, path: Path, name: str, severity: int, backend: str) -> tuple[np.ndarray, int]:
    """Absolute differences without coin tosses, and the number of those."""
    ours = corrupt(_read(path), name, severity, calibration=224, backend=backend).numpy().astype(np.int16)
    wanted = _read(golden / "exact" / name / f"s{severity}" / path.name).numpy()
    difference = np.abs(ours - wanted)
    mask = golden / "ambiguous" / name / f"s{severity}" / path.name
    tosses = (difference == 1) & (_read(mask).numpy() > 0) if mask.exists() else np.zeros_like(difference, bool)
    difference[tosses] = 0
    return difference.ravel(), int(tosses.sum())


def _read(path: Path) -> torch.Tensor:
    with Image.open(path) as picture:
        return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)


def _stochastic_section(rows: list[dict]) -> list[str]:
    lines = [
        "## Stochastic corruptions, on the reference data\n",
        "49 statistics of 32 draws of each of 7 photographs against 64 draws of the reference: the largest z of any "
        "statistic and photograph (limit 5), the largest over all photographs together (limit 4.5), and the spread "
        "farthest from the reference's (limits 0.5 and 2).\n",
        "| corruption | severity | largest z | statistic | together | statistic | spread | statistic |",
        "|---|---|---:|---|---:|---|---:|---|",
    ]
    lines += [
        f"| {row['name']} | {row['severity']} | {row['z']:+.1f} | {row['z_stat']} | {row['z_agg']:+.1f} | "
        f"{row['agg_stat']} | {row['spread_ratio']:.2f} | {row['ratio_stat']} |"
        for row in rows
        if row["kind"] == "stochastic"
    ]
    passed = sum(row["ok"] for row in rows)
    return [*lines, f"\n{passed} of {len(rows)} checks of the checker pass, its contract checks among them.\n"]


def _fresh_section(folder: Path) -> list[str]:
    """Deterministic corruptions at all severities against the installed reference package."""
    try:
        import imagecorruptions  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise MissingExtra("imagecorruptions", "benchmark", "Comparing fresh photographs with the reference") from None
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    lines = [
        f"## Deterministic corruptions, on {len(files)} fresh photographs\n",
        "Against the reference package installed here, in its fork that runs on current NumPy, at full size; coin "
        "tosses are not marked: flat areas under a blur and doubled whole numbers (saturate 3) count as one level.\n",
        "| corruption | severity | identical | within 1 level | largest |",
        "|---|---|---:|---:|---:|",
    ]
    for name in (name for name in ALL if not CORRUPTIONS[name].stochastic):
        for severity in (1, 2, 3, 4, 5):
            differences = []
            for path in files:
                picture = _read(path)
                theirs = imagecorruptions.corrupt(picture.permute(1, 2, 0).contiguous().numpy(), severity, name)
                ours = corrupt(picture, name, severity, calibration=224).permute(1, 2, 0).numpy()
                differences.append(np.abs(ours.astype(np.int16) - theirs).ravel())
            difference = np.concatenate(differences)
            lines.append(
                f"| {name} | {severity} | {np.mean(difference == 0):.3%} | {np.mean(difference <= 1):.4%} | "
                f"{difference.max()} |"
            )
    return [*lines, ""]


if __name__ == "__main__":
    main()
