/* Kernels that may take time: their arguments are read with the GIL held, they compute without it. */
#include "kernel.h"

#include <stdlib.h>

static void *get_memory(unsigned long bytes)
{
    return malloc(bytes);
}

static void put_memory(void *memory)
{
    free(memory);
}

static void free_blocks(void *block)
{
    while (block != NULL) {
        void *next = *(void **)block;
        free(block);
        block = next;
    }
}

void run_free(Run *run)
{
    free_blocks(run->rt.blocks);
    free_blocks(run->blocks);
    PyObject *kept = run->kept;
    kernel_drop(run->kernel);
    PyMem_Free(run);
    Py_XDECREF(kept);
}

static long long depth_of(KernelCall *kernel)
{
    long long limit = Py_GetRecursionLimit() - 300; /* frames that may be below the task */
    return kernel->recursive && limit < kernel->depth ? limit : kernel->depth;
}

/* A default that is replaced while the kernel reads it must not go away. */
static int hold_default(Run *run, PyObject *value)
{
    if (PyLong_CheckExact(value) || PyFloat_CheckExact(value) || value == Py_None || PyBool_Check(value))
        return 0;
    if (run->kept == NULL && (run->kept = PyList_New(0)) == NULL)
        return -1;
    return PyList_Append(run->kept, value);
}

static int fill(Run *run, PyObject *fn, PyObject *const *args, Py_ssize_t count, bool bound)
{
    KernelCall *kernel = run->kernel;
    if (count > kernel->count)
        return OTHER_TYPES;
    int result = FITS;
    for (Py_ssize_t i = 0; i < kernel->count && result == FITS; i++) {
        PyObject *value = bound && i < count ? args[i] : kernel_parameter(fn, args, count, i);
        if (value == NULL)
            return OTHER_TYPES;
        if (i >= count && hold_default(run, value) < 0)
            return NO_MEMORY;
        result = run_put(run, kernel->params[i], value, &run->slots[i]);
    }
    return result;
}

Run *run_new(Handle *handle, KernelCall *kernel, PyObject *const *args, Py_ssize_t count, bool bound, long *why)
{
    PyObject *fn = handle->view->fn;
    *why = CHANGED;
    if (!kernel_holds(kernel, fn))
        return NULL;
    *why = RAISED;
    Run *run = PyMem_Malloc(sizeof *run);
    if (run == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    memset(run, 0, offsetof(Run, room));
    run->handle = handle;
    run->kernel = kernel;
    kernel_use(kernel);
    run->next = run->room;
    run->end = run->room + ROOM;
    run->rt.limit = kernel->limit_bytes;
    run->rt.depth = depth_of(kernel);
    run->rt.stack_bytes = kernel->stack_bytes;
    run->rt.malloc = get_memory;
    run->rt.free = put_memory;
    run->slots = run_room(run, (size_t)kernel->count * sizeof *run->slots);
    int fit = run->slots == NULL ? NO_MEMORY : fill(run, fn, args, count, bound);
    if (fit == FITS)
        return run;
    *why = fit == OTHER_TYPES ? MISFIT : fit == TOO_LARGE ? BEYOND : RAISED;
    run_free(run);
    return NULL;
}

static bool is_true(PyObject *object, PyObject *name)
{
    PyObject *value = PyObject_GetAttr(object, name);
    if (value == NULL)
        PyErr_Clear(); /* an Ext that is not policy's */
    Py_XDECREF(value);
    return value == Py_True;
}

/* A cancel, or the end of the attempt's time, that came before its kernel could be told. */
static bool stopped_before(Handle *handle)
{
    PyObject *ext = handle_ext(handle);
    if (ext == NULL)
        return false;
    if (is_true(ext, cz.s_cancel_requested))
        return true;
    PyObject *attempt = PyObject_GetAttr(ext, cz.s_attempt);
    if (attempt == NULL)
        PyErr_Clear();
    bool condemned = attempt != NULL && attempt != Py_None && is_true(attempt, cz.s_condemned);
    Py_XDECREF(attempt);
    return condemned;
}

static PyObject *computed(Engine *engine, Run *run)
{
    PyObject *value = run_value(run);
    if (value != NULL && run_print(run) < 0)
        Py_CLEAR(value);
    if (value != NULL) {
        cz_count_add(run->kernel->runs, 1);
        cz_metrics_add(&engine->metrics, CZ_NATIVE_EXECUTIONS, 1);
    }
    return value;
}

PyObject *kernel_compute(Engine *engine, cz_seat_t *seat, Handle *handle, KernelCall *kernel, PyObject *const *args,
                         Py_ssize_t count, bool bound, long *why)
{
    PyObject *value = NULL;
    Run *run = run_new(handle, kernel, args, count, bound, why);
    if (run == NULL)
        return NULL;
    run->rt.stop = handle->more != 0 && stopped_before(handle);
    void *outer = cz_seat_run(seat, run);
    uint32_t name = cz_seat_name(seat);
    Py_BEGIN_ALLOW_THREADS cz_gate_gave(&engine->gate, name);
    run->status = kernel->call(run->slots, &run->result, &run->rt);
    cz_gate_ask(&engine->gate, name);
    Py_END_ALLOW_THREADS cz_gate_got(&engine->gate, name);
    cz_seat_run(seat, outer);
    *why = RAISED;
    if (run->status == CZ_OK) {
        value = computed(engine, run);
    } else {
        cz_gate_gave(&engine->gate, name); /* Python may keep the GIL for long */
        if (run->status == CZ_STOPPED)
            value = PyObject_CallMethod(kernel->object, "stopped", "O", handle);
        else
            *why = (long)run->rt.why;
    }
    run_free(run);
    return value;
}

/* Asked to stop, if it computes for this handle (NULL: for any). */
void compute_stop(cz_seat_t *seat, Handle *handle)
{
    Run *run = cz_seat_run_of(seat);
    if (run != NULL && (handle == NULL || run->handle == handle))
        run->rt.stop = 1;
}

PyObject *compute_handle(cz_seat_t *seat)
{
    Run *run = cz_seat_run_of(seat);
    return run == NULL ? NULL : (PyObject *)run->handle;
}
