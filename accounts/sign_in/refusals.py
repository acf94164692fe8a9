"""The pages that say why a sign-in was refused, and what to do."""

from collections.abc import Mapping
from dataclasses import dataclass

from accounts.sign_in.links import LINK_SECS, Reason


@dataclass(frozen=True, slots=True)
class Refusal:
    """A page that says why a sign-in was refused, and what to do.

    Parameters:
        status: HTTP status.
        heading: The reason.
        said: What to do, by paragraph.
        again: Text of the link back to sign-in; empty where that does not help.
    """

    status: int
    heading: str
    said: tuple[str, ...]
    again: str = "Ask for another link"


LINKS: Mapping[Reason, Refusal] = {
    "unknown": Refusal(
        403,
        "This link is not valid",
        ("Copy the whole link from the e-mail into the address bar.",),
    ),
    "used": Refusal(
        410,
        "This link has been used",
        ("Each link signs in once.",),
    ),
    "expired": Refusal(
        410,
        "This link has expired",
        (f"A link works for {LINK_SECS / 60:.0f} minutes.",),
    ),
    "browser": Refusal(
        403,
        "Another browser asked for this link",
        (
            "A link works only in the browser that asked for it, so that nobody can use "
            "someone else's. Copy it from the e-mail into the address bar of that browser, "
            "or ask for another link in this one.",
            "If you did not ask for it, close this page: nobody has been signed in.",
        ),
        "Ask for a link in this browser",
    ),
    "elsewhere": Refusal(
        403,
        "This link is for another machine",
        ("It works only in a browser on the machine that runs Viva.",),
        "Sign in by e-mail",
    ),
    "denied": Refusal(
        403,
        "This address may no longer call",
        ("Whoever invited you can tell you why.",),
        "Sign in with another address",
    ),
}

OUT_OF_DATE = Refusal(
    403,
    "This page is out of date",
    (
        "It was open for too long, or this browser has signed in or out in the meantime.",
        "If you see this every time, allow cookies for this site. Browsers keep them only "
        "over https, except on the machine that runs Viva.",
    ),
    "Start again",
)


def too_many(again: str) -> Refusal:
    """Too many links for a network; ``again`` says when to try again."""
    return Refusal(
        429,
        "Too many links",
        (
            "No link was sent, because too many were asked for from your network. Earlier ones "
            f"work in the browsers that asked for them; try again {again}.",
        ),
    )


def too_many_for_address(again: str) -> Refusal:
    """Too many links for one address; ``again`` says when to try again."""
    return Refusal(
        429,
        "Too many links",
        (
            "No link was sent, because too many were asked for with this address. Earlier ones "
            f"work in the browsers that asked for them; try again {again}.",
        ),
    )


NO_ADDRESS = Refusal(
    503,
    "This server does not know its own address",
    ("It cannot write links without it. Whoever runs this server has to set PUBLIC_URL.",),
    "",
)

OUT_OF_ORDER = Refusal(
    503,
    "Sign-in is temporarily unavailable",
    ("Something went wrong on our side. Please try again in a minute.",),
    "Try again",
)
