"""These rules integrate, interpolate, project, minimize and find roots."""

import jax.numpy as jnp
import numpy as np
from check.strangers.stranger import FIRST_ORDER, LOOSE, Stranger, array, normal, uniform


# Differential equations and integrals
def jax_odeint():
    from jax.experimental.ode import odeint

    ts = jnp.linspace(0.0, 1.0, 4)

    def rule(y, k):
        return odeint(lambda y, t, k: -k * y, y, ts.astype(y.dtype), k, rtol=1e-9, atol=1e-9)

    return (
        rule,
        (array([1.0, 2.0]), array([0.5, 1.5])),
        lambda y, k: y * jnp.exp(-k * ts[:, None].astype(y.dtype)),
    )


def diffrax_solve(adjoint):
    def make():
        import diffrax

        def rule(y, k):
            steps = diffrax.ConstantStepSize()
            if adjoint == "BacksolveAdjoint":
                steps = diffrax.PIDController(rtol=1e-10, atol=1e-10)
            solution = diffrax.diffeqsolve(
                diffrax.ODETerm(lambda t, y, k: -k * y),
                diffrax.Tsit5(),
                0.0,
                1.0,
                0.05,
                y,
                args=k,
                adjoint=getattr(diffrax, adjoint)(),
                stepsize_controller=steps,
                max_steps=1000,
            )
            return solution.ys[0]

        return rule, (array([1.0, 2.0]), array([0.5, 1.5])), None

    return make


def quadrature():
    import quadax

    def rule(a, b, k):
        return quadax.quadgk(
            lambda t, k: jnp.exp(-k * t) * jnp.cos(3 * t),
            jnp.stack([a, b]),
            args=(k,),
            epsabs=1e-12,
            epsrel=1e-12,
        )[0]

    def reference(a, b, k):
        def antiderivative(t):
            return jnp.exp(-k * t) * (3 * jnp.sin(3 * t) - k * jnp.cos(3 * t)) / (k**2 + 9)

        return antiderivative(b) - antiderivative(a)

    return rule, (array(0.2), array(1.5), array(0.7)), reference


# Interpolation
def diffrax_interpolation():
    import diffrax

    ts = jnp.linspace(0.0, 1.0, 5)

    def rule(ys, t):
        coefficients = diffrax.backward_hermite_coefficients(ts, ys)
        return diffrax.CubicInterpolation(ts, coefficients).evaluate(t)

    return rule, (normal(5, 2), array(0.37)), None


def interpax_spline(method):
    def make():
        import interpax

        x = np.linspace(0, 1, 6)
        return (
            lambda q, y: interpax.interp1d(q, x, y, method=method),
            (array([0.13, 0.52, 0.77]), normal(6)),
            None,
        )

    return make


# Roots and fixed points
def optimistix_root():
    import optimistix as optx

    def rule(a):
        solution = optx.root_find(
            lambda y, a: y**3 + a * y - 1.0,
            optx.Newton(rtol=1e-10, atol=1e-10),
            jnp.ones_like(a),
            args=a,
        )
        return solution.value

    def reference(a):  # Newton's method, unrolled
        y = jnp.ones_like(a)
        for _ in range(30):
            y = y - (y**3 + a * y - 1) / (3 * y**2 + a)
        return y

    return rule, (array([0.5, 2.0, 1.0]),), reference


def unrolled_fixed_point(x, w):
    y = jnp.zeros_like(x)
    for _ in range(80):
        y = jnp.tanh(w @ y + x)
    return y


def optimistix_fixed_point():
    import optimistix as optx

    def rule(x, w):
        return optx.fixed_point(
            lambda y, a: jnp.tanh(a[1] @ y + a[0]),
            optx.FixedPointIteration(rtol=1e-12, atol=1e-12),
            jnp.zeros_like(x),
            args=(x, w),
            max_steps=500,
        ).value

    return rule, (normal(3), normal(3, 3, scale=0.3)), unrolled_fixed_point


def jaxopt_fixed_point():
    from jaxopt import FixedPointIteration

    def rule(x, w):
        solver = FixedPointIteration(
            lambda y, x, w: jnp.tanh(w @ y + x), maxiter=200, tol=1e-12, implicit_diff=True
        )
        return solver.run(jnp.zeros_like(x), x, w).params

    return rule, (normal(3), normal(3, 3, scale=0.3)), unrolled_fixed_point


# Minima and projections
def optimistix_minimum():
    import optimistix as optx

    def rule(a, b):
        def objective(y, args):
            return jnp.sum((y - args[0]) ** 2) + jnp.sum(jnp.cosh(y * args[1]))

        solver = optx.BFGS(rtol=1e-9, atol=1e-9)
        return optx.minimise(objective, solver, jnp.zeros_like(a), args=(a, b), max_steps=400).value

    return rule, (normal(3), uniform(0.5, 1.5, 3)), None


def isotonic():
    from jaxopt._src import isotonic as module
    from jaxopt.isotonic import isotonic_l2_pav

    # Numba cannot read what JAX 0.10 hands to a callback, so Python runs the function instead.
    module._isotonic_l2_pav_numba = getattr(
        module._isotonic_l2_pav_numba, "py_func", module._isotonic_l2_pav_numba
    )

    def reference(y):  # element k: max over i <= k of min over j >= k of the mean of y[i..j]
        n = len(y)

        def least_mean(i, k):
            return jnp.min(jnp.stack([jnp.mean(y[i : j + 1]) for j in range(k, n)]))

        return jnp.stack(
            [jnp.max(jnp.stack([least_mean(i, k) for i in range(k + 1)])) for k in range(n)]
        )

    return isotonic_l2_pav, (array([0.3, -0.2, 0.9, 0.8, 0.1, 1.5]),), reference


def sparse_simplex():
    from jaxopt import projection

    return (
        lambda x: projection.projection_sparse_simplex(x, 3),
        (array([0.5, 0.1, -1.0, 0.9, 0.35]),),
        None,
    )


def simplex():
    import optax

    return optax.projections.projection_simplex, (array([0.5, 0.1, -1.0, 0.9, 0.3]),), None


def quadratic_program():
    from qpax.explicit.diff_qp import solve_qp_primal

    a, b = np.zeros((0, 3)), np.zeros(0)

    def rule(q, h):
        identity = jnp.eye(3, dtype=q.dtype)
        equalities = jnp.asarray(a, q.dtype), jnp.asarray(b, q.dtype)
        return solve_qp_primal(identity, q, *equalities, -identity, h, 1e-9, 1e-3, 50)

    return rule, (array([1.0, -2.0, 0.5]), array([0.1, 0.2, 0.3])), None


def sinkhorn_cost():
    from ott.geometry import pointcloud
    from ott.problems.linear import linear_problem
    from ott.solvers.linear import sinkhorn

    def rule(x, y):
        geometry = pointcloud.PointCloud(x, y, epsilon=0.5)
        return sinkhorn.Sinkhorn(threshold=1e-10, max_iterations=4000)(
            linear_problem.LinearProblem(geometry)
        ).reg_ot_cost

    return rule, (normal(3, 2), normal(4, 2)), None


RULES = [
    Stranger(
        "jax",
        "jax.experimental.ode.odeint",
        jax_odeint,
        True,
        "The adjoint equation is solved to 1e-9; the gradients equal those of y exp(-k t) to 1e-8.",
        "accuracy beyond its tolerance; forward mode",
        options={"tolerance": 1e-6, "transforms": FIRST_ORDER},
    ),
    Stranger(
        "diffrax",
        "diffeqsolve, RecursiveCheckpointAdjoint",
        diffrax_solve("RecursiveCheckpointAdjoint"),
        True,
        (
            "The steps have a fixed length, and the gradients are exact derivatives of the value "
            "computed with them: they equal differences to 1e-12."
        ),
        "forward mode",
    ),
    Stranger(
        "diffrax",
        "diffeqsolve, BacksolveAdjoint",
        diffrax_solve("BacksolveAdjoint"),
        True,
        "The adjoint equation is solved to 1e-10, and the gradients equal differences to 1e-10.",
        "accuracy beyond its tolerance; forward mode",
        options=LOOSE,
    ),
    Stranger(
        "quadax",
        "quadgk",
        quadrature,
        True,
        (
            "The derivatives follow Leibniz's rule, and the integrals are computed to 1e-12. "
            "The gradients equal those of the closed form."
        ),
        "accuracy beyond its tolerance",
        options=LOOSE,
    ),
    Stranger(
        "diffrax",
        "CubicInterpolation.evaluate",
        diffrax_interpolation,
        True,
        "The value is a polynomial in t and linear in y; the gradients equal differences to 1e-12.",
    ),
    Stranger(
        "interpax",
        "interp1d cubic2",
        interpax_spline("cubic2"),
        True,
        "The value is a cubic spline, linear in y; the gradients equal differences to 1e-11.",
    ),
    Stranger(
        "interpax",
        "interp1d monotonic",
        interpax_spline("monotonic"),
        True,
        (
            "The slopes are harmonic means, which are smooth away from changes of sign. "
            "The gradients equal differences to 1e-11."
        ),
    ),
    Stranger(
        "optimistix",
        "root_find, Newton",
        optimistix_root,
        True,
        "The gradient is that of the implicit function and equals that of Newton's steps unrolled.",
        "accuracy beyond its tolerance",
        options=LOOSE,
    ),
    Stranger(
        "optimistix",
        "fixed_point",
        optimistix_fixed_point,
        True,
        "The gradients are those of the implicit function; they equal those of the loop unrolled.",
        "accuracy beyond its tolerance",
        options=LOOSE,
    ),
    Stranger(
        "jaxopt",
        "FixedPointIteration.run",
        jaxopt_fixed_point,
        True,
        "The gradients are those of the implicit function; they equal those of the loop unrolled.",
        "accuracy beyond the tolerance of its linear solver",
        options=LOOSE,
    ),
    Stranger(
        "optimistix",
        "minimise, BFGS",
        optimistix_minimum,
        True,
        (
            "The gradients are those of the implicit function at the minimum, "
            "and they equal differences to 5e-6."
        ),
        "accuracy beyond its tolerance",
        options=LOOSE,
    ),
    Stranger(
        "jaxopt",
        "isotonic.isotonic_l2_pav",
        isotonic,
        True,
        (
            "The JVP divides the sum over each block by its size plus 1e-8, so it is right to "
            "1e-8. The reference writes the value as a maximum of minima of means."
        ),
        "precision beyond 1e-8; second derivatives, which are 0",
        options={"tolerance": 1e-6},
    ),
    Stranger(
        "jaxopt",
        "projection.projection_sparse_simplex",
        sparse_simplex,
        True,
        (
            "The 3 largest elements are projected onto the simplex. "
            "The gradient is that of this projection and equals differences to 1e-12."
        ),
        "a derivative where two elements are equally large",
    ),
    Stranger(
        "optax",
        "optax.projections.projection_simplex",
        simplex,
        True,
        (
            "The Jacobian is diag(s) - s s^T / sum(s), where s is 1 where the result is positive "
            "and else 0. It equals differences to 1e-12."
        ),
        "a derivative where a result becomes 0",
    ),
    Stranger(
        "qpax",
        "explicit.diff_qp.solve_qp_primal",
        quadratic_program,
        False,
        "The gradient is that of a problem relaxed by kappa = 1e-3, smoothed on purpose.",
    ),
    Stranger(
        "ott-jax",
        "solvers.linear.sinkhorn.Sinkhorn, reg_ot_cost",
        sinkhorn_cost,
        True,
        (
            "At the optimum the potentials may be held constant, and they are converged to 1e-10. "
            "The gradients equal differences to 1e-8."
        ),
        "accuracy beyond its tolerance",
        options={"tolerance": 1e-5, "transforms": ("jit",)},
    ),
]
