/* A compiled function as policy describes it (interface.Kernel): its types, its guards, and its calls.
 *
 * A short kernel (numbers, no loop, no memory of its own) is over in nanoseconds, sooner than the GIL could
 * be given away and had back, so it is called with the GIL held, as the Python function would be. All others
 * compute without it: compute.c.
 */
#include "kernel.h"

void kernel_use(KernelCall *kernel)
{
    kernel->users++;
}

void kernel_drop(KernelCall *kernel)
{
    if (kernel == NULL || --kernel->users > 0)
        return;
    PyMem_Free(kernel->types);
    PyMem_Free(kernel->items);
    PyMem_Free(kernel->params);
    PyMem_Free(kernel->tags);
    PyMem_Free(kernel->seen);
    Py_XDECREF(kernel->guards);
    Py_XDECREF(kernel->code);
    Py_XDECREF(kernel->object);
    PyMem_Free(kernel);
}

int kernel_visit(KernelCall *kernel, visitproc visit, void *arg)
{
    if (kernel != NULL && kernel->users == 1) { /* else a run holds it too, which the collector does not know */
        Py_VISIT(kernel->object);
        Py_VISIT(kernel->guards);
        Py_VISIT(kernel->code);
    }
    return 0;
}

/* -- reading ----------------------------------------------------------------------------------- */

static long long number_of(PyObject *object, const char *name)
{
    if (PyErr_Occurred())
        return -1;
    PyObject *value = PyObject_GetAttrString(object, name);
    long long number = value == NULL ? -1 : PyLong_AsLongLong(value);
    Py_XDECREF(value);
    return number;
}

/* Indices into the kernel's types, as pointers. */
static int read_indices(KernelCall *kernel, PyObject *numbers, Type **into)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(numbers); i++) {
        Py_ssize_t index = PyLong_AsSsize_t(PyTuple_GET_ITEM(numbers, i));
        if (index < 0 || index >= kernel->type_count) {
            if (!PyErr_Occurred())
                PyErr_Format(PyExc_ValueError, "a kernel's layout has %zd types, and no number %zd", kernel->type_count,
                             index);
            return -1;
        }
        into[i] = &kernel->types[index];
    }
    return 0;
}

static int read_type(KernelCall *kernel, PyObject *row, Type *type, Type **items)
{
    const char *letter;
    PyObject *numbers;
    if (!PyArg_ParseTuple(row, "sLO!:layout", &letter, &type->tag, &PyTuple_Type, &numbers))
        return -1;
    type->letter = letter[0];
    type->count = PyTuple_GET_SIZE(numbers);
    type->items = items;
    Py_ssize_t least = strchr("idbsn!T", type->letter) != NULL ? 0 : type->letter == 'D' ? 2 : 1;
    if (strchr("idbsn!LDT?", type->letter) == NULL || type->count < least)
        return PyErr_Format(PyExc_ValueError, "a kernel's layout has a type %R", row) == NULL ? -1 : 0;
    return read_indices(kernel, numbers, items);
}

static int read_types(KernelCall *kernel, PyObject *rows)
{
    Py_ssize_t held = 0, at = 0;
    kernel->type_count = PyTuple_GET_SIZE(rows);
    for (Py_ssize_t i = 0; i < kernel->type_count; i++) {
        PyObject *row = PyTuple_GET_ITEM(rows, i);
        if (!PyTuple_CheckExact(row) || PyTuple_GET_SIZE(row) != 3 || !PyTuple_CheckExact(PyTuple_GET_ITEM(row, 2)))
            return PyErr_Format(PyExc_TypeError, "a kernel's layout has a type %R", row) == NULL ? -1 : 0;
        held += PyTuple_GET_SIZE(PyTuple_GET_ITEM(row, 2));
    }
    kernel->types = PyMem_Calloc((size_t)kernel->type_count + 1, sizeof *kernel->types);
    kernel->items = PyMem_Calloc((size_t)held + 1, sizeof *kernel->items);
    if (kernel->types == NULL || kernel->items == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < kernel->type_count; i++) {
        if (read_type(kernel, PyTuple_GET_ITEM(rows, i), &kernel->types[i], &kernel->items[at]) < 0)
            return -1;
        at += kernel->types[i].count;
    }
    return 0;
}

/* layout: (types, the parameters' numbers, the numbers of the types with a tag of their own). */
static int read_layout(KernelCall *kernel, PyObject *object)
{
    PyObject *layout = PyObject_GetAttrString(object, "layout"), *rows, *params, *tags;
    int result = -1;
    if (layout != NULL &&
        PyArg_ParseTuple(layout, "O!O!O!:layout", &PyTuple_Type, &rows, &PyTuple_Type, &params, &PyTuple_Type, &tags)) {
        kernel->count = PyTuple_GET_SIZE(params);
        kernel->tag_count = PyTuple_GET_SIZE(tags);
        kernel->params = PyMem_Calloc((size_t)kernel->count + 1, sizeof *kernel->params);
        kernel->tags = PyMem_Calloc((size_t)kernel->tag_count + 1, sizeof *kernel->tags);
        if (kernel->params == NULL || kernel->tags == NULL)
            PyErr_NoMemory();
        else if (read_types(kernel, rows) == 0 && read_indices(kernel, params, kernel->params) == 0)
            result = read_indices(kernel, tags, kernel->tags);
    }
    Py_XDECREF(layout);
    return result;
}

static int read_quick(KernelCall *kernel, PyObject *object)
{
    PyObject *type_code = PyObject_GetAttrString(object, "type_code");
    char *text;
    int result = -1;
    if (type_code != NULL && PyBytes_AsStringAndSize(type_code, &text, NULL) == 0) {
        const char *arrow = strchr(text, '>');
        if (arrow == NULL || arrow - text != kernel->count || kernel->count > PARAMETERS ||
            strspn(text, "ibd") != (size_t)kernel->count || arrow[1] == 0 || strchr("ibdn", arrow[1]) == NULL) {
            PyErr_Format(PyExc_ValueError, "a short kernel takes up to %d numbers and gives one, not %s", PARAMETERS,
                         text);
        } else {
            memcpy(kernel->letters, text, (size_t)kernel->count);
            kernel->result = arrow[1];
            result = 0;
        }
    }
    Py_XDECREF(type_code);
    return result;
}

/* 0, or -1 with an exception. Of versions none is 0. */
static int watch_globals(KernelCall *kernel)
{
    Py_ssize_t count = PyTuple_GET_SIZE(kernel->guards);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *row = PyTuple_GET_ITEM(kernel->guards, i);
        if (!PyTuple_CheckExact(row) || PyTuple_GET_SIZE(row) != 6 || !PyDict_CheckExact(PyTuple_GET_ITEM(row, 0))) {
            PyErr_Format(PyExc_TypeError, "a kernel's guard_rows has a row %R", row);
            return -1;
        }
        if (!dict_watch(WATCH_GLOBALS, PyTuple_GET_ITEM(row, 0)))
            return 0;
    }
    kernel->seen = PyMem_Calloc((size_t)count + 1, sizeof *kernel->seen);
    if (kernel->seen == NULL)
        PyErr_NoMemory();
    return kernel->seen == NULL ? -1 : 0;
}

KernelCall *kernel_new(PyObject *object)
{
    KernelCall *kernel = PyMem_Calloc(1, sizeof *kernel);
    if (kernel == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    kernel->users = 1;
    kernel->object = Py_NewRef(object);
    long long address = number_of(object, "address"), runs = number_of(object, "runs_address");
    kernel->depth = number_of(object, "depth");
    kernel->stack_bytes = number_of(object, "stack_bytes");
    kernel->limit_bytes = number_of(object, "limit_bytes");
    kernel->quick = number_of(object, "short") == 1;
    kernel->recursive = number_of(object, "recursive") == 1;
    if (!PyErr_Occurred() && (kernel->guards = PyObject_GetAttrString(object, "guard_rows")) != NULL &&
        (kernel->code = PyObject_GetAttrString(object, "code")) != NULL && read_layout(kernel, object) == 0 &&
        (!kernel->quick || read_quick(kernel, object) == 0)) {
        kernel->call = (int (*)(const cz_value_t *, cz_value_t *, cz_runtime_t *))(intptr_t)address;
        kernel->runs = (_Atomic int64_t *)(intptr_t)runs;
        kernel->rt.stack_bytes = kernel->stack_bytes;
        if (kernel->guards == Py_None || (PyTuple_CheckExact(kernel->guards) && watch_globals(kernel) == 0))
            return kernel;
        if (PyErr_Occurred())
            goto failed;
        PyErr_SetString(PyExc_TypeError, "guard_rows must be a tuple or None");
    }
failed:
    kernel_drop(kernel);
    return NULL;
}

int kernel_read(PlanView *view, PyObject *object)
{
    KernelCall *old = view->kernel, *kernel = NULL;
    if (old != NULL && old->object == object)
        return 0;
    if (object != Py_None && PyFunction_Check(view->fn) && (kernel = kernel_new(object)) == NULL)
        return -1;
    view->kernel = kernel;
    view->express = kernel != NULL && kernel->quick && view->lane != 0;
    kernel_drop(old);
    return 0;
}

/* -- before a call ----------------------------------------------------------------------------- */

static bool name_holds(PyObject *row)
{
    PyObject *found = PyDict_GetItemWithError(PyTuple_GET_ITEM(row, 0), PyTuple_GET_ITEM(row, 1));
    if (found != NULL)
        return found == PyTuple_GET_ITEM(row, 2);
    if (PyErr_Occurred()) {
        PyErr_Clear();
        return false;
    }
    return PyTuple_GET_ITEM(row, 5) == Py_True;
}

/* A function that is called is what it was. */
static bool code_holds(PyObject *row)
{
    PyObject *value = PyTuple_GET_ITEM(row, 2), *code = PyTuple_GET_ITEM(row, 3);
    if (code == Py_None)
        return true;
    PyObject *defaults = PyFunction_GET_DEFAULTS(value);
    return PyFunction_GET_CODE(value) == code && (defaults == NULL ? Py_None : defaults) == PyTuple_GET_ITEM(row, 4);
}

static bool row_holds(PyObject *row, uint64_t *seen)
{
    uint64_t now = seen == NULL ? 0 : dict_version(WATCH_GLOBALS, PyTuple_GET_ITEM(row, 0));
    if (seen == NULL || *seen != now) {
        if (!name_holds(row))
            return false;
        if (seen != NULL)
            *seen = now; /* of before the look, which may have run Python code */
    }
    return code_holds(row);
}

static bool rows_hold(KernelCall *kernel)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(kernel->guards); i++)
        if (!row_holds(PyTuple_GET_ITEM(kernel->guards, i), kernel->seen == NULL ? NULL : &kernel->seen[i]))
            return false;
    return true;
}

/* Every global name is what it was. */
bool kernel_holds(KernelCall *kernel, PyObject *fn)
{
    if (PyFunction_GET_CODE(fn) != kernel->code)
        return false;
    if (kernel->guards != Py_None)
        return rows_hold(kernel);
    PyObject *holds = PyObject_CallMethod(kernel->object, "holds", NULL);
    if (holds == NULL)
        PyErr_Clear(); /* what cannot be looked at is not what it was: the interpreter says what is wrong */
    Py_XDECREF(holds);
    return holds == Py_True;
}

bool kernel_held(KernelCall *kernel, PyObject *fn)
{
    if (PyFunction_GET_CODE(fn) != kernel->code || kernel->guards == Py_None)
        return false;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(kernel->guards); i++) {
        PyObject *row = PyTuple_GET_ITEM(kernel->guards, i);
        if (kernel->seen == NULL || kernel->seen[i] != dict_version(WATCH_GLOBALS, PyTuple_GET_ITEM(row, 0)) ||
            !code_holds(row))
            return false;
    }
    return true;
}

static PyObject *keyword_default(PyObject *fn, Py_ssize_t index)
{
    PyObject *defaults = PyFunction_GET_KW_DEFAULTS(fn);
    PyObject *names = defaults == NULL ? NULL : PyCode_GetVarnames((PyCodeObject *)PyFunction_GET_CODE(fn));
    if (names == NULL)
        return NULL;
    PyObject *value = PyDict_GetItemWithError(defaults, PyTuple_GET_ITEM(names, index));
    Py_DECREF(names);
    return value;
}

PyObject *kernel_parameter(PyObject *fn, PyObject *const *args, Py_ssize_t count, Py_ssize_t index)
{
    Py_ssize_t positional = ((PyCodeObject *)PyFunction_GET_CODE(fn))->co_argcount;
    if (index < count)
        return count <= positional ? args[index] : NULL;
    if (index >= positional)
        return keyword_default(fn, index);
    PyObject *defaults = PyFunction_GET_DEFAULTS(fn);
    Py_ssize_t first = positional - (defaults != NULL ? PyTuple_GET_SIZE(defaults) : 0);
    return index >= first ? PyTuple_GET_ITEM(defaults, index - first) : NULL;
}

static inline int argument(char letter, PyObject *value, cz_value_t *slot)
{
    if (letter == 'i') {
        int overflow = 0;
        if (!PyLong_CheckExact(value))
            return OTHER_TYPES;
        slot->tag = CZ_INT;
#if PY_VERSION_HEX >= 0x030C0000
        if (PyUnstable_Long_IsCompact((PyLongObject *)value)) {
            slot->u.i = PyUnstable_Long_CompactValue((PyLongObject *)value);
            return FITS;
        }
#else
        Py_ssize_t digits = Py_SIZE(value); /* negative: so is the number */
        if (-1 <= digits && digits <= 1) {
            slot->u.i = digits == 0 ? 0 : digits * (long long)((PyLongObject *)value)->ob_digit[0];
            return FITS;
        }
#endif
        slot->u.i = PyLong_AsLongLongAndOverflow(value, &overflow);
        return overflow ? TOO_LARGE : FITS;
    }
    if (letter == 'd') {
        if (!PyFloat_CheckExact(value))
            return OTHER_TYPES;
        slot->tag = CZ_FLOAT;
        slot->u.d = PyFloat_AS_DOUBLE(value);
        return FITS;
    }
    if (!PyBool_Check(value))
        return OTHER_TYPES;
    slot->tag = CZ_BOOL;
    slot->u.i = value == Py_True;
    return FITS;
}

int kernel_numbers(KernelCall *kernel, PyObject *fn, PyObject *const *args, Py_ssize_t count, cz_value_t *slots)
{
    if (count > kernel->count)
        return OTHER_TYPES;
    int result = FITS;
    for (Py_ssize_t i = 0; i < kernel->count && result == FITS; i++) {
        PyObject *value = i < count ? args[i] : kernel_parameter(fn, args, count, i);
        result = value == NULL ? OTHER_TYPES : argument(kernel->letters[i], value, &slots[i]);
    }
    return result;
}

/* -- calls ------------------------------------------------------------------------------------- */

void kernel_left(Engine *engine, KernelCall *kernel, PyObject *const *args, Py_ssize_t count, long why)
{
    PyObject *object = Py_NewRef(kernel->object), *values = PyTuple_New(count), *result = NULL;
    for (Py_ssize_t i = 0; values != NULL && i < count; i++)
        PyTuple_SET_ITEM(values, i, Py_NewRef(args[i]));
    if (values != NULL)
        result = PyObject_CallMethod(object, "left", "Ol", values, why);
    if (result == NULL)
        report_fault(engine);
    Py_XDECREF(result);
    Py_XDECREF(values);
    Py_DECREF(object);
}

PyObject *kernel_number(char letter, const cz_value_t *result)
{
    switch (letter) {
    case 'i':
        return PyLong_FromLongLong(result->u.i);
    case 'd':
        return PyFloat_FromDouble(result->u.d);
    case 'b':
        return PyBool_FromLong(result->u.i != 0);
    default:
        return Py_NewRef(Py_None);
    }
}

static PyObject *try_quick(Engine *engine, KernelCall *kernel, PyObject *fn, PyObject *const *args, Py_ssize_t count,
                           long *why)
{
    cz_value_t slots[PARAMETERS], result;
    *why = CHANGED;
    if (!kernel_holds(kernel, fn))
        return NULL;
    int fit = kernel_numbers(kernel, fn, args, count, slots);
    *why = fit == TOO_LARGE ? BEYOND : MISFIT;
    if (fit != FITS)
        return NULL;
    kernel->rt.depth = kernel->depth;
    int status = kernel->call(slots, &result, &kernel->rt);
    *why = status == CZ_OK ? RAISED : (long)kernel->rt.why;
    if (status != CZ_OK)
        return NULL;
    cz_count_add(kernel->runs, 1); /* also counted without the GIL */
    cz_metrics_add(&engine->metrics, CZ_NATIVE_EXECUTIONS, 1);
    return kernel_number(kernel->result, &result);
}

PyObject *kernel_try(Engine *engine, cz_seat_t *seat, Handle *handle, KernelCall *kernel, PyObject *const *args,
                     Py_ssize_t count, bool bound, long *why)
{
    if (kernel->quick)
        return try_quick(engine, kernel, handle->view->fn, args, count, why);
    return kernel_compute(engine, seat, handle, kernel, args, count, bound, why);
}

PyObject *kernel_call(Engine *engine, cz_seat_t *seat, Handle *handle, PyObject *const *args, Py_ssize_t count)
{
    PlanView *view = handle->view;
    KernelCall *kernel = view->kernel;
    PyThreadState *thread = PyThreadState_Get();
    if (thread->c_tracefunc != NULL || thread->c_profilefunc != NULL)
        return PyObject_Vectorcall(view->fn, args, (size_t)count, NULL); /* who traces wants to see it run */
    long why;
    kernel_use(kernel); /* looking at its guards may run Python code, which publishes another one */
    PyObject *value = kernel_try(engine, seat, handle, kernel, args, count, false, &why);
    if (value == NULL && why != RAISED) {
        PyObject *fn = Py_NewRef(view->fn);
        kernel_left(engine, kernel, args, count, why);
        value = PyObject_Vectorcall(fn, args, (size_t)count, NULL);
        Py_DECREF(fn);
    }
    kernel_drop(kernel);
    return value;
}
