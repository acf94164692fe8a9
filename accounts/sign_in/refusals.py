"""The pages that say why somebody is not signed in, and what to do."""

from collections.abc import Mapping
from dataclasses import dataclass

from accounts.sign_in.links import LINK_SECS, Reason


@dataclass(frozen=True, slots=True)
class Refusal:
    """A page that says why not, and what to do.

    Parameters:
        status: Its HTTP status.
        heading: What is the matter.
        said: What to do, a paragraph each.
        again: What the way back to signing in is called; empty where that does not help.
    """

    status: int
    heading: str
    said: tuple[str, ...]
    again: str = "Ask for another link"


LINKS: Mapping[Reason, Refusal] = {
    "unknown": Refusal(
        403,
        "This link is not right",
        ("Copy all of it from the mail into the address bar, to its last letter.",),
    ),
    "used": Refusal(
        410,
        "This link has been used",
        ("Each link signs in once.",),
    ),
    "expired": Refusal(
        410,
        "This link is too old",
        (f"A link works for {LINK_SECS / 60:.0f} minutes.",),
    ),
    "browser": Refusal(
        403,
        "Another browser asked for this link",
        (
            "A link works only in the browser in which it was asked for, so that nobody can use "
            "one that is not theirs. Copy it from the mail into the address bar of that browser, "
            "or ask for another link in this one.",
            "If it was not you who asked for it, close this page: nobody has signed in.",
        ),
        "Ask for a link in this browser",
    ),
    "elsewhere": Refusal(
        403,
        "This link is for another machine",
        ("It works only in a browser on the machine that Viva runs on.",),
        "Sign in by e-mail",
    ),
    "denied": Refusal(
        403,
        "This address may not call any more",
        ("Whoever invited you can tell you why.",),
        "Sign in with another address",
    ),
}

OUT_OF_DATE = Refusal(
    403,
    "This page is out of date",
    (
        "It lay open for too long, or this browser has signed in or out meanwhile.",
        "If you see this every time, let the browser keep this site's cookies. It keeps them only "
        "over https, except on the machine that Viva runs on.",
    ),
    "Start again",
)

TOO_MANY = Refusal(
    429,
    "Too many links were asked for",
    ("There are none for now. Those that were sent still work; try again in 15 minutes.",),
)

NO_ADDRESS = Refusal(
    503,
    "This server does not know its own address",
    ("No link can be written without it. Whoever runs this server has to set PUBLIC_URL.",),
    "",
)

OUT_OF_ORDER = Refusal(
    503,
    "Nobody can be signed in just now",
    ("Something went wrong on this side. Please try again in a minute.",),
    "Try again",
)
