#!/bin/sh
# Break the configuration in each of the ways below: the run that guards against it must fail, by an assertion. A test
# that passes whatever the configuration says guards nothing. check.sh runs this in an initialised copy.
set -eu
missed=0

# mutation TEST RUN FILE SED: with FILE edited by SED, the run RUN of tests/TEST.tftest.hcl fails.
mutation() {
    test=tests/$1.tftest.hcl
    cp "$test" kept.test && cp "$3" kept.file
    # Only this run, under the file's own name, by which `terraform init` knows the modules of its runs.
    awk -v run="run \"$2\" {" '/^run / { begun = 1; wanted = $0 == run } !begun || wanted' kept.test >"$test"
    sed -i.bak "$4" "$3" && rm "$3.bak"
    if cmp -s "$3" kept.file; then
        echo "STALE    $3: $4 changes nothing"
        missed=1
    elif terraform test -no-color "-filter=$test" >mutation.log 2>&1 ||
        ! grep -q -e "Test assertion failed" -e "Missing expected failure" mutation.log; then
        echo "MISSED   $1/$2  $3: $4"
        cat mutation.log
        missed=1
    else
        echo "noticed  $1/$2"
    fi
    mv kept.test "$test" && mv kept.file "$3"
}

# Who may call, and what the identities may do.
mutation gates by_default_the_service_is_the_gate cloud_run.tf 's/= !local.cloud_run_checks/= false/'
mutation gates trust_leaves_the_gate_to_cloud_run cloud_run.tf 's/{ push = google_service_account.push.member }/{ push = "allUsers" }/'
mutation gates everybody_is_no_invoker variables_service.tf 's/alltrue(\[for member in var.invokers/alltrue([true]) || &/'
mutation identities the_service_may_do_what_it_does bigquery.tf 's|"roles/bigquery.dataEditor"|"roles/bigquery.dataOwner"|'
mutation identities the_deploy_workflow_may_deploy deploy_identity.tf 's|attribute.purpose/deploy|*|'
mutation identities the_public_is_no_publisher variables_data.tf 's/alltrue(\[for member in var.publishers/alltrue([true]) || &/'

# No message is lost.
mutation push pushes_are_authenticated pubsub.tf 's/audience  .*= local.push_audience/audience = "other"/'
mutation push what_is_not_taken_is_kept pubsub.tf 's/max_delivery_attempts = 100/max_delivery_attempts = 5/'
mutation push nothing_is_pushed_to_the_placeholder pubsub.tf 's/ && !local.runs_placeholder//'
mutation push nothing_is_pushed_before_somebody_says_so pubsub.tf 's/= var.pushes && /= /'
mutation tables tables_are_protected bigquery.tf 's/deletion_protection  .*= var.deletion_protection/deletion_protection = false/'

# Somebody is told.
mutation monitoring every_alert_reaches_its_list monitoring.tf 's/"page" ? "page" : "tickets"/"page" ? "tickets" : "page"/'
mutation monitoring every_alert_reaches_its_list monitoring.tf 's/auto_close = "1800s"/auto_close = "3600s"/'
mutation monitoring every_selector_of_googles_metrics_is_pinned monitoring/alerts.yaml 's/monitored_resource="pubsub_subscription", //'
mutation monitoring nobody_is_paged_before_pushes_begin monitoring.tf 's/enabled = .*/enabled = true/'
mutation monitoring fixed_limits_can_be_turned_off monitoring.tf 's/ if group.name != "fixed-limits" || var.fixed_limits//'

exit "$missed"
