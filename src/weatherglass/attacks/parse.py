"""From text to attacks: 'pgd@8/255', 'pgd-50:restarts=2,start=random@2/255', 'autoattack_l2@0.5'."""

import math
import re
from collections.abc import Mapping
from dataclasses import replace

from weatherglass.attacks.disturbance import Attacked, default_ascent, with_steps
from weatherglass.attacks.names import ATTACKS, SPATIAL_OPTIONS
from weatherglass.attacks.spatial import Moved, Spatial
from weatherglass.errors import UserError


def split_text(text: str) -> tuple[str, dict[str, str], str]:
    """'name-steps:option=value@radius' as name, options and what follows the '@' (empty where nothing does)."""
    head, _, after = text.strip().partition("@")
    name, _, listed = head.partition(":")
    options: dict[str, str] = {}
    if steps := re.fullmatch(r"(.+)-(\d+)", name):
        name, options["steps"] = steps[1], steps[2]
    for item in filter(None, listed.split(",")):
        option, equals, value = item.partition("=")
        if not equals:
            raise UserError(f"'{text}': an option is written name=value, got '{item}'.")
        if option in options:
            raise UserError(f"'{text}': {option} is given twice.")
        options[option.strip()] = value.strip()
    return name, options, after


def parse_attack(text: str) -> Attacked:
    """The attack that `text` names. Raises `UnknownName` and `UserError` with what is accepted."""
    name, options, after = split_text(text)
    attack = ATTACKS[name]
    if not after:
        raise UserError(f"The attack '{text}' needs a radius: write e.g. {name}@{attack.sweep[2]}.")
    accept_options(text, name, options, attack.options)
    radius = parse_number(after, f"the radius of '{text}'")
    if name.startswith("autoattack"):
        return Attacked(name, radius, version=options.get("version", "standard"))
    ascent = default_ascent(name)
    assert ascent is not None
    if "steps" in options:
        ascent = with_steps(ascent, _whole(options["steps"], "steps", text), name)
    if "step" in options:
        ascent = replace(ascent, step=parse_number(options["step"], f"the step of '{text}'"))
    if "restarts" in options:
        ascent = replace(ascent, restarts=_whole(options["restarts"], "restarts", text))
    if "momentum" in options:
        ascent = replace(ascent, momentum=parse_number(options["momentum"], f"the momentum of '{text}'"))
    if "start" in options:
        ascent = replace(ascent, start=options["start"])
    if options.get("exit", "early") not in ("early", "never"):
        raise UserError(f"'{text}': exit is early or never, got '{options['exit']}'.")
    return Attacked(name, radius, replace(ascent, early_exit=ascent.early_exit and options.get("exit") != "never"))


def parse_spatial(text: str) -> Spatial:
    """The spatial attack that `text` names: 'rotation_translation', 'rotation:angle=15,angles=7', '...:draws=10'."""
    name, options, after = split_text(text)
    if after:
        raise UserError(f"'{text}': {name} has no radius; its reach is given as {name}:angle=30,shift=3/28.")
    accept_options(text, name, options, SPATIAL_OPTIONS)
    spatial = Spatial(name)
    for option in ("angle", "shift"):
        if option in options:
            spatial = replace(spatial, **{option: parse_number(options[option], f"the {option} of '{text}'")})
    for option in ("angles", "shifts", "draws"):
        if option in options:
            spatial = replace(spatial, **{option: _whole(options[option], option, text)})
    return spatial


def parse_moved(text: str) -> Moved:
    """One rotation and shift: 'moved:angle=10,down=2,right=-1', in degrees and pixels."""
    name, options, after = split_text(text)
    if after or not options:
        raise UserError(f"'{text}': a move is written moved:angle=10,down=2,right=-1, in degrees and pixels.")
    accept_options(text, name, options, ("angle", "down", "right"))
    return Moved(**{option: parse_number(value, f"the {option} of '{text}'") for option, value in options.items()})


def accept_options(text: str, name: str, given: Mapping[str, str], known: tuple[str, ...]) -> None:
    """Raise `UserError` for an option that `name` does not have."""
    for option in given:
        if option not in known:
            accepted = f"it has {', '.join(known)}" if known else "it has none"
            raise UserError(f"'{text}': {name} has no option '{option}'; {accepted}.")


def parse_number(text: str, what: str) -> float:
    """A decimal or a fraction such as 8/255 as a finite float. Raises `UserError` naming `what`."""
    top, slash, bottom = text.partition("/")
    try:
        number = float(top) / float(bottom) if slash else float(top)
    except (ValueError, ZeroDivisionError):
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"'{text}' is no number for {what}: write a decimal or a fraction such as 2/255.")
    return number


def _whole(value: str, option: str, text: str) -> int:
    if not re.fullmatch(r"0*[1-9]\d{0,8}", value):
        raise UserError(f"'{text}': {option} is a whole number of at least 1, got '{value}'.")
    return int(value)
