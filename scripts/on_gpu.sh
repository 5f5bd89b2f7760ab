#!/usr/bin/env bash
# What has to be seen on a GPU, in at most ten minutes: the tests of the ops and of the forms in
# float64, and the benchmark of ops, networks and functions, saved in benchmarks/. The environment
# has this package with its extra "test", and a JAX for its GPU. OUT is a folder for copies of what
# was written; by default there are none.
set -uo pipefail
cd "$(dirname "$0")/.."
export XLA_PYTHON_CLIENT_PREALLOCATE=false

python - <<'PYTHON' || exit 1
import jax

device = jax.devices()[0]
if device.platform != "gpu":
    raise SystemExit(f"on_gpu.sh: JAX finds no GPU here, its first device is {device}")
print(device.device_kind, "with JAX", jax.__version__)
PYTHON

status=0
timeout 240 pytest -q -n 4 -m "" --maxfail=20 \
    tests/test_catalogue.py::test_value_and_gradients tests/contraction/test_registry.py || status=$?
timeout 240 python scripts/bench.py --save --rounds 5 --batches 8 || status=$?
timeout 100 python scripts/bench.py --save --rounds 5 --functions || status=$?
[ -n "${OUT:-}" ] && mkdir -p "$OUT" && cp benchmarks/*.json "$OUT"
exit "$status"
