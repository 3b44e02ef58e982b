/* Rows of numbers into columns: what the native bindings do for add_tasks(fn, rows). They include Python.h first.
 *
 * The GIL is held, and no Python code runs: exact ints, floats and bools are read where they lie.
 */
#ifndef CATZILLA_ROWS_H
#define CATZILLA_ROWS_H

#include <stdint.h>
#include <string.h>

#define CATZILLA_ROWS_WIDTH 16 /* arguments of a row, at most */
#define CATZILLA_ROWS_AHEAD 12 /* rows that are fetched before they are read: they lie where the heap had room */

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

/* rows[begin:end] of a list or tuple -> ((column, ...), [index of a row that does not fit, ...]), the indices from
 * begin. None: a row is no tuple, or has too few or too many arguments. codes: "id>d", defaults: those of the last
 * parameters. */
static inline PyObject *catzilla_rows_pack(PyObject *rows, const char *codes, PyObject *defaults, Py_ssize_t begin,
                                           Py_ssize_t end)
{
    const char *arrow = strchr(codes, '>');
    Py_ssize_t width = arrow == NULL ? -1 : arrow - codes;
    if (width < 1 || width > CATZILLA_ROWS_WIDTH || strspn(codes, "ibd") < (size_t)width ||
        !(PyList_CheckExact(rows) || PyTuple_CheckExact(rows)) || !PyTuple_CheckExact(defaults) ||
        PyTuple_GET_SIZE(defaults) > width || begin < 0 || begin > end) {
        PyErr_Format(PyExc_ValueError, "pack_rows() takes rows of 1 to %d numbers", CATZILLA_ROWS_WIDTH);
        return NULL;
    }
    PyObject *columns = PyTuple_New(width), *odd = columns == NULL ? NULL : PyList_New(0);
    char *at[CATZILLA_ROWS_WIDTH];
    if (odd == NULL)
        goto failed;
    for (Py_ssize_t i = 0; i < width; i++) {
        PyObject *column = PyByteArray_FromStringAndSize(NULL, (end - begin) * (codes[i] == 'b' ? 1 : 8));
        if (column == NULL)
            goto failed;
        PyTuple_SET_ITEM(columns, i, column);
        at[i] = PyByteArray_AS_STRING(column);
    }
    if (PySequence_Fast_GET_SIZE(rows) < end) /* another thread has made it shorter */
        goto none;
    for (Py_ssize_t k = begin; k < end; k++) {
        if (k + 2 * CATZILLA_ROWS_AHEAD < end)
            catzilla_rows_fetch(PySequence_Fast_ITEMS(rows) + k);
        PyObject *row = PySequence_Fast_GET_ITEM(rows, k);
        if (!PyTuple_Check(row))
            goto none;
        Py_ssize_t given = PyTuple_GET_SIZE(row);
        if (given > width || given < width - PyTuple_GET_SIZE(defaults))
            goto none;
        if (catzilla_rows_one(row, given, codes, width, defaults, at, k - begin))
            continue;
        PyObject *index = PyLong_FromSsize_t(k - begin);
        int failed = index == NULL || PyList_Append(odd, index) < 0;
        Py_XDECREF(index);
        if (failed)
            goto failed;
        if (PySequence_Fast_GET_SIZE(rows) < end) /* the collector has run, and whatever it set off */
            goto none;
    }
    {
        PyObject *result = PyTuple_Pack(2, columns, odd);
        Py_DECREF(columns);
        Py_DECREF(odd);
        return result;
    }
none:
    Py_DECREF(columns);
    Py_DECREF(odd);
    Py_RETURN_NONE;
failed:
    Py_XDECREF(columns);
    Py_XDECREF(odd);
    return NULL;
}

#endif
