"""Metrics of the webhook."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from execution_options.watchdog import Watchdog

REGISTRY = CollectorRegistry()
WATCHDOG = Watchdog(REGISTRY)

ADMISSIONS = Counter(
    "execution_options_admission_requests_total",
    "Admission requests by engine, operation and result (changed, unchanged, refused, error).",
    ["engine", "operation", "result"],
    registry=REGISTRY,
)
REFUSALS = Counter(
    "execution_options_refusals_total",
    "Executions that were refused, by engine and reason (OptionsMissing, InvalidReference, OptionsTooLarge, "
    "AnnotationsFull, PatchTooLarge, ServiceAccountMissing, ServiceAccountUnused, IdentityConflict, InvalidIamRole, "
    "Unreadable, TooManyRequests, NotReady, QuotaNearlyUsed).",
    ["engine", "reason"],
    registry=REGISTRY,
)
SECONDS = Histogram(
    "execution_options_admission_seconds",
    "Time from reading an admission request to its answer.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
    registry=REGISTRY,
)
CERTIFICATE_EXPIRES = Gauge(
    "execution_options_certificate_expires_timestamp_seconds",
    "When the certificate that is served expires (Unix time); 0 while there is none.",
    registry=REGISTRY,
)
