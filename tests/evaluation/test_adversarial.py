"""Attacks that cannot be believed are pointed out; those that can are left in peace."""

from pathlib import Path

import numpy as np
from synthetic import new_store

from weatherglass.evaluation.adversarial import attack_results, attack_warnings
from weatherglass.evaluation.protocol import Cell
from weatherglass.evaluation.record import CellRecord
from weatherglass.evaluation.runs import Run, runs_of
from weatherglass.tasks.classification import Classification


def run_with(path: Path, kept: dict[str, float], *, moved: bool = True) -> Run:
    """A run of 200 images, of which the given shares are right; the loss of an attacked image moves, or not."""
    from synthetic import make_protocol, observations_of

    store = new_store(path)
    protocol = make_protocol(samples=200)
    for text, share in kept.items():
        observations = observations_of(np.arange(200) < 200 * share)
        if moved and text != "clean":
            observations.columns["nll"] += 0.01
        kind, _, radius = text.partition("@")
        store.put(
            CellRecord(
                key=Cell("model", "data", text).key(protocol),
                cell=Cell("model", "data", text),
                protocol=protocol,
                family="clean" if text == "clean" else "attack",
                kind=kind,
                severity=float(radius) if radius else None,
                scores=Classification().summarise(observations.columns),
            ),
            observations,
        )
    return runs_of(store)[0]


def test_accuracy_and_success(tmp_path: Path) -> None:
    run = run_with(tmp_path, {"clean": 0.8, "pgd@0.02": 0.2, "pgd@0.01": 0.4})
    small, large = attack_results(run)
    assert (small.disturbance, large.disturbance) == ("pgd@0.01", "pgd@0.02")
    assert small.accuracy.value == 0.4
    assert small.success is not None
    assert small.success.value == 0.5
    assert small.success.low < 0.5 < small.success.high


def test_sound_attacks_raise_no_warning(tmp_path: Path) -> None:
    kept = {"clean": 0.9, "fgsm@0.01": 0.5, "pgd@0.01": 0.4, "autoattack@0.01": 0.39, "random_sign@0.01": 0.85}
    assert attack_warnings(run_with(tmp_path, kept | {"pgd@0.02": 0.1})) == []


def test_each_doubt_has_its_words(tmp_path: Path) -> None:
    cases = {
        "larger radius": {"clean": 0.9, "pgd@0.01": 0.3, "pgd@0.02": 0.5},
        "than the weaker fgsm": {"clean": 0.9, "fgsm@0.01": 0.3, "pgd-50@0.01": 0.5},
        "than the weaker pgd": {"clean": 0.9, "pgd@0.01": 0.3, "autoattack@0.01": 0.5},
        "hardly uses the model": {"clean": 0.9, "pgd@0.01": 0.6, "random_sign@0.01": 0.65},
    }
    for words, kept in cases.items():
        (warning,) = attack_warnings(run_with(tmp_path / words, kept))
        assert words in warning
    (masked,) = attack_warnings(run_with(tmp_path / "masked", {"clean": 0.9, "pgd@0.01": 0.9}, moved=False))
    assert "gradient is zero" in masked
