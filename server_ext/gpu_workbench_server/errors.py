"""Every error that a person or a client can meet, in one tree.

WorkbenchError                      500  internal
├── BadRequest                      400  bad_request       the call itself is wrong
│   ├── BadAsk                      400  bad_ask           "what" is asked for can't be read
│   └── BadConfiguration            500  bad_configuration
├── NotFound                        404  not_found
├── Forbidden                       403  forbidden
├── Refused                         409  refused           understood, and it can't be had
│   ├── UnknownProfile              409  unknown_profile
│   ├── NeverFits                   409  never_fits
│   ├── OverLimit                   409  over_limit
│   ├── TooLong                     409  too_long
│   ├── CanNotCut                   409  can_not_cut
│   ├── NotNow                      409  not_now
│   ├── Promised                    409  promised
│   ├── Reserved                    409  reserved
│   └── WrongState                  409  wrong_state
└── Unavailable                     503  unavailable       try again later
    ├── NoDevices                   503  no_devices
    ├── StoreTrouble                503  store_trouble
    └── BrokerBusy                  503  broker_busy

Each carries a `message` (what happened, with the number that binds) and a `hint` (what would
work). A browser or a kernel sees these three fields and never a traceback.
"""

from __future__ import annotations

from typing import ClassVar


class WorkbenchError(Exception):
    """Something went wrong inside GPU Workbench."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500

    def __init__(self, message: str = "", hint: str = "") -> None:
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.hint = hint
        super().__init__(self.message)


class BadRequest(WorkbenchError):
    """The call can't be understood."""

    code = "bad_request"
    status = 400


class BadAsk(BadRequest):
    """What is asked for can't be read as a memory, a share or a profile."""

    code = "bad_ask"


class BadConfiguration(BadRequest):
    """The configuration is wrong."""

    code = "bad_configuration"
    status = 500


class NotFound(WorkbenchError):
    """There is no such thing, or it is not yours."""

    code = "not_found"
    status = 404


class Forbidden(WorkbenchError):
    """You may not do this."""

    code = "forbidden"
    status = 403


class Refused(WorkbenchError):
    """Understood, and it can't be had."""

    code = "refused"
    status = 409


class UnknownProfile(Refused):
    """No pool offers this profile."""

    code = "unknown_profile"


class NeverFits(Refused):
    """More than the pool could give with everything free."""

    code = "never_fits"


class OverLimit(Refused):
    """More than a limit allows, whatever is free."""

    code = "over_limit"


class TooLong(Refused):
    """Longer than the pool allows."""

    code = "too_long"


class CanNotCut(Refused):
    """The GPU's MIG instances can't be changed from here."""

    code = "can_not_cut"


class NotNow(Refused):
    """Nothing is free at this moment and this call does not wait."""

    code = "not_now"


class Promised(Refused):
    """Somebody who waits has been promised these GPUs."""

    code = "promised"


class Reserved(Refused):
    """Others have reserved what this would need."""

    code = "reserved"


class WrongState(Refused):
    """It is past the point where this can be done."""

    code = "wrong_state"


class Unavailable(WorkbenchError):
    """It can't be done at the moment."""

    code = "unavailable"
    status = 503


class NoDevices(Unavailable):
    """No GPU can be seen."""

    code = "no_devices"


class StoreTrouble(Unavailable):
    """The broker's store can't be read or written."""

    code = "store_trouble"


class BrokerBusy(Unavailable):
    """Another server manages the GPUs from the same data directory."""

    code = "broker_busy"


def all_errors() -> list[type[WorkbenchError]]:
    """The tree, depth first: what the generated table of error codes lists."""

    def walk(cls: type[WorkbenchError]) -> list[type[WorkbenchError]]:
        return [cls, *(c for sub in cls.__subclasses__() for c in walk(sub))]

    return walk(WorkbenchError)
