#!/usr/bin/env bash
# kopf 1.45.2, embedded by kopf.operator(): the second SIGTERM (or SIGINT) that comes while the cleanup handlers of an
# operator run is logged as an error of asyncio with a traceback. Its signal handler sets the result of a future, which
# bears that once. The operator still ends in order. `kopf run` does not log it.
#
#     ERROR:asyncio:Exception in callback Future.set_result(<Signals.SIGTERM: 15>)
#     asyncio.exceptions.InvalidStateError: invalid state
#
# Supervisors and impatient people send more than one. Whoever embeds kopf can set handlers of their own once it has
# begun, and pass a `stop_flag`.
#
# Needs Python 3.11 or newer and the public package index; no cluster.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3}" -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check kopf==1.45.2
cat > embedded.py <<'PY'
import asyncio
import logging

import kopf


@kopf.on.login()
async def login(**_):
    await asyncio.sleep(3600)  # nothing is connected to


@kopf.on.startup()
async def startup(**_):
    print("started", flush=True)


@kopf.on.cleanup()
async def cleanup(**_):
    print("ending", flush=True)
    await asyncio.sleep(2)
    print("ended", flush=True)


@kopf.on.event("example.com", "v1", "things")
async def event(**_):
    pass


logging.basicConfig(level=logging.ERROR)
asyncio.run(kopf.operator(clusterwide=True, standalone=True))
PY
venv/bin/python embedded.py > out 2> err &
process=$!
seen() { for _ in $(seq 300); do grep -q "^$1$" out && return; sleep 0.1; done; cat out err; exit 1; }
seen started
sleep 0.5 # its handlers of signals follow its start
kill -TERM "$process"
seen ending
kill -TERM "$process"
wait "$process" || { echo "it ended with $?"; exit 1; }
seen ended
venv/bin/python -c 'import importlib.metadata as m; print("kopf", m.version("kopf"))'
grep -F "Exception in callback Future.set_result(<Signals.SIGTERM: 15>)" err
grep -F "asyncio.exceptions.InvalidStateError: invalid state" err
