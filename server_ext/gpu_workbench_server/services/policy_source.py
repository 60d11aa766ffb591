"""Which policy is in force: the policy file's where there is one, else what the settings say.

Never both: a limit that stood in two places would be changed in the wrong one. The file is read
again when it changes; one with a fault changes nothing.
"""

from __future__ import annotations

from dataclasses import fields, replace

from ..errors import BadConfiguration
from ..settings import Settings
from .policy import Policy
from .policy_file import read_policy

REPLACED = (
    *("user_limits", "group_limits", "default_user_limit", "default_group_limit"),
    *("default_seconds", "max_seconds", "idle_seconds", "claim_seconds"),
    *("whole_gpus", "fractions"),
)
"""Settings that a policy file speaks for."""


class PolicySource:
    """Not thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._taken = self._seen = self._look()

    def read(self) -> Policy:
        """The policy, now; `BadConfiguration` names line and key of every fault."""
        settings, path = self._settings, self._settings.policy_file
        if path is None:
            policy = Policy((settings.pool(),), settings.limits())
        else:
            _refuse_both(settings)
            policy = read_policy(path)
        return replace(
            policy,
            lease_ttl=settings.lease_ttl,
            dead_grace=settings.restart_seconds,
            stop_grace=settings.grace_seconds,
        )

    def changed(self) -> bool:
        """Whether the file is another one, and was left alone since the last call.

        A file that is saved in place is empty or half written for a moment, one that is replaced
        may be gone: what a look meets once is not taken for what somebody wanted.
        """
        was, self._seen = self._seen, self._look()
        if was != self._seen or self._seen == self._taken:
            return False
        self._taken = self._seen
        return True

    def _look(self) -> tuple[int, ...] | None:
        """What changes with a file's content; None where there is no file at the moment."""
        if self._settings.policy_file is None:
            return None
        try:
            found = self._settings.policy_file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


def _refuse_both(settings: Settings) -> None:
    given = {one.name: getattr(settings, one.name) for one in fields(settings)}
    plain = Settings(data_dir=settings.data_dir)
    both = [name for name in REPLACED if given[name] != getattr(plain, name)]
    if both:
        raise BadConfiguration(
            f"GpuWorkbenchApp.{both[0]} is set, and so is policy_file, which says that too.",
            f"Write it into {settings.policy_file} and take GpuWorkbenchApp.{both[0]} out of the "
            "Jupyter server's configuration; docs/admin/policy.md lists the keys.",
        )
