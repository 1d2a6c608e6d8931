"""`pytest -p two_years_ahead`: the clock of this process is two years ahead, from the first import on."""

from datetime import UTC, datetime, timedelta

from time_machine import travel

travel(datetime.now(UTC) + timedelta(days=2 * 365)).start()
