"""HTTPS_PROXY, HTTP_PROXY and NO_PROXY mean what they mean to kubectl and other programs in Go."""

from __future__ import annotations

import itertools
import json
import random
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_options.cluster.progress import Progress
from execution_options.cluster.toolchain import find_go, required_go_version
from execution_options.proxies import Proxies, ProxyError

PROGRAM: Final = Path(__file__).parent / "support" / "httpproxy"
RECORDED: Final = json.loads((PROGRAM / "answers.json").read_text())
"""What the real package answered; test_the_real_package_says_the_same makes sure of it."""

HOSTS = (
    *("example.com", "a.example.com", "bexample.com", "localhost", "x.localhost", "127.0.0.1", "127.8.0.1", "[::1]"),
    *("10.0.0.7", "10.96.0.1", "[fd00::7]", "[::ffff:10.0.0.7]", "[::ffff:127.0.0.1]", "kubernetes.default.svc", "svc"),
    *("10.0.0.7.example.com", "xn--bcher-kva.example", "0.0.0.0", "a-b.c_d.e"),
)
PARTS = (
    *("", "*", " ", "example.com", ".example.com", "*.example.com", "EXAMPLE.com", "example.com:443"),
    *(".example.com:8443", "*.example.com:443", "example.com:", "example.com:443:1", "example.com.", "*example.com"),
    *("10.0.0.0/8", "10.0.0.0/08", "10.0.0.7/8", "10.0.0.0/33", "10.0.0.0/255.0.0.0", "10.0.0.7", "10.0.0.7:443"),
    *("10.0.0.7:80", "010.0.0.7", "0.0.0.0", "0.0.0.0/0", "fd00::/8", "fd00::7", "[fd00::7]", "[fd00::7]:443", "::"),
    *("::/0", "::ffff:10.0.0.7", "::ffff:10.0.0.0/104", "::ffff:10.0.0.0/90", "fe80::1%eth0", "[10.0.0.7]:443"),
    *(
        "svc",
        ".svc",
        "*svc",
        "com",
        "*.",
        ".",
        "*.*",
        "*:443",
        ":443",
        "[]:443",
        "[:443",
        "a]:443",
        "[example.com]:443",
    ),
    *("xn--bcher-kva.example", "c_d.e", "-"),
)
PROXIES = ("", "http://proxy:1", "proxy:2", "10.1.1.1:3", "https://proxy:4", "http://u:p@proxy:5")


def questions(count: int, seed: int) -> list[dict[str, str]]:
    """Environments and URLs, the same ones for a seed."""
    chosen = random.Random(seed)
    made = []
    for _ in range(count):
        parts = chosen.choices(PARTS, k=chosen.randint(0, 4))
        if chosen.random() < 0.9:
            parts = [part for part in parts if part != "*"]
        scheme, host, port = (chosen.choice(one) for one in (("http", "https"), HOSTS, ("", ":443", ":8443", ":80")))
        url = f"{scheme}://{host}{port}/x"
        made.append(
            {"HTTP": chosen.choice(PROXIES), "HTTPS": chosen.choice(PROXIES), "No": ",".join(parts), "URL": url}
        )
    return made


def answer(question: dict[str, str]) -> str:
    return Proxies(question["HTTP"], question["HTTPS"], question["No"]).for_url(question["URL"]) or ""


@pytest.fixture(scope="module")
def httpproxy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real package, as a program."""
    go = find_go(required_go_version((PROGRAM / "go.mod").read_text()), tmp_path_factory.mktemp("go"), Progress())
    built = tmp_path_factory.mktemp("httpproxy") / "httpproxy"
    subprocess.run([go, "build", "-o", built, "."], cwd=PROGRAM, check=True, capture_output=True)
    return built


def real(program: Path, asked: list[dict[str, str]]) -> list[str]:
    lines = "".join(json.dumps(one) + "\n" for one in asked)
    message = subprocess.run([program], input=lines, text=True, capture_output=True, check=True).stdout.split("\n")[:-1]
    assert len(message) == len(asked)
    return message


@pytest.mark.parametrize("part", sorted(RECORDED["answers"]), ids=repr)
def test_it_is_what_the_real_package_said(part: str) -> None:
    for url, expected in RECORDED["answers"][part].items():
        assert answer({"HTTP": "http://proxy:1", "HTTPS": "http://proxy:1", "No": part, "URL": url}) == expected


@pytest.mark.engines
@pytest.mark.timeout(600)
def test_the_real_package_says_the_same(httpproxy: Path) -> None:
    assert (PROGRAM / "go.mod").read_text().count(f"golang.org/x/net {RECORDED['version']}\n") == 1
    assert recorded(httpproxy) == RECORDED["answers"]
    asked = questions(20_000, 7)
    for question, message in zip(asked, real(httpproxy, asked), strict=True):
        assert (question, answer(question)) == (question, message)


def recorded(program: Path) -> dict[str, dict[str, str]]:
    """Answers by part of NO_PROXY and URL."""
    urls = [f"{scheme}://{host}/" for scheme, host in itertools.product(("http", "https"), HOSTS)]
    asked = [
        {"HTTP": "http://proxy:1", "HTTPS": "http://proxy:1", "No": part, "URL": url}
        for part, url in itertools.product(PARTS, urls)
    ]
    found: dict[str, dict[str, str]] = {}
    for question, message in zip(asked, real(program, asked), strict=True):
        found.setdefault(question["No"], {})[question["URL"]] = message
    return found


@given(no=st.lists(st.sampled_from(PARTS) | st.text(max_size=20)).map(",".join), port=st.integers(1, 65535),
       host=st.sampled_from(("localhost", "127.0.0.1", "127.9.9.9", "[::1]", "[::ffff:127.0.0.1]")))  # fmt: skip
def test_loopback_is_never_reached_by_a_proxy(no: str, port: int, host: str) -> None:
    assert Proxies("http://proxy:1", "http://proxy:1", no).for_url(f"https://{host}:{port}/") is None


@given(network=st.ip_addresses(v=4), length=st.integers(0, 32), address=st.ip_addresses(v=4))
def test_a_cidr_has_the_addresses_that_begin_alike(network: Any, length: int, address: Any) -> None:
    inside = int(network) >> (32 - length) == int(address) >> (32 - length)
    proxy = Proxies(https="http://proxy:1", no=f"{network}/{length}").for_url(f"https://{address}/")
    assert (proxy is None) == (inside or address.is_loopback)


@given(no=st.text())
def test_whatever_no_proxy_says_there_is_an_answer(no: str) -> None:
    assert Proxies(https="http://proxy:1", no=no).for_url("https://a.example/") in (None, "http://proxy:1")


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://a:1"}, "http://a:1"),
        ({"https_proxy": "http://a:1"}, "http://a:1"),
        ({"HTTPS_PROXY": "http://a:1", "https_proxy": "http://b:1"}, "http://a:1"),
        ({"HTTPS_PROXY": "", "https_proxy": "http://b:1"}, "http://b:1"),
        ({"HTTP_PROXY": "http://a:1", "ALL_PROXY": "http://c:1"}, None),
        ({"HTTPS_PROXY": "http://a:1", "no_proxy": ".example"}, None),
        ({"HTTPS_PROXY": "http://a:1", "NO_PROXY": "b.example", "no_proxy": "*"}, "http://a:1"),
    ],
)
def test_capitals_precede_small_letters(environment: dict[str, str], proxy: str | None) -> None:
    assert Proxies.of(environment).for_url("https://a.example/") == proxy


@pytest.mark.parametrize(
    "wrong", ["socks5://u:canary@proxy:1", "http://", "ftp://a", "http://a:x", "a b", "http://a:99999"]
)
def test_a_proxy_that_cannot_be_used_is_refused_without_its_url(wrong: str) -> None:
    with pytest.raises(ProxyError, match=r"^HTTPS_PROXY is not the URL of a proxy") as reported:
        Proxies(https=wrong).for_url("https://a.example/")
    assert "canary" not in str(reported.value)
    assert Proxies(https=wrong, no="*").for_url("https://a.example/") is None
