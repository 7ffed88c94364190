"""Our profiles say what the published ones say, constraint by constraint.

Spec: MHD 4.2.4, PIXm 3.1.0, PDQm 3.2.0, BALP 1.1.4.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
COMPARE = REPOSITORY.parent / "shared" / "tools" / "compare_profiles.py"


@pytest.mark.skipif(not COMPARE.is_file(), reason="the published profiles are not at hand")
def test_profiles_equal_the_published_ones() -> None:
    """MHD-PR-01, MHD-PR-10, MHD-PR-20, MHD-PR-21, MHD-PR-30, PIXM-DAT-01, PDQM-DAT-01: all 80 profiles are equal."""
    done = subprocess.run(
        [sys.executable, str(COMPARE), str(REPOSITORY / "profiles")], capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1:] == ["80 of 80 profiles equal"], done.stdout
    assert done.returncode == 0
