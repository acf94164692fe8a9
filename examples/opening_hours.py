"""A tool: when somebody is there, which is in no document. A brain may call it before it answers.

It is registered when this file is copied into ``processors/brain/tools``.
"""

from datetime import date

from processors.brain.tools import Arguments, FunctionTool

HOURS = ("9 to 17", "9 to 17", "9 to 19", "9 to 17", "9 to 15", "closed", "closed")
CLOSED_ON = {date(2026, 12, 25): "Christmas Day", date(2027, 1, 1): "New Year's Day"}


async def opening_hours(arguments: Arguments) -> str:
    """The hours of a day."""
    day = date.fromisoformat(str(arguments["day"]))
    name = day.strftime("%A")
    if day in CLOSED_ON:
        return f"{name}, {day}: the office is closed for {CLOSED_ON[day]}."
    return f"{name}, {day}: the office is open {HOURS[day.weekday()]}."


TOOL = FunctionTool(
    name="opening_hours",
    description="When the office is open on a day. Call it for any question about opening hours.",
    arguments={"day": {"type": "string", "description": "The day, as YYYY-MM-DD."}},
    run=opening_hours,
    timeout_secs=1.0,
    said="Let me look at the calendar.",
)
