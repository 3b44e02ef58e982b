/* Rows of numbers into columns, and columns into lists: what the native bindings do for add_tasks(fn, rows). They include Python.h first.
 *
 * The GIL is held, and no Python code runs: exact ints, floats and bools are read where they lie.
 */
#ifndef CATZILLA_ROWS_H
#define CATZILLA_ROWS_H

#include <stdint.h>
#include <string.h>
#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

#define CATZILLA_ROWS_WIDTH 16 /* arguments of a row, at most */
#define CATZILLA_ROWS_AHEAD 12 /* rows that are fetched before they are read: they lie where the heap had room */
#define CATZILLA_ROWS_MAPPED (32u << 20) /* bytes: malloc maps all that is larger (M_MMAP_THRESHOLD at its largest) */

/* 1: in its place; 0: it is of another type, or an int beyond 64 bits. */
static inline int catzilla_rows_put(char code, PyObject *value, char *column, Py_ssize_t at)
{
    if (code == 'i') {
        int64_t number;
        if (!PyLong_CheckExact(value))
            return 0;
#if PY_VERSION_HEX >= 0x030C0000
        if (PyUnstable_Long_IsCompact((PyLongObject *)value)) {
            number = (int64_t)PyUnstable_Long_CompactValue((PyLongObject *)value);
        } else
#else
        Py_ssize_t size = Py_SIZE(value);
        if (size >= -1 && size <= 1) { /* no digit (which is 0), or one of 30 bits */
            number = (int64_t)size * (int64_t)((PyLongObject *)value)->ob_digit[0];
        } else
#endif
        {
            int overflow = 0;
            number = (int64_t)PyLong_AsLongLongAndOverflow(value, &overflow);
            if (overflow)
                return 0;
        }
        ((int64_t *)column)[at] = number;
        return 1;
    }
    if (code == 'd') {
        if (!PyFloat_CheckExact(value))
            return 0;
        ((double *)column)[at] = PyFloat_AS_DOUBLE(value);
        return 1;
    }
    if (!PyBool_Check(value))
        return 0;
    column[at] = value == Py_True;
    return 1;
}

static inline int catzilla_rows_one(PyObject *row, Py_ssize_t given, const char *codes, Py_ssize_t width,
                                    PyObject *defaults, char *const *columns, Py_ssize_t at)
{
    Py_ssize_t first = width - PyTuple_GET_SIZE(defaults);
    int fits = PyTuple_CheckExact(row);
    for (Py_ssize_t i = 0; fits && i < width; i++) {
        PyObject *value = i < given ? PyTuple_GET_ITEM(row, i) : PyTuple_GET_ITEM(defaults, i - first);
        fits = catzilla_rows_put(codes[i], value, columns[i], at);
    }
    if (fits)
        return 1;
    for (Py_ssize_t i = 0; i < width; i++)
        if (codes[i] == 'b')
            columns[i][at] = 0;
        else
            ((int64_t *)columns[i])[at] = 0;
    return 0;
}

static inline void catzilla_rows_fetch(PyObject *const *rows)
{
#if defined(__GNUC__)
    PyObject *near = rows[CATZILLA_ROWS_AHEAD];
    __builtin_prefetch((char *)rows[2 * CATZILLA_ROWS_AHEAD] + sizeof(PyVarObject));
    if (PyTuple_Check(near) && PyTuple_GET_SIZE(near) > 0)
        __builtin_prefetch(PyTuple_GET_ITEM(near, 0));
#else
    (void)rows;
#endif
}

/* The columns' elements, at index 0 of the batch; the buffers are held. 0: an exception, and none is held. */
static inline int catzilla_rows_columns(PyObject *columns, const char *codes, Py_ssize_t width, Py_ssize_t end,
                                        Py_buffer *held, char **at)
{
    Py_ssize_t got = 0;
    for (; got < width; got++) {
        if (PyObject_GetBuffer(PyTuple_GET_ITEM(columns, got), &held[got], PyBUF_WRITABLE) < 0)
            break;
        at[got] = (char *)held[got].buf;
        if (held[got].len / (codes[got] == 'b' ? 1 : 8) < end) {
            PyErr_SetString(PyExc_ValueError, "pack_rows() takes columns with room for all rows");
            got++;
            break;
        }
    }
    if (!PyErr_Occurred())
        return 1;
    while (got > 0)
        PyBuffer_Release(&held[--got]);
    return 0;
}

/* Into the columns' elements begin..end, and the rows that do not fit (from begin) into odd. 1: done; 0: a row is no
 * tuple, or not as long as it must be; -1: an exception. */
static inline int catzilla_rows_read(PyObject *rows, const char *codes, Py_ssize_t width, PyObject *defaults,
                                     Py_ssize_t begin, Py_ssize_t end, char *const *at, PyObject *odd)
{
    if (PySequence_Fast_GET_SIZE(rows) < end) /* another thread has made it shorter */
        return 0;
    for (Py_ssize_t k = begin; k < end; k++) {
        if (k + 2 * CATZILLA_ROWS_AHEAD < end)
            catzilla_rows_fetch(PySequence_Fast_ITEMS(rows) + k);
        PyObject *row = PySequence_Fast_GET_ITEM(rows, k);
        if (!PyTuple_Check(row))
            return 0;
        Py_ssize_t given = PyTuple_GET_SIZE(row);
        if (given > width || given < width - PyTuple_GET_SIZE(defaults))
            return 0;
        if (catzilla_rows_one(row, given, codes, width, defaults, at, k))
            continue;
        PyObject *index = PyLong_FromSsize_t(k - begin);
        int failed = index == NULL || PyList_Append(odd, index) < 0;
        Py_XDECREF(index);
        if (failed)
            return -1;
        if (PySequence_Fast_GET_SIZE(rows) < end) /* the collector has run, and whatever it set off */
            return 0;
    }
    return 1;
}

/* rows[begin:end] of a list or tuple into the same elements of the columns -> [index of a row that does not fit, ...],
 * from begin. None: a row is no tuple, or has too few or too many arguments. codes: "id>d", defaults: those of the
 * last parameters. */
static inline PyObject *catzilla_rows_pack(PyObject *rows, const char *codes, PyObject *defaults, Py_ssize_t begin,
                                           Py_ssize_t end, PyObject *columns)
{
    const char *arrow = strchr(codes, '>');
    Py_ssize_t width = arrow == NULL ? -1 : arrow - codes;
    if (width < 1 || width > CATZILLA_ROWS_WIDTH || strspn(codes, "ibd") < (size_t)width ||
        !(PyList_CheckExact(rows) || PyTuple_CheckExact(rows)) || !PyTuple_CheckExact(defaults) ||
        PyTuple_GET_SIZE(defaults) > width || begin < 0 || begin > end || !PyTuple_CheckExact(columns) ||
        PyTuple_GET_SIZE(columns) != width) {
        PyErr_Format(PyExc_ValueError, "pack_rows() takes rows of 1 to %d numbers, and a column for each",
                     CATZILLA_ROWS_WIDTH);
        return NULL;
    }
    Py_buffer held[CATZILLA_ROWS_WIDTH];
    char *at[CATZILLA_ROWS_WIDTH];
    PyObject *odd = PyList_New(0);
    if (odd == NULL || !catzilla_rows_columns(columns, codes, width, end, held, at)) {
        Py_XDECREF(odd);
        return NULL;
    }
    int done = catzilla_rows_read(rows, codes, width, defaults, begin, end, at, odd);
    for (Py_ssize_t i = 0; i < width; i++)
        PyBuffer_Release(&held[i]);
    if (done == 1)
        return odd;
    Py_DECREF(odd);
    if (done < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* As PyLong_FromLongLong, without its calls: the layout is that of the headers of 3.11 to 3.13. */
static inline PyObject *catzilla_rows_int(int64_t number)
{
#if PyLong_SHIFT == 30 && PY_VERSION_HEX < 0x030E0000
    uint64_t size = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    if (size > 256) { /* those below may be the interpreter's own */
        int digits = size >> 30 == 0 ? 1 : size >> 60 == 0 ? 2 : 3;
        PyLongObject *made = _PyLong_New(digits);
        if (made == NULL)
            return NULL;
#if PY_VERSION_HEX >= 0x030C0000
        digit *digit_at = made->long_value.ob_digit;
        if (number < 0)
            made->long_value.lv_tag += 2; /* the sign of a new one is 0: 1 - sign, below the number of digits */
#else
        digit *digit_at = made->ob_digit;
        if (number < 0)
            Py_SET_SIZE(made, -digits);
#endif
        digit_at[0] = (digit)(size & PyLong_MASK);
        if (digits > 1)
            digit_at[1] = (digit)((size >> 30) & PyLong_MASK);
        if (digits > 2)
            digit_at[2] = (digit)(size >> 60);
        return (PyObject *)made;
    }
#endif
    return PyLong_FromLongLong(number);
}

/* The list's own memory on huge pages, before it is first touched: where it is so long that malloc maps it alone. */
static inline void catzilla_rows_huge(PyObject *list)
{
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = (uintptr_t)((PyListObject *)list)->ob_item;
    uintptr_t end = begin + (uintptr_t)PyList_GET_SIZE(list) * sizeof(PyObject *);
    if (end - begin <= CATZILLA_ROWS_MAPPED)
        return;
    begin = (begin + page - 1) & ~(page - 1);
    (void)madvise((void *)begin, (end & ~(page - 1)) - begin, MADV_HUGEPAGE); /* a kernel may have none */
#else
    (void)list;
#endif
}

/* The numbers column[begin:end] as a list; letter: one of "qd?", as of a memoryview. */
static inline PyObject *catzilla_rows_unpack(PyObject *column, const char *letter, Py_ssize_t begin, Py_ssize_t end)
{
    Py_buffer held;
    if (strlen(letter) != 1 || strchr("qd?", *letter) == NULL || begin < 0 || begin > end)
        return PyErr_Format(PyExc_ValueError, "unpack_rows() takes a column of numbers");
    if (PyObject_GetBuffer(column, &held, PyBUF_SIMPLE) < 0)
        return NULL;
    PyObject *list = NULL;
    if (held.len / (*letter == '?' ? 1 : 8) < end)
        PyErr_SetString(PyExc_ValueError, "unpack_rows() takes a column that is not shorter than end");
    else
        list = PyList_New(end - begin);
    if (list != NULL)
        catzilla_rows_huge(list);
    for (Py_ssize_t k = begin; list != NULL && k < end; k++) {
        PyObject *value;
        if (*letter == 'q')
            value = catzilla_rows_int(((const int64_t *)held.buf)[k]);
        else if (*letter == 'd')
            value = PyFloat_FromDouble(((const double *)held.buf)[k]);
        else
            value = Py_NewRef(((const char *)held.buf)[k] ? Py_True : Py_False);
        if (value == NULL)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, k - begin, value);
    }
    PyBuffer_Release(&held);
    return list;
}

#endif
