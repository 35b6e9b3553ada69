"""The machine's source of power."""

from __future__ import annotations

import logging

import psutil

logger = logging.getLogger(__name__)


def on_battery() -> bool:
    """Return whether the machine runs on battery. False where the system does not tell."""
    sensor = getattr(psutil, "sensors_battery", None)  # missing on some systems (psutil 7)
    try:
        battery = sensor() if sensor is not None else None
    except (OSError, RuntimeError, ValueError) as error:
        logger.debug("The battery can't be read: %r", error)
        return False
    return battery is not None and battery.power_plugged is False
