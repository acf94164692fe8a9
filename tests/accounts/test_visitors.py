"""A visitor of a site that embeds the call: let in by a pass of the day and their network."""

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from accounts.admission import AdmissionDesk
from accounts.visitors import PASS_SECS, Visitors, embedding_origins
from conversation.records import CallerIdentity
from settings import Settings, SettingsError
from tests.accounts.house import Clock

SITES = "https://example.com, http://localhost:8080/"


def settings(origins: str = SITES) -> Settings:
    return Settings(_env_file=None, embed_origins=origins, trusted_proxies="0.0.0.0/32")  # type: ignore[call-arg]


def asked(given: str = "", network: str = "203.0.113.9") -> web.Request:
    query = f"/call?visitor={given}" if given else "/embed"
    return make_mocked_request("GET", query, headers={"X-Forwarded-For": network})


def test_a_pass_is_for_one_network_and_one_day() -> None:
    clock = Clock()
    visitors = Visitors(settings(), "k" * 64, clock=clock)
    given = visitors.issue(asked())
    caller = visitors.identify(asked(given, "203.0.113.77"))
    assert caller is not None, "another address of the same network"
    assert (caller.email, caller.admin, caller.key) == ("", False, "visitor 203.0.113.0/24")
    until, _, signature = given.partition(".")
    longer = f"{int(until) + 1}.{signature}"
    for forged in (longer, until, f"{until}.", f"²{given}", f"{given}0", "x.y", f"{'9' * 40}.a"):
        assert visitors.identify(asked(forged)) is None, forged
    assert visitors.identify(asked(given, "198.51.100.1")) is None
    assert Visitors(settings(), "l" * 64, clock=clock).identify(asked(given)) is None
    assert Visitors(settings(""), "k" * 64, clock=clock).identify(asked(given)) is None
    clock.now += PASS_SECS + 1
    assert visitors.identify(asked(given)) is None


def test_who_comes_back_to_a_call_may_be_on_another_network() -> None:
    """Wi-Fi to mobile: the token of the call proves that it is theirs, and the pass cannot."""
    visitors = Visitors(settings(), "k" * 64)
    given = visitors.issue(asked())
    caller = visitors.returning(asked(given, "198.51.100.1"))
    assert caller is not None
    assert caller.key == "visitor 198.51.100.0/24"
    assert visitors.returning(asked("", "198.51.100.1")) is None, "they carry no pass"
    assert Visitors(settings(""), "k" * 64).returning(asked(given)) is None
    away = CallerIdentity(key="visitor 203.0.113.0/24")
    assert AdmissionDesk.may_be(caller, away.key)
    for other in ("", "visitors", "jo@example.com"):
        assert not AdmissionDesk.may_be(caller, other)
        assert not AdmissionDesk.may_be(CallerIdentity(key="jo@example.com"), away.key)


def test_the_sites_are_origins() -> None:
    assert embedding_origins(settings()) == ("https://example.com", "http://localhost:8080")
    wrong = ("*", "example.com", "https://example.com/page", "https://a b", "ftp://example.com")
    for origin in (*wrong, "https://*.example.com:x", "https://example.com; script-src *"):
        with pytest.raises(SettingsError, match="EMBED_ORIGINS: "):
            embedding_origins(settings(origin))
