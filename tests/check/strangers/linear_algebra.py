"""These rules solve linear equations and decompose matrices."""

import jax
import jax.numpy as jnp
import numpy as np
from check.strangers.stranger import FIRST_ORDER, LOOSE, Stranger, array, normal
from jax.scipy.sparse.linalg import cg


def positive_definite(factor):
    return factor @ factor.T + jnp.eye(len(factor), dtype=factor.dtype)


def solve_positive_definite(factor, b):
    return jnp.linalg.solve(positive_definite(factor), b)


def least_squares(a, b):
    return jnp.linalg.solve(a.T @ a, a.T @ b)


# JAX
def eigenvectors():
    def rule(a):
        w, v = jnp.linalg.eigh(a)
        return w, v[:, :1] * v[:, :1].T

    a = normal(4, 4)
    return rule, (a + a.T + np.diag([0, 3.0, 6, 9]),), None


def conjugate_gradients():
    def rule(factor, b):
        return cg(lambda x: positive_definite(factor) @ x, b, tol=1e-12)[0]

    return rule, (normal(4, 4), normal(4)), solve_positive_definite


# Lineax
def two_norm():
    import lineax

    return (
        lambda x: lineax.internal.two_norm(x),
        ({"a": normal(3), "b": normal(2, 2)},),
        lambda x: jnp.sqrt(jnp.sum(x["a"] ** 2) + jnp.sum(x["b"] ** 2)),
    )


def lineax_lu():
    import lineax

    return (
        lambda a, b: lineax.linear_solve(lineax.MatrixLinearOperator(a), b, lineax.LU()).value,
        (normal(4, 4) + 3 * np.eye(4), normal(4)),
        jnp.linalg.solve,
    )


def lineax_qr():
    import lineax

    return (
        lambda a, b: lineax.linear_solve(lineax.MatrixLinearOperator(a), b, lineax.QR()).value,
        (normal(6, 3), normal(6)),
        least_squares,
    )


def lineax_gmres():
    import lineax

    solver = lineax.GMRES(rtol=1e-10, atol=1e-10)
    return (
        lambda a, b: lineax.linear_solve(lineax.MatrixLinearOperator(a), b, solver).value,
        (normal(4, 4) + 3 * np.eye(4), normal(4)),
        jnp.linalg.solve,
    )


def lineax_cholesky():
    import lineax

    def rule(factor, b):
        a = positive_definite(factor)
        operator = lineax.MatrixLinearOperator(a, lineax.positive_semidefinite_tag)
        return lineax.linear_solve(operator, b, lineax.Cholesky()).value

    return rule, (normal(3, 3), normal(3)), solve_positive_definite


# NIFTy
def nifty_sqrtm(is_symmetrized):
    def make():
        from nifty.re.tree_math.util import sqrtm

        a = normal(3, 3)
        a = a @ a.T + np.eye(3)
        return (lambda m: sqrtm((m + m.T) / 2)) if is_symmetrized else sqrtm, (a,), None

    return make


def nifty_solve():
    from nifty.re.tree_math import util

    return (
        lambda factor, b: util._solve(positive_definite(factor), b),
        (normal(3, 3), normal(3)),
        solve_positive_definite,
    )


# Matfree
def lsmr():
    from matfree import lstsq

    solve = lstsq.lsmr(atol=1e-12, btol=1e-12, ctol=1e-12)
    return (
        lambda a, b: solve(lambda v, p: p.T @ v, b, a)[0],
        (normal(6, 3), normal(6)),
        least_squares,
    )


def tridiagonal():
    from matfree import decomp

    decompose = decomp.tridiag_sym(3, reortho="full", materialize=True)

    def rule(s, v):
        a = s + s.T
        out = decompose(lambda x, p: p @ x, v, a)
        return out.Q_tall, out.J_small

    return rule, (normal(4, 4), normal(4)), None


# Others
def damped_svd():
    from varipeps.utils.svd import svd_wrapper

    def rule(a):
        u, s, vt = svd_wrapper(a)
        return s, (u[:, :1] * s[0]) @ vt[:1], u[:, :2] @ u[:, :2].T

    return rule, (normal(4, 3),), None


def ott_sqrtm():
    from ott.math import matrix_square_root

    def reference(factor):
        w, v = jnp.linalg.eigh(positive_definite(factor))
        return (v * jnp.sqrt(w)) @ v.T

    return (
        lambda factor: matrix_square_root.sqrtm_only(positive_definite(factor), 1e-12),
        (normal(3, 3),),
        reference,
    )


def ridge():
    from jaxopt import implicit_diff

    def objective(x, a, penalty, b):
        return 0.5 * jnp.sum((a @ x - b) ** 2) + 0.5 * penalty * jnp.sum(x**2)

    def minimum(a, penalty, b):
        return jnp.linalg.solve(a.T @ a + penalty * jnp.eye(3, dtype=a.dtype), a.T @ b)

    @implicit_diff.custom_root(jax.grad(objective))
    def solve(init, a, penalty, b):
        return minimum(a, penalty, b)

    return (
        lambda a, penalty, b: solve(None, a, penalty, b),
        (normal(5, 3), array(0.7), normal(5)),
        minimum,
    )


RULES = [
    Stranger(
        "jax",
        "jnp.linalg.eigh",
        eigenvectors,
        True,
        (
            "The eigenvalues lie far apart, and the outputs do not depend on the signs of the "
            "eigenvectors. The gradient equals differences to 1e-9."
        ),
        "arguments that are not symmetric, which it symmetrizes",
    ),
    Stranger(
        "jax",
        "jax.scipy.sparse.linalg.cg",
        conjugate_gradients,
        True,
        (
            "The derivative is that of the equation which the solution solves to 1e-12. "
            "The gradients equal those of a dense solver."
        ),
        "accuracy beyond its tolerance",
        options=LOOSE,
    ),
    Stranger(
        "lineax",
        "internal.two_norm",
        two_norm,
        True,
        "The gradient is x / |x| over all arrays of the argument, like that of the reference.",
    ),
    Stranger(
        "lineax",
        "linear_solve, LU",
        lineax_lu,
        True,
        "The gradients equal those of jnp.linalg.solve.",
    ),
    Stranger(
        "lineax",
        "linear_solve, QR least squares",
        lineax_qr,
        True,
        "The gradients equal those of the solved normal equations.",
    ),
    Stranger(
        "lineax",
        "linear_solve, GMRES",
        lineax_gmres,
        True,
        "Every equation is solved to 1e-10, and the gradients equal those of jnp.linalg.solve.",
        "accuracy beyond its tolerance",
        options=LOOSE,
    ),
    Stranger(
        "lineax",
        "linear_solve, Cholesky",
        lineax_cholesky,
        True,
        (
            "The matrix is positive definite by construction, "
            "and the gradients equal those of jnp.linalg.solve."
        ),
    ),
    Stranger(
        "nifty",
        "re.tree_math.util.sqrtm",
        nifty_sqrtm(False),
        False,
        (
            "The value symmetrizes the matrix, but the JVP does not symmetrize its tangent. "
            "So the gradient is right only along symmetric tangents."
        ),
    ),
    Stranger(
        "nifty",
        "re.tree_math.util.sqrtm of a symmetrized matrix",
        nifty_sqrtm(True),
        True,
        (
            "The matrix is symmetrized before the call, so that every tangent is symmetric. "
            "The gradient equals differences to 1e-11."
        ),
        "second derivatives, as its documentation says",
        options={"transforms": FIRST_ORDER},
    ),
    Stranger(
        "nifty",
        "re.tree_math.util._solve",
        nifty_solve,
        True,
        (
            "The matrix A is symmetric by construction, and the tangent of x is A^-1 (db - dA x). "
            "The gradients equal those of jnp.linalg.solve."
        ),
    ),
    Stranger(
        "matfree",
        "lstsq.lsmr",
        lsmr,
        True,
        (
            "The backward pass is that of least squares, solved to 1e-12. "
            "The gradients equal those of the solved normal equations."
        ),
        "accuracy beyond its tolerance; forward mode",
        options={"tolerance": 1e-5, "transforms": FIRST_ORDER},
    ),
    Stranger(
        "matfree",
        "decomp.tridiag_sym",
        tridiagonal,
        True,
        "The backward pass is that of the Lanczos iteration, and it equals differences to 1e-10.",
        "forward mode",
        options={"transforms": FIRST_ORDER},
    ),
    Stranger(
        "varipeps",
        "utils.svd.svd_wrapper",
        damped_svd,
        True,
        (
            "The matrix has full rank, and the outputs do not depend on the signs of the singular "
            "vectors. A damping of 1e-12 changes little: the gradient equals differences to 1e-10."
        ),
        "accuracy beyond the damping",
        options={"tolerance": 1e-8},
    ),
    Stranger(
        "ott-jax",
        "math.matrix_square_root.sqrtm_only",
        ott_sqrtm,
        True,
        (
            "The iteration converges to 1e-12, and the backward pass solves a Sylvester equation. "
            "The gradient equals that of a square root by eigenvectors."
        ),
        "accuracy beyond its tolerance; forward mode",
        options={"tolerance": 1e-5, "transforms": FIRST_ORDER},
    ),
    Stranger(
        "jaxopt",
        "implicit_diff.custom_root, ridge",
        ridge,
        True,
        (
            "The derivative is that of the root of the gradient, and the minimum is exact. "
            "The gradients equal those of the solved normal equations."
        ),
        "accuracy beyond the tolerance of its linear solver",
        options=LOOSE,
    ),
]
