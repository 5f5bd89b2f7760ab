"""Who takes part, and in which order."""

import jax.numpy as jnp
import pytest

import jaxconv
from jaxconv._core.work import Work
from jaxconv.bench import contestants, pytorch
from jaxconv.bench.contestants import AGAIN, Timing, Turn, compiled, measure, noise
from jaxconv.bench.floors import Ceilings
from jaxconv.bench.subject import Program

NAMES = {"ours", "autodiff", "ours + options", "autodiff + options", AGAIN}


class Doubling:
    """A subject that is no work."""

    def on_jax(self, ops):
        return {"forward": Program(lambda x: x + x, (jnp.ones(3),))}

    def on_torch(self, device):
        return {"forward": lambda: device}

    def residual_bytes(self, ops):
        return 12 if ops is jaxconv else None

    def work(self):
        return {"forward": [Work(0, 24)]}


@pytest.mark.parametrize("torch", [True, False])
@pytest.mark.parametrize("options", [True, False])
def test_everybody_takes_part(torch, options, monkeypatch):
    monkeypatch.setattr(pytorch, "device_like", lambda platform: platform if torch else None)
    if not options:
        monkeypatch.setattr(jaxconv, "compiler_options", lambda platform, **_: {})
    monkeypatch.setattr(contestants, "MORE", 1)
    result = measure(Doubling(), 3, "cpu", Ceilings(1, 24_000))
    names = NAMES if options else {"ours", "autodiff", AGAIN}
    assert set(result.timings["forward"]) == (names | {"PyTorch"} if torch else names)
    assert all(len(timing.seconds) == 3 for timing in result.timings["forward"].values())
    assert result.floor_ms == {"forward": pytest.approx(1)}
    assert result.residual_bytes == {"ours": 12}


def test_fewer_can_take_part(monkeypatch):
    monkeypatch.setattr(contestants, "MORE", 1)
    for who in (contestants.DEFAULTS, contestants.OURS_TWICE):
        result = measure(Doubling(), 1, "cpu", Ceilings(1, 24_000), who)
        assert sorted(result.timings["forward"]) == sorted(who)
        assert noise(result.timings["forward"]) >= 0


def test_noise_is_that_of_whoever_takes_part_twice():
    timings = {"ours": Timing(seconds=[0.010]), "autodiff": Timing(seconds=[0.020])}
    assert noise(timings | {"ours again": Timing(seconds=[0.009])}) == pytest.approx(0.1)
    assert noise(timings | {AGAIN: Timing(seconds=[0.021])}) == pytest.approx(0.05)


def test_turns_of_every_round_are_in_an_order_of_its_own(monkeypatch):
    monkeypatch.setattr(contestants, "MORE", 1)
    calls = []
    waited = []
    contest = [
        (Turn(lambda name=name: calls.append(name), waited.append), Timing()) for name in "abcd"
    ]
    contestants.take_turns(contest, 4)
    rounds = ["".join(calls[i : i + 8]) for i in range(0, 32, 8)]
    assert all(one[::2] == one[1::2] for one in rounds)  # a turn is two calls, one after the other
    assert all(sorted(one[::2]) == list("abcd") for one in rounds)
    assert len(set(rounds)) > 2
    assert len(waited) == len(calls)
    assert [len(timing.seconds) for _, timing in contest] == [4] * 4


def test_what_is_quick_takes_more_turns(monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(contestants.time, "perf_counter", lambda: next(clock))
    for enough, turns in ((0, 2), (10, 3), (1000, 20)):
        monkeypatch.setattr(contestants, "ENOUGH_S", enough)
        timing = Timing()
        contestants.take_turns([(Turn(lambda: None, lambda _: None), timing)], 2)
        assert len(timing.seconds) == turns


@pytest.mark.parametrize(("tick", "calls"), [(0.004, 3), (0.02, 1), (1e-4, 5)])
def test_calls_that_are_waited_for_together(tick, calls, monkeypatch):
    """As many as take a hundredth of a second, if a call takes so long; 5 at most."""
    clock = [0.0]
    monkeypatch.setattr(contestants.time, "perf_counter", lambda: clock[0])
    waited = []

    def run():
        clock[0] += tick
        return len(waited)

    turn = Turn(run, waited.append, most=5)
    assert turn.calls == calls
    assert turn.seconds_a_call() == pytest.approx(tick)
    assert waited == [0, 1, 2]


def test_equal_programs_are_equal_whatever_their_names():
    def one(x):
        return jnp.sin(x) + 1

    def other(y):
        z = jnp.sin(y)
        return z + 1

    x = jnp.ones(4)
    programs = [
        compiled(Program(f, (x,)), {})[1].program for f in (one, other, lambda x: jnp.cos(x) + 1)
    ]
    assert programs[0] == programs[1] != programs[2]


@pytest.mark.parametrize("again", [False, True])
def test_the_compiler_is_timed_and_asked(again):
    program = Program(lambda x: x @ x.T, (jnp.ones((4, 4)),))
    run, timing = compiled(program, {}, again=again)
    assert run().tolist() == [[4.0] * 4] * 4
    assert timing.compile_s > 0
    assert timing.temporary_bytes >= 0
    assert timing.seconds == []


def test_the_median():
    timing = Timing(seconds=[0.003, 0.001, 0.009])
    assert timing.median_ms == 3
    assert timing.summary() == pytest.approx((0.001, 0.002, 0.003, 0.006, 0.009))
    assert Timing(seconds=[0.5]).summary() == (0.5,) * 5
