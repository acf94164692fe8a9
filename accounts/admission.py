"""Admission of calls: checks the caller, the page's origin, and the budget."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from aiohttp import web

from accounts.access import is_mailable
from accounts.origin import allowed_origin
from accounts.visitors import is_visitor
from conversation.records import CallerIdentity, CallListener, Tariff
from ledger.money.budget import Budget, Refusal
from ledger.money.spend_settlement import SpendSettlement
from ledger.money.worst_case import CallBudget
from pipeline.call import Terms, new_call_id
from settings import Settings

RTVI = "/rtvi"

RELEASE_SECS = 1.0
"""Maximum wait for the release of a caller's ended calls before a further one is refused."""


class AdmissionDesk:
    """Admits calls from known callers, from Viva's own page, while there is budget.

    Parameters:
        settings: The settings.
        caller: Identifies who makes a request; ``None`` if they must sign in first.
        returning: Identifies who comes back to a call, where ``caller`` cannot.
        budget: The daily budget.
        settlement: Tracks the spend of admitted calls.
        money: The budget of one call.
        day_cap: Daily spend cap in micro-dollars; ``None`` without a cap.
        tariff: Prices of the vendors.
        listeners: Receive the records of each call.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        caller: Callable[[web.Request], Awaitable[CallerIdentity | None]],
        returning: Callable[[web.Request], CallerIdentity | None] = lambda _request: None,
        budget: Budget,
        settlement: SpendSettlement,
        money: CallBudget,
        day_cap: int | None,
        tariff: Tariff,
        listeners: Sequence[CallListener],
    ) -> None:
        self._settings = settings
        self._caller = caller
        self._returning = returning
        self._budget = budget
        self._settlement = settlement
        self._money = money
        self._day_cap = day_cap
        self._tariff = tariff
        self._listeners = listeners

    async def identify(self, request: web.Request, *, resuming: bool = False) -> CallerIdentity:
        """Identify who calls.

        Args:
            request: The request.
            resuming: Whether they come back to a call, which its token has to prove theirs. A
                visitor of another site may do so from another network, which their pass is not for.

        Raises:
            web.HTTPUnauthorized: The caller must sign in first.
            web.HTTPForbidden: The request comes from another site's page.
        """
        caller = await self._caller(request)
        if caller is None and resuming:
            caller = self._returning(request)
        if caller is None:
            raise web.HTTPUnauthorized(text="Please sign in at /sign-in.")
        if not self._is_our_page(request):
            origin = request.headers.get("Origin", "nowhere")
            raise web.HTTPForbidden(text=f"calls from {origin} are not accepted")
        return caller

    @staticmethod
    def may_be(caller: CallerIdentity, key: str) -> bool:
        """Whether somebody who resumes a call may be the caller with this key."""
        return caller.key == key or (is_visitor(caller.key) and is_visitor(key))

    async def admit(self, caller: CallerIdentity, *, counted: bool = False) -> Terms | str:
        """Admit a call and reserve its worst-case cost, or refuse it.

        Args:
            caller: Who calls.
            counted: Whether the same page was admitted before, and is not counted again.

        Returns:
            The terms of the call, or the reason for refusal (a key of
                :data:`pipeline.call.REASONS`).
        """
        call = new_call_id()
        self._settlement.admitted(call, caller.key)
        reserve = partial(self._budget.admit, call, caller.key, counted=counted)
        admission = await asyncio.to_thread(reserve)
        if admission == Refusal("open_calls"):  # of a call that has ended, perhaps, just now
            await self._settlement.catch_up(RELEASE_SECS)
            admission = await asyncio.to_thread(reserve)
        if isinstance(admission, Refusal):
            self._settlement.release(call)
            return admission.reason
        return Terms(
            id=call,
            caller=caller,
            day=admission.day,
            listeners=self._listeners,
            tariff=self._tariff,
            call_cap=self._money.cap,
            day_cap=self._day_cap,
            day_spent=self._settlement.day_spent,
            may_continue=self._money.may_continue,
            follow_up="person" if is_mailable(caller.email) else "address",
        )

    async def release(self, terms: Terms) -> None:
        """Release the reservation of a call that has ended, or that never began."""
        self._settlement.release(terms.id)

    def _is_our_page(self, request: web.Request) -> bool:
        others = self._settings.rtvi_origins.split(",") if request.path == RTVI else ()
        if allowed_origin(request, self._settings, others):
            return True
        # Browsers always send the Origin; a program that carries a key has no page.
        keyed = self._settings.auth == "off" or "Authorization" in request.headers
        return keyed and "Origin" not in request.headers
