"""Where the real material (SqueezeNet, ImageNet samples, the early-vision families) lies."""

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("NEUROTAXA_DATA") or Path(__file__).resolve().parent.parent.parent / "shared" / "data")

# Without the material a test is skipped on a laptop; in CI its absence would hide what was never tested.
needs_data = pytest.mark.skipif(
    not DATA.is_dir() and not os.environ.get("CI"), reason=f"the real material is not at {DATA} (set NEUROTAXA_DATA)"
)
