"""A white-box view of the C core, for property tests, stress tests and micro-benchmarks.

The backend itself does not use it: a cffi call costs more than a submit, and waits for the GIL on its
way back. ``whitebox.c`` is the same core, compiled into a library of its own.
"""

from __future__ import annotations

import glob
import os
from typing import Any

from cffi import FFI

ffi = FFI()
ffi.cdef(
    """
    void *czw_open(int64_t capacity, int exclusive);
    void czw_close(void *core);
    void *czw_put(void *core, unsigned lane, int64_t number, int64_t ready_ns);
    void *czw_put_delayed(void *core, unsigned lane, int64_t number, int64_t due_ns);
    int64_t czw_pop(void *core, unsigned *picks, void **found);
    int czw_claim(void *core, void *box);
    int czw_settle(void *box, unsigned state);
    unsigned czw_state(void *box, int64_t now_ns);
    int64_t czw_size(void *core, unsigned lane);
    int64_t czw_ready(void *core);
    void czw_pause(void *core, unsigned lanes);
    int czw_again(void *core, void *box, int64_t due_ns);
    int64_t czw_advance(void *core, int64_t now_ns);
    unsigned czw_bucket_of(int64_t value);
    int64_t czw_bucket_top(unsigned bucket);
    unsigned czw_buckets(void);
    double czw_time(int64_t n, int exclusive);
    """
)


def load() -> Any:
    """The library. Raises ImportError where it was not built."""
    import catzilla.backends.c._native as native

    found = glob.glob(os.path.join(os.path.dirname(native.__file__), "cffi", "whitebox.so"))
    if not found:
        raise ImportError("this install has no whitebox.so beside catzilla/backends/c/cffi")
    return ffi.dlopen(found[0])
