#!/bin/sh
# Make .venv hold exactly what uv.lock says. Every target of the Makefile runs this first; once .venv is up to
# date it returns at once and touches no network.
#
# Needs only Python >= 3.11. uv is taken from PATH when it is recent enough, else installed into .bootstrap/,
# a private virtual environment; nothing outside this directory is changed.
#
# bootstrap.sh                  set .venv up
# bootstrap.sh --bench          set .cache/bench up, on the image's Python: for benchmarks
# bootstrap.sh --uv             print where uv is
set -eu

uv_version=0.13.8     # what .bootstrap/ gets
uv_oldest=0.9.17      # older ones cannot read `exclude-newer = "1 week"` in pyproject.toml
root=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

say() { printf '%s\n' "setup: $*" >&2; }
fail() { say "$@"; exit 1; }

# Print the uv on PATH if it is recent enough.
uv_on_path() {
    found=$(command -v uv) || return 1
    version=$("$found" --version 2>/dev/null | cut -d' ' -f2) || return 1
    oldest=$(printf '%s\n%s\n' "$uv_oldest" "$version" | sort -t. -k1,1n -k2,2n -k3,3n | head -n 1)
    [ "$oldest" = "$uv_oldest" ] && printf '%s\n' "$found"
}

# Whether a Python runs and is recent enough. Being on PATH does not say so: a version manager's shim may
# answer that no such version is installed.
is_recent_python() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

# Print a uv that lives in .bootstrap/, installing it when needed.
private_uv() {
    uv=$root/.bootstrap/bin/uv
    if [ "$("$uv" --version 2>/dev/null | cut -d' ' -f2)" = "$uv_version" ]; then
        printf '%s\n' "$uv"
        return
    fi
    recent=
    for python in python3.13 python3.12 python3.11 python3 python3.14 python; do
        is_recent_python "$python" || continue
        recent=$python
        rm -rf "$root/.bootstrap"
        # Debian and Ubuntu ship venv and ensurepip apart from Python: such a Python is passed over.
        if "$python" -m venv "$root/.bootstrap" >/dev/null 2>&1; then
            say "installing uv $uv_version into .bootstrap/ (no uv >= $uv_oldest on PATH)"
            "$root/.bootstrap/bin/python" -m pip install --quiet --disable-pip-version-check "uv==$uv_version" >&2 ||
                fail "uv could not be installed (see above): is the package index reachable?"
            printf '%s\n' "$uv"
            return
        fi
    done
    rm -rf "$root/.bootstrap"
    [ -n "$recent" ] || fail "Python 3.11 or newer is needed and none was found on PATH."
    fail "$recent cannot make a virtual environment. On Debian or Ubuntu: apt install python3-venv." \
        "Or install uv: https://docs.astral.sh/uv/"
}

cd -- "$root"
if [ "${1-}" = --uv ]; then
    uv_on_path || private_uv
    exit
fi
environment=.venv
if [ "${1-}" = --bench ]; then
    environment=.cache/bench
    # Some calls take three times as long in another version of Python. A shim of pyenv fails for a version not chosen.
    image_python=$(sed -n 's/^FROM python:\([0-9.]*\)-.*/\1/p' Dockerfile)
    PYENV_VERSION=$(pyenv versions --bare 2>/dev/null | paste -s -d : -)
    export PYENV_VERSION
    set -- --python "$image_python" --no-default-groups --group bench
fi
stamp=$environment/.synced
wanted=$({ echo "$*"; cat bootstrap.sh pyproject.toml client/pyproject.toml uv.lock; } | cksum)
if [ -x "$environment/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi

uv=$(uv_on_path) || uv=$(private_uv)
say "installing the dependencies of uv.lock into $environment/"
# The caller's own environment must not be the one that is changed.
unset VIRTUAL_ENV PYTHONHOME PYTHONPATH
UV_PROJECT_ENVIRONMENT=$root/$environment "$uv" sync --quiet --locked --all-extras "$@"
printf '%s\n' "$wanted" >"$stamp"
