"""The rules on options: CEL, Python and message of each side by side.

A message tells what is wrong and what would be right; the path before it tells where.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from execution_options.api import reserved, syntax
from execution_options.api.rule import Rule, exactly_one, holds, keys, literal, matches, text
from execution_options.api.services import SERVICES
from execution_options.api.syntax import DNS_LABEL, DNS_SUBDOMAIN, SUBDOMAIN_SYNTAX

if TYPE_CHECKING:
    from collections.abc import Sequence

# The API server compares annotation keys in lower case, so their prefix may hold capitals.
_ANY_CASE_SUBDOMAIN = r"[A-Za-z0-9](?:[-A-Za-z0-9]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[-A-Za-z0-9]*[A-Za-z0-9])?)*"
_NAME_PART = "[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_LABEL_KEY = f"(?:{DNS_SUBDOMAIN}/)?{_NAME_PART}"
_ANNOTATION_KEY = f"(?:{_ANY_CASE_SUBDOMAIN}/)?{_NAME_PART}"
_LABEL_VALUE = f"(?:{_NAME_PART})?"
_NO_SPACE = r"[^\x00-\x20\x7f]+"
_PATTERN = "[-a-z0-9.*?]+"

_MAX_KEY: Final = 253 + 1 + 63
_KEY_SYNTAX: Final = (
    "is not a valid key: write [domain/]name, the name of 1 to 63 letters, digits, '-', '_' and '.' that begins "
    "and ends with a letter or digit, the domain in lower case and at most 253 characters, for example "
    "example.com/team"
)

MAX_METADATA_BYTES: Final = 8192
"""Bytes of annotations, and of variables. The snapshot of every execution holds them, and its size is limited."""


def _qualified(name: str, pattern: str, subject: str) -> Rule:
    """Create a rule on Kubernetes' qualified names; the domain before the slash has at most 253 characters."""
    compiled = re.compile(pattern)
    return keys(
        name,
        f"k.size() <= {_MAX_KEY} && k.indexOf('/') <= 253 && {matches('k', pattern)}",
        lambda k: len(k) <= _MAX_KEY and k.find("/") <= 253 and compiled.fullmatch(k) is not None,
        subject,
        _KEY_SYNTAX,
    )


def _one_of(values: Sequence[str]) -> str:
    return "[" + ", ".join(literal(value) for value in values) + "]"


def _starts_with_none(variable: str, prefixes: Sequence[str]) -> str:
    return " && ".join(f"!{variable}.startsWith({literal(prefix)})" for prefix in prefixes)


def _size(value: str) -> int:
    return len(value.encode(errors="surrogatepass"))


# Labels and annotations

LABEL_KEYS = _qualified("label-keys", _LABEL_KEY, "label key")
LABEL_KEYS_RESERVED = keys(
    "label-keys-reserved",
    f"{_starts_with_none('k', reserved.RESERVED_LABEL_PREFIXES)} && !(k in {_one_of(reserved.IDENTITY_LABELS)})",
    lambda k: not k.startswith(reserved.RESERVED_LABEL_PREFIXES) and k not in reserved.IDENTITY_LABELS,
    "label key",
    "is reserved: Kubernetes (kubernetes.io/, k8s.io/), this operator (execution.dev/) and the engines set "
    "such labels to find their own objects; choose a key of your own, for example example.com/team",
)
LABEL_VALUE = text(
    "label-value",
    _LABEL_VALUE,
    "is not a valid label value: at most 63 letters, digits, '-', '_' and '.', beginning and ending with a "
    "letter or digit, or empty; other text can go into an annotation",
)
SELECTOR_VALUE = text(
    "selector-value",
    _LABEL_VALUE,
    "is not a valid label value, so no label can match it: at most 63 letters, digits, '-', '_' and '.', "
    "beginning and ending with a letter or digit, or empty",
)
ANNOTATION_KEYS = _qualified("annotation-keys", _ANNOTATION_KEY, "annotation key")
ANNOTATION_KEYS_RESERVED = keys(
    "annotation-keys-reserved",
    _starts_with_none("k", reserved.RESERVED_ANNOTATION_PREFIXES),
    lambda k: not k.startswith(reserved.RESERVED_ANNOTATION_PREFIXES),
    "annotation key",
    "is reserved: annotations of execution.dev/ belong to this operator or to the execution's author; choose "
    "a key of your own, for example example.com/team",
)
ANNOTATIONS_SIZE = holds(
    "annotations-size",
    f"self.map(k, size(bytes(k)) + size(bytes(self[k]))).sum() <= {MAX_METADATA_BYTES}",
    lambda value: sum(_size(k) + _size(v) for k, v in value.items()) <= MAX_METADATA_BYTES,
    f"annotations are too large: keys and values may have {MAX_METADATA_BYTES} bytes together",
)

# Mode

ENFORCE_NEEDS_SELECTOR = holds(
    "enforce-needs-selector",
    "!has(self.mode) || self.mode != 'Enforce' || has(self.selector)",
    lambda value: value.get("mode") != "Enforce" or "selector" in value,
    "mode Enforce needs a selector: only what options select is enforced, a reference never is; "
    "write selector: {} for every execution",
    field="mode",
)

# Identity

SERVICE_ACCOUNT = text(
    "service-account",
    f"(?:{DNS_SUBDOMAIN})?",
    f"is not a service account's name: {SUBDOMAIN_SYNTAX}; or empty to clear one that was set at a lower level",
)
IAM_ROLE = text(
    "iam-role",
    r"[\x21-\x7e]+",
    "is not a cloud identity: one word such as arn:aws:iam::123456789012:role/trainer, "
    "trainer@project.iam.gserviceaccount.com or an Azure client id; leave the field out for none",
)
IAM_ROLE_NEEDS_CREATE = holds(
    "iam-role-needs-create",
    "!has(self.iamRole) || (has(self.k8sServiceAccount) && self.k8sServiceAccount != '' "
    "&& has(self.serviceAccountPolicy) && self.serviceAccountPolicy == 'Create')",
    lambda value: (
        "iamRole" not in value
        or (bool(value.get("k8sServiceAccount")) and value.get("serviceAccountPolicy") == "Create")
    ),
    "iamRole needs a k8sServiceAccount that is created for it: set k8sServiceAccount and "
    "serviceAccountPolicy: Create, or bind the role to an existing account yourself and leave iamRole out",
    field="iamRole",
)
POLICY_NEEDS_ACCOUNT = holds(
    "policy-needs-account",
    "!has(self.serviceAccountPolicy) || (has(self.k8sServiceAccount) && self.k8sServiceAccount != '')",
    lambda value: "serviceAccountPolicy" not in value or bool(value.get("k8sServiceAccount")),
    "serviceAccountPolicy needs a k8sServiceAccount: name the account, or leave the policy out",
    field="serviceAccountPolicy",
)

# Storage prefix: three rules that exclude each other, so that one mistake gives one message

_SPACE = re.compile(r"[\x00-\x20\x7f]")
_SCHEME = re.compile("(?:s3|gs|gcs|abfs|abfss|az|hdfs|oci|file)://")
_ABSOLUTE = re.compile(f"/|{_SCHEME.pattern}")
# hdfs:/// means the default name node and file:/// this host; the others have no default.
_PLACE = re.compile("(?:hdfs|file):///|(?:s3|gs|gcs|abfs|abfss|az|hdfs|oci)://[^/]")

PREFIX_SPACE = holds(
    "prefix-space",
    f"!self.matches(r'{_SPACE.pattern}')",
    lambda value: _SPACE.search(value) is None,
    "is not a storage prefix: it has a space, a line break or a control character in it",
)
PREFIX_SCHEME = holds(
    "prefix-scheme",
    f"self.matches(r'{_SPACE.pattern}') || self.matches(r'^(?:{_ABSOLUTE.pattern})')",
    lambda value: _SPACE.search(value) is not None or _ABSOLUTE.match(value) is not None,
    "is not a storage prefix: begin with s3://, gs://, gcs://, abfs://, abfss://, az://, hdfs://, oci:// or "
    "file:///, or with / for an absolute path, for example s3://my-bucket/prefix",
)
PREFIX_PLACE = holds(
    "prefix-place",
    f"!self.matches(r'^{_SCHEME.pattern}') || self.matches(r'^(?:{_PLACE.pattern})')",
    lambda value: _SCHEME.match(value) is None or _PLACE.match(value) is not None,
    "is not a storage prefix: a bucket, container or host must follow the //, for example "
    "s3://my-bucket/prefix; a path on a shared file system is file:///path",
)

# Numbers, environment variables

MAX_PARALLELISM = holds(
    "max-parallelism",
    "self >= 0",
    lambda value: value >= 0,
    "cannot be negative: 0 states unlimited, and without the field the platform decides",
)
ENV_NAME = text(
    "env-name",
    # Kubernetes refuses names like those of a parent directory. Since 1.34 it accepts any printable
    # character but '='; only names that every supported version and every shell tool accepts are allowed.
    r"(?:[-_A-Za-z]|\.[-_A-Za-z0-9])[-._A-Za-z0-9]*",
    "is not a valid name of a variable: letters, digits, '_', '-' and '.', not beginning with a digit or "
    "two dots, for example LOG_LEVEL",
)
ENV_NAME_RESERVED = holds(
    "env-name-reserved",
    f"!(self in {_one_of(reserved.RESERVED_ENV_NAMES)})",
    lambda value: value not in reserved.RESERVED_ENV_NAMES,
    "is reserved: the operator sets this variable from rawOutputDataConfig.outputLocationPrefix",
)
ENV_VALUE = text("env-value", r"[^\x00]*", "has a NUL character in it, which no variable can hold")
ENVS_SIZE = holds(
    "envs-size",
    f"self.map(e, size(bytes(e.name)) + size(bytes(e.value))).sum() <= {MAX_METADATA_BYTES}",
    lambda value: sum(_size(e["name"]) + _size(e["value"]) for e in value) <= MAX_METADATA_BYTES,
    f"variables are too large: names and values may have {MAX_METADATA_BYTES} bytes together; use a ConfigMap for more",
)

# Notifications

ONE_TRANSPORT = exactly_one("one-transport", "a notification", SERVICES)
SOME_PHASE = holds(
    "some-phase",
    "self.size() > 0",
    lambda value: len(value) > 0,
    "at least one phase is needed: SUCCEEDED, FAILED, ABORTED or TIMED_OUT",
)
SOME_RECIPIENT = holds(
    "some-recipient", "self.size() > 0", lambda value: len(value) > 0, "at least one recipient is needed"
)
EMAIL_ADDRESS = text(
    "email-address",
    syntax.EMAIL_ADDRESS,
    "is not an e-mail address: write only name@domain, one address per item, for example team@example.com",
)
RECIPIENT = text(
    "recipient",
    _NO_SPACE,
    "is not a recipient: it is empty or has a space or a control character in it",
)
CHANNEL_NAME = text("channel-name", DNS_SUBDOMAIN, f"is not the name of a NotificationChannel: {SUBDOMAIN_SYNTAX}")
TEMPLATE_TEXT = holds(
    "template-text",
    "has(self.subject) || has(self.body)",
    lambda value: "subject" in value or "body" in value,
    "a template needs a subject, a body or both; leave the template out for the default text",
)
SUBJECT_LINE = text(
    "subject-line",
    r"[^\x00-\x1f\x7f]+",
    "is not a subject: it must be one line, neither empty nor with control characters in it",
)
BODY_TEXT = holds(
    "body-text",
    "self.size() > 0",
    lambda value: len(value) > 0,
    "is empty: write a text, or leave the body out for the default one",
)

# Selection

ENGINE_NAME = text(
    "engine-name",
    DNS_LABEL,
    "is not an engine's name: lower-case letters, digits and '-', beginning and ending with a letter or "
    "digit, at most 63 characters, for example argo-workflow",
)
NAME_PATTERN = text(
    "name-pattern",
    _PATTERN,
    "is not a pattern of names: lower-case letters, digits, '-' and '.', with * for any characters and ? for "
    "one, for example train-*",
)
LAUNCHER_KIND = text(
    "launcher-kind",
    "[A-Za-z][A-Za-z0-9]*",
    "is not a kind: letters and digits, beginning with a letter, for example CronJob",
)
SELECTOR_KEY = holds(
    "selector-key",
    f"self.indexOf('/') <= 253 && {matches('self', _LABEL_KEY)}",
    lambda value: value.find("/") <= 253 and re.fullmatch(_LABEL_KEY, value) is not None,
    _KEY_SYNTAX,
)
JOINED_KEYS = text(
    "joined-keys",
    rf"{_LABEL_KEY}(?:\+{_LABEL_KEY}){{0,3}}",
    f"{_KEY_SYNTAX}; at most four keys that only together will do are joined by +",
)
SELECTOR_VALUES = holds(
    "selector-values",
    "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
    lambda value: (value["operator"] in ("In", "NotIn")) == bool(value.get("values")),
    "In and NotIn need at least one value; Exists and DoesNotExist take none",
)

# The object

OBJECT_NAME = holds(
    "object-name",
    "self.metadata.name != 'none'",
    lambda value: value.get("metadata", {}).get("name") != "none",
    "the name none is taken: the annotation execution.dev/options: none opts out of options; choose another name",
    field="metadata",
)
