#!/bin/sh
# Installs requirements.lock into the environment on PATH, every file checked against its hash.
# With an index as the argument, PyTorch comes from there in the locked version, without the CUDA packages that the
# lock has; those files have other hashes, so their only warrant is the index's certificate.
set -eu
index=${1:-}

if [ -z "$index" ]; then
    exec pip install --disable-pip-version-check --require-hashes -r requirements.lock
fi

rest=$(mktemp)
trap 'rm -f "$rest"' EXIT
# A package is a line that starts in the first column, and the indented lines below it.
awk '/^[^ #]/ { wanted = !/^(torch|torchvision|triton|cuda-[a-z]+|nvidia-[a-z0-9-]+)(\[|==)/ } wanted' requirements.lock >"$rest"
version() { sed -n "s/^$1==\([^ ]*\).*/\1/p" requirements.lock; }
# --no-deps: the lock is complete, and what is left of it still names PyTorch as a dependency.
pip install --disable-pip-version-check --no-deps --require-hashes -r "$rest"
pip install --disable-pip-version-check --no-deps --index-url "$index" \
    "torch==$(version torch)" "torchvision==$(version torchvision)"
