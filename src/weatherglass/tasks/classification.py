"""Classification: what is kept for each sample, and the scores of a whole cell."""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from weatherglass.metrics.classification import expected_calibration_error, mean_score, top_k_accuracy
from weatherglass.metrics.flips import TOP, flips, top5_distances, zipf_distances
from weatherglass.tasks.task import InvalidOutput


class Classification:
    """Single-label classification over a fixed set of classes. Final."""

    name = "classification"
    headline = "top1"

    def observe(self, output: Float[Tensor, "batch classes"], labels: Int[Tensor, " batch"]) -> dict[str, np.ndarray]:
        """What is kept for each sample.

        `prediction` int32; `rank` int32, position of the true class among the outputs, 0 = largest (ties count
        against the model); `confidence` float32, largest softmax probability; `nll` float32, negative
        log-likelihood in nats; `brier` float32, squared distance between softmax and one-hot label, in [0, 2].
        Raises `InvalidOutput` when an output is not finite.
        """
        if not torch.isfinite(output).all():
            bad = int((~torch.isfinite(output)).any(dim=1).sum())
            raise InvalidOutput(f"the model returned NaN or infinite outputs for {bad} of {len(output)} images")
        output = output.double()
        labels = labels.to(output.device)
        log_probability = output.log_softmax(dim=1)
        probability = log_probability.exp()
        true_output = output.gather(1, labels[:, None])
        true_probability = probability.gather(1, labels[:, None]).squeeze(1)
        # A class with exactly the same output as the true one is counted as ahead of it: a constant model
        # must not score 100 %.
        rank = (output >= true_output).sum(dim=1) - 1
        prediction = torch.where(rank == 0, labels, output.scatter(1, labels[:, None], -torch.inf).argmax(dim=1))
        kept = {
            "prediction": prediction.int(),
            "rank": rank.int(),
            "confidence": probability.amax(dim=1).float(),
            "nll": -log_probability.gather(1, labels[:, None]).squeeze(1).float(),
            "brier": (probability.square().sum(dim=1) - 2 * true_probability + 1).clamp(min=0).float(),
        }
        return {name: value.cpu().numpy() for name, value in kept.items()}

    def observe_frames(
        self, outputs: Float[Tensor, "frames batch classes"], labels: Int[Tensor, " batch"], *, noise: bool
    ) -> dict[str, np.ndarray]:
        """What is kept of each sequence: the columns of `observe` for its last frame, and how the outputs changed.

        `best` int32, (frames, 5), the classes of the largest outputs of every frame, best first; `flips` float32,
        share of the steps at which the prediction changed; `top5_distance` and `zipf_distance` float32, mean over the
        steps (`metrics.flips`). Of equal outputs the lower class counts as the larger, in all of these.
        """
        kept = self.observe(outputs[-1], labels)
        if not torch.isfinite(outputs).all():
            raise InvalidOutput("the model returned NaN or infinite outputs for some frames of a sequence")
        order = outputs.argsort(dim=2, descending=True, stable=True)
        best = order[:, :, :TOP].int().cpu().numpy()  # frames batch top
        ranks = order.argsort(dim=2).cpu().numpy() + 1
        return kept | {
            "best": np.ascontiguousarray(best.swapaxes(0, 1)),
            "flips": flips(best[..., 0], noise=noise).mean(axis=0, dtype=np.float32),
            "top5_distance": top5_distances(best, noise=noise).mean(axis=0, dtype=np.float32),
            "zipf_distance": zipf_distances(ranks, noise=noise).mean(axis=0, dtype=np.float32),
        }

    def summarise(self, observations: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Scores of one cell: `top1`, `top5`, `ece` in [0, 1]; `nll` in nats; `brier` in [0, 2].

        Of a sequence these belong to its last frame; and `flips`, `top5_distance`, `zipf_distance`, means over images.
        """
        rank = observations["rank"]
        changes = ("flips", "top5_distance", "zipf_distance")
        return {name: mean_score(observations[name]) for name in changes if name in observations} | {
            "top1": top_k_accuracy(rank, 1),
            "top5": top_k_accuracy(rank, 5),
            "ece": expected_calibration_error(observations["confidence"], rank == 0),
            "nll": mean_score(observations["nll"]),
            "brier": mean_score(observations["brier"]),
        }
