"""Write the reference pages from the code, or say which are out of date.

    python docs/generate            write them
    python docs/generate --check    write nothing; exit status 1 where one differs

A page is a pure function of the code: the same tree gives the same bytes. This package knows the
code; the code knows nothing of it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import commands
import errors
import grafana
import metrics
import rest
import settings
import states

REFERENCE = Path(__file__).resolve().parents[1] / "reference"

PAGES = {
    "commands.md": commands.page,
    "errors.md": errors.page,
    "grafana.json": grafana.page,
    "metrics.md": metrics.page,
    "openapi.json": rest.openapi,
    "rest.md": rest.page,
    "settings.md": settings.page,
    "states.md": states.page,
}


def main(check: bool) -> int:
    """Exit status: 0 where every page is (now) up to date."""
    stale = []
    for name, page in PAGES.items():
        path, text = REFERENCE / name, page()
        if path.exists() and path.read_text() == text:
            continue
        stale.append(name)
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
    if check and stale:
        print(f"Out of date in docs/reference: {', '.join(stale)}. Run `python3 dev.py generate`.")
        return 1
    print(f"docs/reference: {len(PAGES)} pages, {len(stale)} changed.")
    return 0


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
