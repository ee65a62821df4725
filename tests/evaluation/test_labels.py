"""Labels that were sorted as text are noticed after the fact."""

from pathlib import Path

import numpy as np
from synthetic import make_protocol, new_store, observations_of

from weatherglass.evaluation.labels import label_warnings
from weatherglass.evaluation.protocol import Cell
from weatherglass.evaluation.record import CellRecord, Observations
from weatherglass.evaluation.runs import Run, runs_of
from weatherglass.tasks.classification import Classification


def run_with(path: Path, labels: np.ndarray, decisions: np.ndarray) -> Run:
    columns = dict(observations_of(labels == decisions, 100).columns)
    columns["prediction"] = decisions.astype(np.int32)
    store, protocol, cell = new_store(path), make_protocol(samples=len(labels)), Cell("model", "v2", "clean")
    scores = Classification().summarise(columns)
    record = CellRecord(
        key=cell.key(protocol), cell=cell, protocol=protocol, family="clean", kind="clean", severity=None, scores=scores
    )
    store.put(record, Observations(tuple(map(str, range(len(labels)))), labels, columns))
    return runs_of(store)[0]


def test_labels_sorted_as_text_are_noticed(tmp_path: Path) -> None:
    as_text = np.array(sorted(range(100), key=str))
    labels = np.arange(300) % 100
    (warning,) = label_warnings(run_with(tmp_path / "wrong", labels, as_text[labels]))
    assert "sorted as text" in warning
    assert label_warnings(run_with(tmp_path / "right", labels, labels)) == []
