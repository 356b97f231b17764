"""Every check, in the order in which they are made."""

from sluice.ops.preflight import (
    access,
    append,
    capacity,
    journey,
    monitoring,
    policies,
    project,
    service,
    subscription,
    tables,
)
from sluice.ops.preflight.check import Check

CHECKS: tuple[Check, ...] = (
    *project.CHECKS,
    *policies.CHECKS,
    *capacity.CHECKS,
    *project.AFTER,
    *service.CHECKS,
    *tables.CHECKS,
    *append.CHECKS,
    *subscription.CHECKS,
    *access.CHECKS,
    *monitoring.CHECKS,
    *journey.CHECKS,
)
