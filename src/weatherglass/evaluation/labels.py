"""Do the labels of a measured run mean what the outputs mean? Seen from what the model decided."""

from weatherglass.data.validate import string_sorted
from weatherglass.evaluation.runs import Run


def label_warnings(run: Run) -> list[str]:
    """A sentence where the clean decisions say that numbered classes were sorted as text (0, 1, 10, 100, ...)."""
    if run.clean is None or run.protocol.task != "classification":
        return []
    seen = run.observations("clean")
    classes = int(max(seen.labels.max(), seen.columns["prediction"].max())) + 1
    if classes <= 10 or not string_sorted(seen.columns["prediction"].tolist(), seen.labels.tolist(), classes):
        return []
    return [
        f"{run.model} on {run.data}: the decisions fit labels that were sorted as text (10 before 2, as torchvision's "
        f"ImageFolder sorts). Read the folder with imagenet-v2: or imagefolder:, which read numbers as numbers."
    ]
