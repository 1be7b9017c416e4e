#!/usr/bin/env bash
# flytekit 1.16.31: FlyteRemote.execute(entity, options=Options(...)) sends neither the notifications of Options nor its
# overwrite_cache, and says nothing of it.
#
# Without disable_notifications an empty list is sent in their place. With disable_notifications=False they are put into
# the request first, and then its `disable_all`, which is a member of the same oneof in ExecutionSpec, replaces them.
# overwrite_cache is taken from an argument of execute() alone.
#
#     Options(notifications=[Email]):                              0 notifications sent
#     Options(notifications=[Email], disable_notifications=False): 0 notifications sent
#     Options(overwrite_cache=True):                               overwrite_cache is False
#
# Needs Python 3.9 to 3.12 and a package registry. Nothing is sent anywhere: the client's one call is replaced.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check flytekit==1.16.31 "setuptools<81"
cat > "$folder/remote.py" <<'PY'
from flytekit.configuration import Config
from flytekit.core.notification import Email
from flytekit.core.options import Options
from flytekit.models.core.execution import WorkflowExecutionPhase
from flytekit.models.core.identifier import Identifier, ResourceType
from flytekit.models.interface import ParameterMap, TypedInterface
from flytekit.models.literals import LiteralMap
from flytekit.remote import FlyteRemote
from flytekit.remote.entities import FlyteLaunchPlan


class Sent(Exception):
    """Holds what would be sent to Flyte's API."""


class Client:
    def create_execution(self, project, domain, name, spec, inputs):
        raise Sent(spec.to_flyte_idl())


def spec_of(options):
    remote = FlyteRemote(Config.for_endpoint("localhost:1"), default_project="p", default_domain="d")
    remote._client, remote._client_initialized = Client(), True
    plan = FlyteLaunchPlan(
        id=Identifier(ResourceType.LAUNCH_PLAN, "p", "d", "n", "v"),
        workflow_id=Identifier(ResourceType.WORKFLOW, "p", "d", "n", "v"),
        default_inputs=ParameterMap({}),
        fixed_inputs=LiteralMap({}),
        entity_metadata=None,
        labels=None,
        annotations=None,
        auth_role=None,
        raw_output_data_config=None,
        max_parallelism=0,
        security_context=None,
    )
    plan._interface = TypedInterface({}, {})
    try:
        remote.execute(plan, inputs={}, options=options)
    except Sent as sent:
        return sent.args[0]
    raise SystemExit("nothing was sent")


email = Email(phases=[WorkflowExecutionPhase.FAILED], recipients_email=["on-call@example.com"])
for options in (Options(notifications=[email]), Options(notifications=[email], disable_notifications=False)):
    print(options.disable_notifications, len(spec_of(options).notifications.notifications))
print(spec_of(Options(overwrite_cache=True)).overwrite_cache)
PY
seen=$("$folder/venv/bin/python" "$folder/remote.py" 2>/dev/null)
expected=$'None 0\nFalse 0\nFalse'
"$folder/venv/bin/pip" list 2>/dev/null | grep -i "^flytekit "
echo "$seen"
[ "$seen" = "$expected" ] || { echo "this has changed; expected:"; echo "$expected"; exit 1; }
