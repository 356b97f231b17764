#!/bin/sh
# Check infra/terraform and its bootstrap/: format, arguments, tests, mutations, and every environment. `make terraform` runs this.
# Google is asked nothing, and no credentials are needed.
#
# With TFCHECK set to a program, that does it, without network: it is run as `$TFCHECK DIRECTORY -- COMMAND`, checks the
# directory as `checked` does below, and runs the command where plans can be made with a stand-in for Google's provider.
# Without it terraform does, with Google's provider, which it downloads once; environments are then planned by
# `terraform test`, with that provider mocked, since the real one would want credentials.
set -eu

environments=${environments:-dev staging prod}

# plans SUFFIX FOLDER: plan each environment with the variables in FOLDER.
plans() {
    for environment in $environments; do
        variables=$2/$environment$1
        terraform plan -input=false -lock=false -no-color -var-file="$variables" >plan.log 2>&1 &&
            printf '%s: ' "$variables" && grep '^Plan: ' plan.log || { cat plan.log; return 1; }
    done
}

# Test what must hold for every environment, with its variables.
environments_tested() {
    for environment in $environments; do
        terraform test -no-color -test-directory=tests/environments -var-file="environments/$environment.tfvars" ||
            return 1
    done
}

checked() (
    cd -- "$1"
    terraform init -backend=false -input=false -no-color >/dev/null
    terraform validate -no-color
    terraform test -no-color
)

case ${1-} in
plans) plans "$2" "$3"; exit ;;
environments-tested) environments_tested; exit ;;
esac

cd -- "$(dirname -- "$0")"

# What `sluice new` makes, with this directory in the place of its tag.
project=../../.cache/project-terraform
rm -rf "$project"
../../.venv/bin/sluice new --owner example --name orders "$project" >/dev/null
mkdir "$project/module" && cp -r ./*.tf ./*.json ./*.sql monitoring bootstrap "$project/module"
rm -rf "$project/module/bootstrap/tests"
cp -r "$project/module/bootstrap" "$project/infra/terraform/bootstrap/module"
rm -r "$project/module/bootstrap"
mv "$project/module" "$project/infra/terraform/module"
project=$project/infra/terraform
sed -i.bak 's|source = "git::.*"|source = "./module"|' "$project/main.tf" "$project/bootstrap/main.tf"
rm "$project/main.tf.bak" "$project/bootstrap/main.tf.bak"
cp check.sh "$project"
cp -r "$project/environments" check.sh "$project/bootstrap"

if [ -n "${TFCHECK-}" ]; then
    "$TFCHECK" . -- sh -c \
        'sh check.sh environments-tested && sh check.sh plans .tfvars environments && sh tests/mutations.sh'
    "$TFCHECK" bootstrap -- sh ../check.sh plans .bootstrap.tfvars ../environments
    environments="dev prod" "$TFCHECK" "$project" -- sh check.sh plans .tfvars environments
    environments="dev prod" "$TFCHECK" "$project/bootstrap" -- sh check.sh plans .bootstrap.tfvars environments
elif command -v terraform >/dev/null 2>&1; then
    terraform fmt -check -diff -recursive .
    checked .
    copy=$(mktemp -d)
    cp -r . "$copy"
    (cd -- "$copy" && sh tests/mutations.sh)
    rm -r "$copy"
    checked bootstrap
    environments_tested
    (cd -- "$project" && terraform init -backend=false -input=false -no-color >/dev/null && terraform validate -no-color)
elif [ -n "${CI-}" ]; then
    printf '%s\n' "terraform: infra/terraform was NOT checked: there is no terraform here, and CI is to check it." >&2
    exit 1
else
    printf '%s\n' "terraform: SKIPPED, infra/terraform was not checked: there is no terraform on PATH." >&2
fi
