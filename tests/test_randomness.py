"""Draws: keyed by sample, free of state, well distributed."""

import numpy as np
import pytest
import torch

from weatherglass.randomness import FIRST_MULTIPLIER, GOLDEN, SECOND_MULTIPLIER, Draws, hash64


def test_rows_depend_on_their_own_id_alone() -> None:
    together = Draws(0, ["a", "b", "c"], "fog@3")
    for stream in ("first", "second"):
        assert torch.equal(Draws(0, ["c"], "fog@3").normal(stream, 5, 7)[0], together.normal(stream, 5, 7)[2])
        assert torch.equal(together[1:2].uniform(stream, 9), together.uniform(stream, 9)[1:2])


def test_everything_that_should_change_the_numbers_does() -> None:
    numbers = Draws(0, ["a"], "fog@3").uniform("s", 64)
    others = [
        Draws(1, ["a"], "fog@3").uniform("s", 64),
        Draws(0, ["b"], "fog@3").uniform("s", 64),
        Draws(0, ["a"], "fog@4").uniform("s", 64),
        Draws(0, ["a"], "fog@3").uniform("t", 64),
        Draws(0, ["a"], "fog@3").child("s").uniform("s", 64),
    ]
    assert all((numbers != other).float().mean() > 0.95 for other in others)


def test_ids_are_texts() -> None:
    assert torch.equal(Draws(0, [7], "x").uniform("s", 4), Draws(0, ["7"], "x").uniform("s", 4))


def test_label_and_stream_cannot_be_confused() -> None:
    assert not torch.equal(Draws(0, ["c"], "a").uniform("b:1:c", 4), Draws(0, ["c"], "a:1:b").uniform("c", 4))


def test_a_shorter_draw_is_the_beginning_of_a_longer_one() -> None:
    draws = Draws(3, ["a", "b"], "x")
    assert torch.equal(draws.normal("s", 10), draws.normal("s", 1000)[:, :10])


def test_global_generators_are_left_alone() -> None:
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    Draws(0, range(4), "x").normal("s", 100)
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])


def test_the_hash_is_the_documented_one() -> None:
    keys, counters = [0, 1, 2**63 + 5, 2**64 - 1], [0, 1, 77, 2**40]
    signed = torch.tensor([k - 2**64 if k >> 63 else k for k in keys])
    result = hash64(signed[:, None], torch.tensor(counters)).tolist()
    for key, row in zip(keys, result, strict=True):
        for counter, value in zip(counters, row, strict=True):
            bits = key ^ (counter * GOLDEN) % 2**64
            bits = (bits ^ bits >> 30) * FIRST_MULTIPLIER % 2**64
            bits = (bits ^ bits >> 27) * SECOND_MULTIPLIER % 2**64
            assert value % 2**64 == bits ^ bits >> 31


@pytest.mark.parametrize("seed", [0, 1, 12345678901234567890])
def test_uniform_normal_and_integers_are_what_they_say(seed: int) -> None:
    draws = Draws(seed, range(8), "distribution")
    count = 8 * 50_000
    uniform = draws.uniform("u", 50_000)
    assert uniform.min() >= 0 and uniform.max() < 1
    shares = torch.histc(uniform, 50, 0, 1) / count
    assert (shares * 50 - 1).abs().max() < 5 * (50 / count) ** 0.5
    normal = draws.normal("n", 50_000)
    assert abs(normal.mean()) < 5 / count**0.5
    assert abs(normal.var() - 1) < 5 * (2 / count) ** 0.5
    assert abs((normal**4).mean() - 3) < 5 * (96 / count) ** 0.5 + 0.01
    integers = draws.integers("i", 6, 50_000)
    assert integers.min() == 0 and integers.max() == 5
    assert (integers.flatten().bincount() / count * 6 - 1).abs().max() < 5 * (6 / count) ** 0.5


def test_neighbours_rows_and_streams_are_uncorrelated() -> None:
    draws = Draws(0, range(4), "correlation")
    normal = draws.normal("n", 100_000)
    limit = 5 / 100_000**0.5
    for lag in (1, 2, 3, 4, 16, 224):
        assert ((normal[:, lag:] * normal[:, :-lag]).mean(1)).abs().max() < limit
    assert (torch.corrcoef(normal) - torch.eye(4)).abs().max() < limit
    assert (normal * draws.normal("other", 100_000)).mean(1).abs().max() < limit


def test_integers_refuse_an_empty_range() -> None:
    with pytest.raises(ValueError, match="high"):
        Draws(0, ["a"], "x").integers("s", 0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_draws_the_same_numbers() -> None:
    draws = Draws(0, range(3), "x")
    for kind in ("uniform", "normal", "bits16"):
        method = getattr(draws, kind)
        assert torch.equal(method("s", 1001), method("s", 1001, device="cuda").cpu())
