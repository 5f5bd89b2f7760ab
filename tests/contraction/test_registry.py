"""Every form, taken from the registry: reached by every way in, and right in all of them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxconv
from contraction.calls import drawn, factors, lowered, of, recorded
from jaxconv.check.catalogue import CATALOGUE
from jaxconv.check.catalogue.large import EVERY_FORM, large
from jaxconv.contraction import apart, planning, registry
from jaxconv.contraction.form import Form
from jaxconv.contraction.planning import Call

OPS = ("conv", "conv_transpose", "conv_general_dilated")
GENERAL = ("plain", "empty")
FAST = [form for form in registry.FORMS if form.available and form.name not in GENERAL]
each_form = pytest.mark.parametrize("form", FAST, ids=lambda f: f"{f.contraction}-{f.name}")

WAYS = {
    f"{op}, way {way}": (op, [n for n in CATALOGUE[op].forms if n % CATALOGUE[op].ways == way])
    for op in OPS
    for way in range(CATALOGUE[op].ways)
}


def both_passes(op, sample):
    """Forward and backward, as a function of the sample's arrays."""

    def run(*arrays):
        y, pull = jax.vjp(sample.bind(op), *arrays)
        return y, *pull(jnp.ones_like(y))

    return run


def of_dtype(sample, dtype):
    return [jax.ShapeDtypeStruct(a.shape, dtype) for a in sample.arrays.values()]


@pytest.mark.thorough
@pytest.mark.parametrize("vmap", [False, True], ids=["", "vmap"])
@pytest.mark.parametrize("way", WAYS)
def test_every_form_is_reached_by_every_way_in(way, vmap, monkeypatch):
    """But for those of an input dilation beside a stride, which lax's signature alone can say."""
    op, numbers = WAYS[way]
    taken = recorded(monkeypatch)
    for number in numbers:
        sample = CATALOGUE[op].sample(number)
        run = both_passes(getattr(jaxconv, op), sample)
        arrays = of_dtype(sample, jnp.float32)
        if vmap:
            run = jax.vmap(run)
            # With more than one it would be another convolution, which may take another form.
            arrays = [jax.ShapeDtypeStruct((1, *a.shape), a.dtype) for a in arrays]
        lowered(run, *arrays)
    missing = [
        f"{form.contraction}: {form.name}"
        for form in FAST
        if not any((form.contraction, form.name, p) in taken for p in form.platforms)
        and not (op != "conv_general_dilated" and form.input_dilation)
    ]
    assert not missing


def test_a_form_that_nobody_reaches_is_noticed(monkeypatch):
    unreached = Form(
        name="never", contraction="correlate", platforms=("cpu",), when="never",
        applies=lambda spec, batch, dtype: False, run=lambda *_: None,
    )  # fmt: skip
    monkeypatch.setitem(globals(), "FAST", [*FAST, unreached])
    with pytest.raises(AssertionError, match="correlate: never"):
        test_every_form_is_reached_by_every_way_in("conv, way 0", False, monkeypatch)


@partial(jax.jit, static_argnums=(0, 1, 2))
def against_autodiff(op, reference, sample, arrays, dy):
    return [
        (y, *pull(dy)) for y, pull in (jax.vjp(sample.bind(f), *arrays) for f in (op, reference))
    ]


def whole_numbers(shape, seed):
    # float32, because some forms are for it alone; sums of these are below 2**24.
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(np.float32)


@pytest.mark.thorough
@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("number", range(len(EVERY_FORM) + 4))
def test_every_way_in_is_the_reference_to_the_last_bit(op, number):
    """Value and gradients, of the convolution with this number; the last four are drawn."""
    record = CATALOGUE[op]
    for way in range(record.ways):
        sample = record.sample(record.forms[0] + number * record.ways + way)
        arrays = [whole_numbers(a.shape, seed) for seed, a in enumerate(sample.arrays.values())]
        y = jax.eval_shape(sample.bind(record.op), *arrays)
        dy = whole_numbers(y.shape, 9)
        got, want = against_autodiff(record.op, record.reference, sample, arrays, dy)
        for mine, theirs in zip(got, want, strict=True):
            assert mine.dtype == theirs.dtype
            np.testing.assert_array_equal(mine, theirs)


@pytest.mark.thorough
@each_form
def test_a_form_is_the_plain_one_to_the_last_bit(form):
    """Where it applies, in each dtype that it applies to; and ∞ goes where it is seen."""
    tried = 0
    for spec, batch in map(large, range(len(EVERY_FORM))):
        for asked in ("correlate", "input_gradient", "kernel_gradient"):
            roles = planning.simplest(asked, spec)
            if roles.contraction != form.contraction:
                continue
            if not form.input_dilation and max(roles.spec.input_dilation) > 1:
                continue
            for dtype in (np.float32, np.float64):
                if form.applies(roles.spec, batch, np.dtype(dtype)):
                    tried += 1
                    assert_is_plain(form, roles.spec, batch, dtype)
    assert tried


def assert_is_plain(form, spec, batch, dtype):
    left, right = of(form.contraction, *factors(spec, batch, dtype))
    call = Call(form.platforms[0])

    @jax.jit
    def both(left, right):
        got = form.run(spec, left, right, call)
        return got, call.plain(form.contraction, spec, left, right)

    got, want = both(left, right)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)
    # One element of an image, x or dy, is ∞. (Of a kernel each element meets the padding, which the
    # plain form multiplies, and so do forms that are made of it.) The plain form multiplies zeros
    # that it puts between the elements, too; so what sees the element is found with finite numbers.
    image = form.contraction == "input_gradient"
    factors_of = [left, right]
    spoilt, alone = factors_of[image].copy(), np.zeros_like(factors_of[image])
    spoilt.flat[spoilt.size // 2], alone.flat[spoilt.size // 2] = np.inf, 1
    ones = np.ones_like(factors_of[not image])
    _, seen = both(*((ones, alone) if image else (alone, ones)))
    got, _ = both(*((left, spoilt) if image else (spoilt, right)))
    np.testing.assert_array_equal(np.isfinite(got), seen == 0)


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(60))
def test_any_spec_however_small(seed, monkeypatch):
    """All three contractions of small random specs, with no limit on the work."""
    no_limits(monkeypatch)
    if seed % 3:
        monkeypatch.setattr(apart, "LARGE_KERNEL", 0)
        monkeypatch.setattr(apart, "LARGE_KERNEL_GRADIENT", 0)
    spec, batch = drawn(seed, **({} if seed % 2 else {"input_dilation": 1}))
    x, w, dy = factors(spec, batch)
    for asked in ("correlate", "input_gradient", "kernel_gradient"):
        left, right = of(asked, x, w, dy)
        got = jax.jit(partial(Call("cpu").run, asked, spec))(left, right)
        want = jax.jit(partial(Call().plain, asked, spec))(left, right)
        np.testing.assert_array_equal(got, want, err_msg=f"{asked} of {spec}")


def no_limits(monkeypatch):
    """As if work, channels and the version of JAX were no matter."""
    from jaxconv import contraction

    for module in vars(contraction).values():
        for limit in vars(module) if hasattr(module, "FORMS") else ():
            if limit.startswith(("LEAST_WORK", "LEAST_PAIRS", "MUCH_WORK", "MANY_NUMBERS")):
                monkeypatch.setattr(module, limit, 0)
    monkeypatch.setattr(apart, "LEAST_CHANNELS", 0)
    monkeypatch.setattr(apart, "LEAST_EXAMPLES", 1)
    monkeypatch.setattr(apart, "WIDEST", 8)


def test_the_plain_form_is_last_and_applies_always():
    for contraction in ("correlate", "input_gradient", "kernel_gradient"):
        for platform in ("cpu", "cuda", "tpu", None):
            *_, last = registry.forms_of(contraction, platform)
            assert last.name == "plain"
            assert last.applies(large(0).spec, 1, np.dtype(np.float32))
    names = [(form.contraction, form.name) for form in registry.FORMS]
    assert len(set(names)) == len(names)
