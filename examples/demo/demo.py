"""The operator at work on a real control plane: run it by ``make demo``."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from services import Services, services

from execution_options.api.names import SNAPSHOT_ANNOTATION
from execution_options.cluster import Cluster, ClusterError, ControlPlane, NamedCluster
from execution_options.engines.authors import author_layer
from execution_options.local import LocalOperator, OperatorFailedError
from execution_options.options.merge import merge
from execution_options.options.snapshot import decode

if TYPE_CHECKING:
    from collections.abc import Callable

FILES = Path(__file__).parent
NAMESPACE = "demo"
CONDITIONS = r'jsonpath={range .status.conditions[*]}{.type}={.status} {.reason}: {.message}{"\n"}{end}'


class Demo:
    """The steps, each shown as what a person would type and what comes back."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def title(self, text: str) -> None:
        print(f"\n\033[1m── {text}\033[0m" if sys.stdout.isatty() else f"\n── {text}", flush=True)

    def kubectl(self, *arguments: str, fails: bool = False, quiet: bool = False) -> str:
        """Run kubectl in the demo's namespace, show it, and return its standard output."""
        command = [*self.cluster.kubectl_command(arguments), "--namespace", NAMESPACE]
        answer = subprocess.run(command, text=True, capture_output=True, check=False)
        if not quiet:
            shown = f"$ kubectl {' '.join(arguments)}\n{answer.stdout}{answer.stderr}".rstrip()
            print(shown.replace(f"{FILES}/", ""))
        if (answer.returncode != 0) != fails:
            sys.exit(f"unexpected exit code {answer.returncode}: {answer.stderr}")
        return answer.stdout

    def get(self, *arguments: str) -> Any:
        """Objects as they are."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json", quiet=True))

    def command(self, *arguments: str) -> None:
        """Run the project's own command and show it."""
        print(f"$ execution-options {' '.join(arguments)}".replace(f"{FILES}/", ""), flush=True)
        where = ["--kubeconfig", str(self.cluster.kubeconfig), "--context", self.cluster.context]
        subprocess.run([sys.executable, "-m", "execution_options", *arguments, "-n", NAMESPACE, *where], check=True)

    def until(self, check: Callable[[], Any], what: str) -> Any:
        """Wait for a condition, 30 seconds at most."""
        deadline = time.monotonic() + 30
        while not (found := check()):
            if time.monotonic() > deadline:
                sys.exit(f"{what}: not so after 30 seconds")
            time.sleep(0.1)
        return found

    def create(self, scenario: str, *, fails: bool = False) -> subprocess.CompletedProcess[str]:
        """Create the workflow, which itself stays as it is, under a scenario."""
        annotate = ["annotate", "--local", "-o", "yaml", "-f", str(FILES / "job.yaml")]
        manifest = self.cluster.run_kubectl([*annotate, f"execution.dev/options={scenario}"]).stdout
        create = ["create", "-f", "-", "-o", "name", "--namespace", NAMESPACE]
        return self.cluster.run_kubectl(create, input=manifest, check=not fails)

    def start(self, scenario: str) -> str:
        """Start the workflow under a scenario; returns the Job's name."""
        print(f"$ kubectl annotate --local -f job.yaml execution.dev/options={scenario} -o yaml | kubectl create -f -")
        created = self.create(scenario).stdout.strip()
        print(f"{created} created")
        return created.split("/")[1]

    def create_all(self, manifests: list[Any]) -> None:
        """Create objects in one go."""
        create = ["create", "-f", "-", "-o", "name", "--namespace", NAMESPACE]
        self.cluster.run_kubectl(create, input=yaml.safe_dump_all(manifests))

    def active(self, options: str) -> int:
        """How many executions run under an options object, by its status."""
        return int(self.get("eo", options).get("status", {}).get("executions", {}).get("active", 0))

    def pod_of(self, job: str) -> Any:
        """One pod of a Job."""
        selector = f"batch.kubernetes.io/job-name={job}"
        return self.until(lambda: self.get("pods", "-l", selector)["items"], f"pods of {job}")[0]


def what_its_pods_got(demo: Demo, job: str) -> dict[str, str]:
    """Each value that stands on a pod of a Job, with the object it came from."""
    pod, owner = demo.pod_of(job), demo.get("job", job)
    snapshot = decode(owner["metadata"]["annotations"][SNAPSHOT_ANNOTATION])
    layers = [*snapshot.layers, author_layer(snapshot.authored, "Job", "author")]
    effective = merge(sorted(layers, key=lambda layer: layer.source.level))
    labels, envs = pod["metadata"]["labels"], pod["spec"]["containers"][0]["env"]
    assert effective.run_as is not None
    assert effective.output_location_prefix is not None
    got = {f"label {key}": f"{labels[key]} ({effective.labels[key].source.name})" for key in sorted(effective.labels)}
    got["service account"] = f"{pod['spec']['serviceAccountName']} ({effective.run_as.source.name})"
    for env in envs:
        source = (effective.envs.get(env["name"]) or effective.output_location_prefix).source
        got[env["name"]] = f"{env['value']} ({source.name})"
    return got


def scenarios(demo: Demo) -> str:
    """One manifest, two scenarios: what each pod got."""
    demo.title("The same workflow, two scenarios")
    jobs = {scenario: demo.start(scenario) for scenario in ("dev", "prod")}
    columns = [what_its_pods_got(demo, job) for job in jobs.values()]
    print(f"\n{'WHAT ITS PODS GOT':<34}{'UNDER dev (FROM)':<68}UNDER prod (FROM)")
    for what in columns[0]:
        print(f"{what:<34}{columns[0][what]:<68}{columns[1][what]}")
    demo.title("Which value came from where")
    demo.command("explain", f"job/{jobs['prod']}")
    return jobs["prod"]


def launched(demo: Demo) -> None:
    """Options for one execution alone."""
    demo.title("Options for one execution alone, with no object")
    launch = ["launch", "-f", str(FILES / "job.yaml"), "--options", "dev", "--labels", "ticket=DATA-12"]
    demo.command(*launch, "--max-parallelism", "1")
    demo.kubectl("get", "jobs", "-l", "ticket=DATA-12", "-L", "environment,ticket")


def live(demo: Demo, job: str) -> None:
    """An edit reaches what runs."""
    demo.title("An edit reaches what already runs")
    demo.kubectl("patch", "eo", "prod", "--type=merge", "-p", '{"spec":{"labels":{"ticket":"INC-7"}}}')
    demo.until(lambda: demo.pod_of(job)["metadata"]["labels"].get("ticket"), "the new label on a running pod")
    demo.kubectl("get", "pods", "-l", f"batch.kubernetes.io/job-name={job}", "-L", "environment,ticket")


def notifications(demo: Demo, reached: Services) -> None:
    """A workflow fails, and the right people are notified."""
    demo.title("A workflow fails, and the right people are notified")
    channels = (FILES / "channels.yaml").read_text()
    for placeholder, port in (("SMTP_PORT", reached.smtp_port), ("HTTP_PORT", reached.http_port)):
        channels = channels.replace(placeholder, str(port))
    demo.cluster.run_kubectl(["apply", "-f", "-", "--namespace", NAMESPACE], input=channels)
    demo.until(
        lambda: [is_ready(one) for one in demo.get("notificationchannels")["items"]] == [True] * 3,
        "the channels",
    )
    demo.kubectl("get", "notificationchannels")
    print("$ # the same workflow under prod, but this time its pods fail")
    failing = yaml.safe_load((FILES / "job.yaml").read_text())
    failing["metadata"]["annotations"] = {"execution.dev/options": "prod"}
    failing["spec"]["backoffLimit"] = 0
    failing["spec"]["template"]["metadata"]["annotations"] = {"sim.execution.dev/outcome": "fail"}
    create = ["create", "-f", "-", "-o", "jsonpath={.metadata.name}", "--namespace", NAMESPACE]
    job = demo.cluster.run_kubectl(create, input=yaml.safe_dump(failing)).stdout
    demo.until(lambda: reached.mails and reached.slack and reached.pagerduty, "mail, Slack and PagerDuty")
    mail = reached.mails[0]
    text = mail.get_body(("plain",))
    assert text is not None
    print(f"\nA mail\n  From: {mail['From']}\n  To: {mail['To']}\n  Subject: {mail['Subject']}\n")
    print("\n".join(f"  {line}" for line in str(text.get_content()).strip().splitlines()))
    print(f"\nSlack was busy once, and took then\n{shown(reached.slack[0])}")
    print(f"\nPagerDuty\n{shown(reached.pagerduty[0] | {'routing_key': '***'})}\n")

    def delivered() -> bool:
        every = demo.get("notificationdeliveries")["items"]
        found = [one for one in every if one["spec"]["execution"]["name"] == job]
        return len(found) == 3 and all(one.get("status", {}).get("state") == "Delivered" for one in found)

    demo.until(delivered, "the delivery log")
    demo.kubectl("get", "notificationdeliveries")


def sweep(demo: Demo, reached: Services) -> None:
    """Twelve runs fail: one mail with the cause, and one thread that tells of the recovery."""
    demo.title("A sweep of twelve fails: one mail with its cause, and one thread that recovers")
    demo.kubectl("apply", "-f", str(FILES / "sweep.yaml"))
    mails, posts = len(reached.mails), len(reached.slack)
    print("$ # twelve runs of the workflow, whose pods fail with exit code 137")
    demo.create_all([run(fails=True) for _ in range(12)])
    demo.until(lambda: reached.mails[mails:] and reached.slack[posts:], "one mail and one message")
    mail = reached.mails[mails].get_body(("plain",))
    assert mail is not None
    print(f"\nA mail\n  Subject: {reached.mails[mails]['Subject']}\n")
    print("\n".join(f"  {line}" for line in str(mail.get_content()).strip().splitlines()))
    print("\n$ # and one that succeeds")
    demo.create_all([run(fails=False)])
    demo.until(lambda: reached.slack[posts + 1 :], "the recovery")
    failed, recovered = reached.slack[posts : posts + 2]
    print(f"\nSlack, in {failed['channel']}\n  {failed['text']}")
    print(f"  └─ in the thread {recovered['thread_ts']}: {recovered['text']}")
    print(f"\n{len(reached.mails) - mails} mail and {len(reached.slack) - posts} messages of Slack for 13 runs")


def run(*, fails: bool) -> Any:
    """A run of the sweep, which ends at once."""
    made = yaml.safe_load((FILES / "job.yaml").read_text())
    made["metadata"] = {"generateName": "sweep-", "annotations": {"execution.dev/options": "sweep"}}
    made["spec"] |= {"completions": 1, "parallelism": 1, "backoffLimit": 0}
    outcome = {"sim.execution.dev/outcome": "fail" if fails else "succeed", "sim.execution.dev/exit-code": "137"}
    made["spec"]["template"]["metadata"]["annotations"] = outcome
    return made


def is_ready(item: Any) -> bool:
    """Whether an object says that it is."""
    conditions = item.get("status", {}).get("conditions", [])
    return any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)


def shown(payload: Any) -> str:
    """A payload for people."""
    return "\n".join(f"  {line}" for line in json.dumps(payload, indent=2, ensure_ascii=False).splitlines())


def refusals(demo: Demo) -> None:
    """Bad input is refused where it is written."""
    demo.title("What is wrong is refused, with what would be right")
    demo.kubectl("apply", "-f", str(FILES / "refused.yaml"), fails=True)
    job = (
        (FILES / "job.yaml")
        .read_text()
        .replace("metadata:", "metadata:\n  annotations: {execution.dev/options: prd}", 1)
    )
    print("$ kubectl annotate --local -f job.yaml execution.dev/options=prd -o yaml | kubectl create -f -")
    answer = subprocess.run(
        [*demo.cluster.kubectl_command(["create", "-f", "-"]), "-n", NAMESPACE],
        input=job,
        text=True,
        capture_output=True,
        check=False,
    )
    print(answer.stderr.strip())


def main() -> None:
    """Bring everything up, show it, and take it down again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, help="use the cluster of this kubeconfig")
    parser.add_argument("--context", help="use this context of the kubeconfig")
    arguments = parser.parse_args()
    try:
        if arguments.kubeconfig or arguments.context:
            show(Demo(NamedCluster(arguments.kubeconfig, arguments.context)))
        else:
            print("A Kubernetes control plane on this machine (the first time it is built, which takes some minutes) …")
            with ControlPlane.start("demo") as cluster:
                show(Demo(cluster))
    except (ClusterError, OperatorFailedError) as error:
        sys.exit(str(error))


def show(demo: Demo) -> None:
    """All steps."""
    print("The operator: webhook and controller, under their own service accounts …", flush=True)
    loopback = ("--allow-network", "127.0.0.0/8")  # where the services of the demo are
    with services() as reached, LocalOperator(demo.cluster.kubeconfig, demo.cluster.context, controller=loopback):
        existing = demo.cluster.run_kubectl(["get", "namespace", NAMESPACE, "--ignore-not-found", "-o", "name"]).stdout
        if existing.strip():
            sys.exit(f"namespace {NAMESPACE} exists already; the demo wants one of its own")
        demo.cluster.run_kubectl(["create", "namespace", NAMESPACE])
        try:
            demo.title("Options on four levels")
            demo.kubectl("apply", "-f", str(FILES / "options.yaml"))
            demo.until(lambda: demo.get("serviceaccounts")["items"][2:], "the service accounts that options create")
            job = scenarios(demo)
            live(demo, job)
            demo.title("What the options say of themselves")
            demo.until(
                lambda: demo.get("eo", "prod").get("status", {}).get("executions", {}).get("active"),
                "the status of prod",
            )
            demo.kubectl("get", "executionoptions,clusterexecutionoptions")
            demo.kubectl(
                "get",
                "eo",
                "prod",
                "-o",
                'jsonpath={range .status.conditions[*]}{.type}={.status} {.reason}: {.message}{"\\n"}{end}',
            )
            launched(demo)
            refusals(demo)
            notifications(demo, reached)
            sweep(demo, reached)
        finally:
            demo.cluster.run_kubectl(
                ["delete", "-f", str(FILES / "options.yaml"), "-n", NAMESPACE, "--ignore-not-found"]
            )
            demo.cluster.run_kubectl(["delete", "namespace", NAMESPACE, "--wait=false"])
    print("\nThat was it: nothing is left behind. Where to read on: README.md, docs/.")


if __name__ == "__main__":
    main()
