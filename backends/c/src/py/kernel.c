/* Short kernels: compiled functions of numbers, without loops and without memory of their own.
 *
 * One is over in nanoseconds, sooner than the GIL could be given away and had back, so it is called with
 * the GIL held, as the Python function would be. Kernels that may take longer go through the plan's
 * runner, which calls them without it.
 */
#include "native.h"

#include "catzilla_kernel.h"

#define PARAMETERS 16

struct KernelCall {
    PyObject *object; /* interface.Kernel: keeps the library, and what is borrowed from it below */
    PyObject *guards; /* tuple of (namespace, name, value, code, defaults, absent) */
    PyObject *code;   /* that it was made of */
    int (*call)(const cz_value_t *, cz_value_t *, cz_runtime_t *);
    long long *runs;
    long long depth, stack_bytes;
    Py_ssize_t count;
    char result, params[PARAMETERS];
};

void kernel_drop(KernelCall *kernel)
{
    if (kernel == NULL)
        return;
    Py_XDECREF(kernel->guards);
    Py_XDECREF(kernel->code);
    Py_XDECREF(kernel->object);
    PyMem_Free(kernel);
}

int kernel_visit(KernelCall *kernel, visitproc visit, void *arg)
{
    if (kernel != NULL) {
        Py_VISIT(kernel->object);
        Py_VISIT(kernel->guards);
        Py_VISIT(kernel->code);
    }
    return 0;
}

static long long number_of(PyObject *object, const char *name)
{
    PyObject *value = PyObject_GetAttrString(object, name);
    long long number = value == NULL ? -1 : PyLong_AsLongLong(value);
    Py_XDECREF(value);
    return number;
}

static int read_types(KernelCall *kernel, PyObject *object)
{
    PyObject *type_code = PyObject_GetAttrString(object, "type_code");
    char *text;
    int result = -1;
    if (type_code != NULL && PyBytes_AsStringAndSize(type_code, &text, NULL) == 0) {
        const char *arrow = strchr(text, '>');
        kernel->count = arrow == NULL ? -1 : arrow - text;
        if (kernel->count < 0 || kernel->count > PARAMETERS || strspn(text, "ibd") != (size_t)kernel->count ||
            strchr("ibdn", arrow[1]) == NULL) {
            PyErr_Format(PyExc_ValueError, "a short kernel takes up to %d numbers and gives one, not %s", PARAMETERS,
                         text);
        } else {
            memcpy(kernel->params, text, (size_t)kernel->count);
            kernel->result = arrow[1];
            result = 0;
        }
    }
    Py_XDECREF(type_code);
    return result;
}

static KernelCall *kernel_new(PyObject *object)
{
    KernelCall *kernel = PyMem_Calloc(1, sizeof *kernel);
    if (kernel == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    kernel->object = Py_NewRef(object);
    long long address = number_of(object, "address");
    long long runs = PyErr_Occurred() ? -1 : number_of(object, "runs_address");
    kernel->depth = PyErr_Occurred() ? -1 : number_of(object, "depth");
    kernel->stack_bytes = PyErr_Occurred() ? -1 : number_of(object, "stack_bytes");
    if (!PyErr_Occurred() && (kernel->guards = PyObject_GetAttrString(object, "guard_rows")) != NULL &&
        (kernel->code = PyObject_GetAttrString(object, "code")) != NULL && read_types(kernel, object) == 0) {
        kernel->call = (int (*)(const cz_value_t *, cz_value_t *, cz_runtime_t *))(intptr_t)address;
        kernel->runs = (long long *)(intptr_t)runs;
        if (PyTuple_CheckExact(kernel->guards))
            return kernel;
        PyErr_SetString(PyExc_TypeError, "guard_rows must be a tuple");
    }
    kernel_drop(kernel);
    return NULL;
}

int kernel_read(PlanView *view, PyObject *object)
{
    KernelCall *old = view->kernel, *kernel = NULL;
    if (object != Py_None && PyFunction_Check(view->fn) && (kernel = kernel_new(object)) == NULL)
        return -1;
    view->kernel = kernel;
    kernel_drop(old);
    return 0;
}

/* Every global name is what it was: 1; else 0. */
static int holds(KernelCall *kernel, PyObject *fn)
{
    if (PyFunction_GET_CODE(fn) != kernel->code)
        return 0;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(kernel->guards); i++) {
        PyObject *row = PyTuple_GET_ITEM(kernel->guards, i);
        PyObject *value = PyTuple_GET_ITEM(row, 2), *code = PyTuple_GET_ITEM(row, 3);
        PyObject *found = PyDict_GetItemWithError(PyTuple_GET_ITEM(row, 0), PyTuple_GET_ITEM(row, 1));
        if (found == NULL) {
            if (PyErr_Occurred())
                PyErr_Clear();
            else if (PyTuple_GET_ITEM(row, 5) == Py_True)
                continue;
            return 0;
        }
        if (found != value)
            return 0;
        if (code == Py_None)
            continue;
        PyObject *defaults = PyFunction_GET_DEFAULTS(value);
        if (PyFunction_GET_CODE(value) != code || (defaults == NULL ? Py_None : defaults) != PyTuple_GET_ITEM(row, 4))
            return 0;
    }
    return 1;
}

enum { FITS, OTHER_TYPES, TOO_LARGE };

static int argument(char letter, PyObject *value, cz_value_t *slot)
{
    if (letter == 'i') {
        int overflow = 0;
        if (!PyLong_CheckExact(value))
            return OTHER_TYPES;
        slot->tag = CZ_INT;
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

static int arguments(KernelCall *kernel, PyObject *fn, PyObject *const *args, Py_ssize_t count, cz_value_t *slots)
{
    PyObject *defaults = PyFunction_GET_DEFAULTS(fn);
    Py_ssize_t first = kernel->count - (defaults != NULL ? PyTuple_GET_SIZE(defaults) : 0);
    if (count > kernel->count || count < first)
        return OTHER_TYPES;
    int result = FITS;
    for (Py_ssize_t i = 0; i < kernel->count && result == FITS; i++)
        result = argument(kernel->params[i], i < count ? args[i] : PyTuple_GET_ITEM(defaults, i - first), &slots[i]);
    return result;
}

static PyObject *value_of(char letter, cz_value_t *result)
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

/* Policy counts it, and may decide to have another kernel, or none. */
static void tell_left(Engine *engine, KernelCall *kernel, PyObject *const *args, Py_ssize_t count, long why)
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

PyObject *kernel_call(Engine *engine, PlanView *view, PyObject *const *args, Py_ssize_t count)
{
    KernelCall *kernel = view->kernel;
    PyThreadState *thread = PyThreadState_Get();
    cz_value_t slots[PARAMETERS], result;
    long why = -1; /* other types */
    if (thread->c_tracefunc != NULL || thread->c_profilefunc != NULL)
        return PyObject_Vectorcall(view->fn, args, (size_t)count, NULL); /* who traces wants to see it run */
    if (!holds(kernel, view->fn)) {
        why = -2;
    } else {
        int fit = arguments(kernel, view->fn, args, count, slots);
        if (fit == TOO_LARGE)
            why = -3;
        if (fit == FITS) {
            cz_runtime_t rt = {.depth = kernel->depth, .stack_bytes = kernel->stack_bytes};
            if (kernel->call(slots, &result, &rt) == CZ_OK) {
                ++*kernel->runs;
                cz_metrics_add(&engine->metrics, CZ_NATIVE_EXECUTIONS, 1);
                return value_of(kernel->result, &result);
            }
            why = (long)rt.why;
        }
    }
    PyObject *fn = Py_NewRef(view->fn);
    tell_left(engine, kernel, args, count, why);
    PyObject *value = PyObject_Vectorcall(fn, args, (size_t)count, NULL);
    Py_DECREF(fn);
    return value;
}
