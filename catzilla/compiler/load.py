"""Kernels into the process, with cffi (ABI mode): the types of the header, dlopen, and libc's malloc."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from .runtime_text import ABI


@functools.cache
def types() -> Any:
    """The one FFI: every kernel has the same functions."""
    import cffi

    ffi = cffi.FFI()
    ffi.cdef(
        ABI() + "int cz_kernel(const cz_value_t *args, cz_value_t *result, cz_runtime_t *rt);"
        "void cz_release(cz_runtime_t *rt);"
        "int cz_map(const void *const *in, void *to, long long *at, long long length, cz_runtime_t *rt);"
        "void *malloc(unsigned long); void free(void *);"
    )
    return ffi


@functools.cache
def memory() -> tuple[Any, Any]:
    """malloc and free as pointers."""
    ffi = types()
    libc = ffi.dlopen(None)
    return ffi.addressof(libc, "malloc"), ffi.addressof(libc, "free")


class Library:
    """Raises OSError when the file cannot be loaded."""

    def __init__(self, path: Path, maps: bool = False) -> None:
        ffi = types()
        self._library = ffi.dlopen(str(path))
        self.kernel = self._library.cz_kernel
        self.release = self._library.cz_release
        self.map: Any = self._library.cz_map if maps else None
        self.address = int(ffi.cast("intptr_t", ffi.addressof(self._library, "cz_kernel")))
