"""The attacks by name, with their norms, defaults and radius sweeps. A table without torch."""

from dataclasses import dataclass

from weatherglass.catalog import Catalog

LINF_SWEEP = ("0.25/255", "0.5/255", "1/255", "2/255", "4/255", "8/255")
L2_SWEEP = ("0.05", "0.1", "0.25", "0.5", "1", "2")


@dataclass(frozen=True)
class Attack:
    """One attack: what it ascends in which norm, and how hard by default."""

    norm: str
    """'linf' or 'l2', of the perturbation of pixels in [0, 1]."""
    description: str
    steps: int = 1
    """Gradient steps by default; 0 where the attack decides itself."""
    gradient: bool = True
    """Whether it needs gradients of the model."""
    options: tuple[str, ...] = ()
    """Options that its text form accepts, as in 'pgd:steps=50,restarts=2@2/255'."""

    @property
    def sweep(self) -> tuple[str, ...]:
        """The radii that the bare name stands for."""
        return LINF_SWEEP if self.norm == "linf" else L2_SWEEP


_ITERATED = ("steps", "step", "restarts", "start", "exit")

ATTACKS: Catalog[Attack] = Catalog(
    "attack",
    {
        "fgsm": Attack("linf", "One step along the sign of the gradient (Goodfellow et al. 2015)"),
        "pgd": Attack("linf", "Projected gradient steps in the max norm (Madry et al. 2018)", 40, options=_ITERATED),
        "pgd_l2": Attack("l2", "Projected gradient steps in the Euclidean norm", 40, options=_ITERATED),
        "mifgsm": Attack("linf", "Gradient steps with momentum (Dong et al. 2018)", 10, options=("steps", "momentum")),
        "autoattack": Attack(
            "linf", "The standard AutoAttack ensemble (Croce & Hein 2020); extra 'attack'", 0, options=("version",)
        ),
        "autoattack_l2": Attack("l2", "The same in the Euclidean norm; extra 'attack'", 0, options=("version",)),
        "random_sign": Attack("linf", "Random signs of the same radius: the control of every attack", gradient=False),
    },
)


@dataclass(frozen=True)
class SpatialSearch:
    """One family of rotations and shifts."""

    description: str


SPATIAL: Catalog[SpatialSearch] = Catalog(
    "spatial attack",
    {
        "rotation_translation": SpatialSearch("The worst of 31 rotations x 25 shifts (Engstrom et al. 2019)"),
        "rotation": SpatialSearch("The worst of 31 rotations up to 30 degrees"),
        "translation": SpatialSearch("The worst of 25 shifts up to 3/28 of the side"),
    },
)
"""Their options: angle (degrees), angles, shift (share of the side), shifts, draws (random ones, not the grid)."""

SPATIAL_OPTIONS = ("angle", "angles", "shift", "shifts", "draws")
