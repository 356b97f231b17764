"""Every check, in the order in which they are made."""

from sluice.ops.preflight import access, journey, service, subscription
from sluice.ops.preflight.check import Check

CHECKS: tuple[Check, ...] = (*service.CHECKS, *subscription.CHECKS, *access.CHECKS, *journey.CHECKS)
