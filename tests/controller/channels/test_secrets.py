"""What channels refer to is read by name, once, and not kept after a failure."""

from __future__ import annotations

import pytest

from execution_options.notifications.route import ChannelKey
from execution_options.providers.material import MaterialError
from support.materials import Objects, channel, materials, secret


async def test_what_a_channel_refers_to_is_read_by_name() -> None:
    objects = Objects(smtp=secret(user="operator", password="canary\n"), authority={"ca.crt": "PEM"})
    spec = channel().spec

    found = await materials(objects).of(ChannelKey("team", "mail"), spec)

    assert spec.email is not None
    assert sorted(objects.asked) == [
        "/api/v1/namespaces/team/configmaps/authority",
        "/api/v1/namespaces/team/secrets/smtp",
    ]
    assert found.masked("canary of operator") == "*** of ***"


async def test_many_messages_at_once_read_a_secret_once_and_a_later_try_anew() -> None:
    now = 0.0
    objects = Objects(smtp=secret(user="u", password="p"), authority={"ca.crt": "PEM"})
    read = materials(objects, lambda: now)
    for _ in range(5):
        await read.of(ChannelKey("team", "mail"), channel().spec)
    assert len(objects.asked) == 2

    now = 1.0
    objects.found["smtp"] = secret(user="u", password="rotated")
    found = await read.of(ChannelKey("team", "mail"), channel().spec)
    assert found.masked("rotated") == "***"


async def test_a_failed_read_is_not_kept() -> None:
    objects = Objects(authority={"ca.crt": "PEM"})
    read = materials(objects)
    with pytest.raises(MaterialError, match="Secret smtp does not exist in namespace team"):
        await read.of(ChannelKey("team", "mail"), channel().spec)
    objects.found["smtp"] = secret(user="u", password="p")
    await read.of(ChannelKey("team", "mail"), channel().spec)


async def test_a_secret_that_may_not_be_read_says_how_to_let_the_operator() -> None:
    with pytest.raises(MaterialError) as refused:
        await materials(Objects(refusal=403)).of(ChannelKey("team", "mail"), channel().spec)
    assert refused.value.reason == "SecretForbidden"
    assert str(refused.value).endswith(
        "to let it: kubectl create role execution-options-mail -n team --verb=get --resource=configmaps,secrets "
        "--resource-name=authority --resource-name=smtp && kubectl create rolebinding execution-options-mail -n team "
        "--role=execution-options-mail --serviceaccount=execution-options-system:execution-options-controller"
    )
