/* The arguments of a short kernel's task as numbers, read when it is submitted: so a worker needs no object, and no
 * GIL, to run it. Its result lies there as a number too, until somebody looks at it. */
#include "kernel.h"

#define AHEAD 5 /* tasks */

/* Up to two numbers are as long as a record of a handle, and come from its pool. */
static size_t bytes_for(Py_ssize_t count)
{
    return sizeof(Values) + (size_t)(count > 0 ? count : 1) * sizeof(cz_value_t);
}

static void put_memory(Engine *engine, Values *values, Py_ssize_t count)
{
    if (bytes_for(count) <= sizeof(More))
        cz_pool_put(&engine->records, values);
    else
        PyMem_Free(values);
}

Values *values_new(Engine *engine, KernelCall *kernel, PyObject *fn, PyObject *const *args, Py_ssize_t count)
{
    size_t bytes = bytes_for(count);
    Values *values = bytes <= sizeof(More) ? cz_pool_get(&engine->records) : PyMem_Malloc(bytes);
    if (values == NULL)
        return NULL;
    if (kernel_numbers(kernel, fn, args, count, values->slots) != FITS) {
        put_memory(engine, values, count);
        return NULL;
    }
    values->kernel = kernel;
    kernel_use(kernel);
    return values;
}

void values_free(Engine *engine, Values *values)
{
    KernelCall *kernel = values->kernel;
    put_memory(engine, values, kernel->count);
    kernel_drop(kernel); /* at last: it may run Python code */
}

static Values *values_of(Handle *handle)
{
    return (Values *)handle->payload;
}

/* By a thread with the GIL, for a task that no worker without it may take any more. */
static void become(Handle *handle, PyObject *payload, uint32_t flag)
{
    Values *values = values_of(handle);
    uint32_t word = cz_word_load(&handle->cell.word);
    handle->payload = payload;
    cz_word_change(&handle->cell.word, &word, (word & ~CZ_VALUES) | flag, true);
    values_free(engine_of(handle), values);
}

void handle_drop_values(Handle *handle)
{
    if (cz_word_load(&handle->cell.word) & CZ_VALUES)
        become(handle, NULL, 0);
}

int handle_open_values(Handle *handle)
{
    if (!(cz_word_load(&handle->cell.word) & CZ_VALUES))
        return 0;
    Values *values = values_of(handle);
    Py_ssize_t count = values->kernel->count;
    PyObject *items[PARAMETERS], *payload = NULL;
    for (Py_ssize_t i = 0; i < count; i++)
        if ((items[i] = kernel_number(values->kernel->letters[i], &values->slots[i])) == NULL) {
            while (i > 0)
                Py_DECREF(items[--i]);
            return -1;
        }
    if (count == 1)
        payload = Py_NewRef(items[0]);
    else if (count > 1)
        payload = args_new(items, count);
    for (Py_ssize_t i = 0; i < count; i++)
        Py_DECREF(items[i]);
    if (count > 0 && payload == NULL)
        return -1;
    become(handle, payload, count == 1 ? CZ_ONE_ARG : 0);
    return 0;
}

PyObject *handle_box(Handle *handle)
{
    Values *values = values_of(handle);
    /* Results are mostly looked at in the order of submitting, which is that of the memory; their lines are in the
     * worker's cache. A line that is somebody else's, or no memory, does no harm. */
    Engine *engine = engine_of(handle);
    __builtin_prefetch((char *)handle + AHEAD * engine->pool.cell_bytes, 1);
    __builtin_prefetch((char *)values + AHEAD * engine->records.cell_bytes, 1);
    PyObject *value = kernel_number(values->kernel->result, &values->slots[0]);
    if (value != NULL)
        become(handle, Py_NewRef(value), 0);
    return value;
}
