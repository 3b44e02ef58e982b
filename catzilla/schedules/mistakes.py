"""What is wrong with a cron expression, told by its field: cronsim only says which field is bad."""

from __future__ import annotations

from typing import Any, Final

# What cron calls by a name, as an expression.
ALIASES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_ALLOWED: Final = {
    "second": "0 to 59",
    "minute": "0 to 59",
    "hour": "0 to 23",
    "day-of-month": "1 to 31, L (the last) or LW (the last from Monday to Friday)",
    "month": "1 to 12, or jan to dec",
    "day-of-week": "0 to 7 (0 and 7 are Sunday), or sun to sat; 5L is the last Friday, 5#2 the second",
}
_FORM: Final = (
    "a cron expression has five fields (minute, hour, day of the month, month, day of the week) or six (a second in "
    "front), such as '*/5 * * * *'"
)


def words(cronsim: Any, expression: str, error: Exception) -> str:
    """The message for an expression that cronsim refuses with ``error``."""
    head = f"cron={expression!r} is not a cron expression"
    if expression.strip().startswith("@"):
        hint = "; to run at the start, submit the task there" if expression.strip().lower() == "@reboot" else ""
        return f"{head}: the names are {', '.join(ALIASES)}{hint}; else {_FORM}"
    parts = expression.split()
    field = str(error).removeprefix("Bad ")
    names = list(_ALLOWED)[0 if len(parts) == 6 else 1 :]
    if field not in names or len(parts) != len(names):
        return f"{head}: it has {len(parts)} field{'' if len(parts) == 1 else 's'}, and {_FORM}"
    text = parts[names.index(field)]
    if field == "day-of-month" and _is_good(cronsim, ["*", "*", text, "*", "*"]):
        month = parts[names.index("month")]
        return f"cron={expression!r} never comes: no month {month!r} has a day {text!r}"
    sixth = " (the first of six fields is the second)" if len(parts) == 6 else ""
    return (
        f"{head}: its {field} is {text!r}{sixth}; it must be {_ALLOWED[field]}; or *, a range such as a-b, a step such "
        "as */n, or several of these with commas between"
    )


def _is_good(cronsim: Any, fields: list[str]) -> bool:
    from datetime import datetime

    try:
        cronsim.CronSim(" ".join(fields), datetime(2024, 1, 1))
    except cronsim.CronSimError:
        return False
    return True
