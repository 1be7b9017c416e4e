"""Service accounts are found by their owners."""

from __future__ import annotations

from typing import Any

import msgspec

from execution_options.api.meta import PartialObject
from execution_options.controller.cache.accounts import ServiceAccounts


def test_accounts_are_found_by_who_owns_them() -> None:
    def account(*owners: str) -> PartialObject:
        references = [{"apiVersion": "v1", "kind": "K", "name": "o", "uid": uid} for uid in owners]
        metadata = {"name": "a", "namespace": "team", "uid": "3", "resourceVersion": ",".join(owners)}
        return msgspec.convert({"metadata": metadata | {"ownerReferences": references}}, PartialObject)

    kube: Any = None
    accounts = ServiceAccounts(kube, lambda *_: None)
    key = ("team", "a")
    accounts.store._replace({key: account("x", "y")})
    assert [*accounts.of("x")] == [*accounts.of("y")] == [key]
    accounts.store._replace({key: account("y")})
    assert (accounts.of("x"), [*accounts.of("y")]) == ({}, [key])
    accounts.store._replace({})
    assert accounts.of("y") == {}
    assert accounts.get(*key) is None
