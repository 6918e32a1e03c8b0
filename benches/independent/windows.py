"""Windows: a count, or a stretch of time."""

import numpy as np
import pandas as pd


def first_in(times, window):
    """The place of the first of rising times that is in a window which ends with the last of them."""
    if isinstance(window, int):
        return max(len(times) - window, 0)
    left = times[-1:] - pd.Timedelta(window).value // 1000
    return int(np.searchsorted(times, left, side="right")[0]) if len(times) else 0
