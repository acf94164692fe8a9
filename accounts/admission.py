"""Who is let in to a call, and on what terms."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from accounts.origin import allowed_origin
from conversation.records import Caller, CallListener, Tariff
from ledger.money.budget import Budget, Refusal
from ledger.money.spend_settlement import SpendSettlement
from ledger.money.worst_case import CallBudget
from pipeline.call import Terms, new_call_id
from settings import Settings

RTVI = "/rtvi"


class AdmissionDesk:
    """Lets callers in whom it knows, whose page is Viva's own, and whose call there is money for.

    Parameters:
        settings: The settings.
        caller: Who asks; ``None`` for whoever has to sign in first.
        budget: The day's money.
        settlement: Told of calls that are let in, and of those that are over.
        money: What one call may cost.
        day_cap: Most that a day's calls may cost, in micro-dollars; ``None`` without a cap.
        tariff: What vendors charge.
        listeners: Who keeps records of calls.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        caller: Callable[[web.Request], Awaitable[Caller | None]],
        budget: Budget,
        settlement: SpendSettlement,
        money: CallBudget,
        day_cap: int | None,
        tariff: Tariff,
        listeners: Sequence[CallListener],
    ) -> None:
        self._settings = settings
        self._caller = caller
        self._budget = budget
        self._settlement = settlement
        self._money = money
        self._day_cap = day_cap
        self._tariff = tariff
        self._listeners = listeners

    async def admit(self, request: web.Request) -> Terms | str:
        """The terms of a call, whose money is then set aside; or why there is none.

        Returns:
            The terms, or a key of :data:`pipeline.call.REASONS`.

        Raises:
            web.HTTPUnauthorized: Whoever asks has to sign in first.
            web.HTTPForbidden: The page that asks is of another site.
        """
        caller = await self._caller(request)
        if caller is None:
            raise web.HTTPUnauthorized(text="Please sign in at /sign-in.")
        if not self._is_our_page(request):
            origin = request.headers.get("Origin", "nowhere")
            raise web.HTTPForbidden(text=f"calls from {origin} are not taken here")
        call = new_call_id()
        self._settlement.admitted(call)
        admission = await asyncio.to_thread(self._budget.admit, call, caller.key)
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
        )

    async def release(self, terms: Terms) -> None:
        """The call is over, or never began: what was set aside is free again."""
        self._settlement.release(terms.id)

    def _is_our_page(self, request: web.Request) -> bool:
        others = self._settings.rtvi_origins.split(",") if request.path == RTVI else ()
        if allowed_origin(request, self._settings, others):
            return True
        # Browsers always say whose page asks; a program that carries a key is nobody's page.
        keyed = self._settings.auth == "off" or "Authorization" in request.headers
        return keyed and "Origin" not in request.headers
