/* interface.Metrics. */
#include "native.h"

static inline Engine *engine_self(PyObject *self)
{
    return ((Part *)self)->engine;
}

static PyObject *metrics_add(PyObject *self, PyObject *args)
{
    const char *name;
    long long n = 1;
    if (!PyArg_ParseTuple(args, "s|L:add", &name, &n))
        return NULL;
    for (int counter = 0; counter < CZ_COUNTERS; counter++)
        if (strcmp(name, cz_counter_names[counter]) == 0) {
            cz_metrics_add(&engine_self(self)->metrics, (cz_counter_t)counter, n);
            Py_RETURN_NONE;
        }
    return PyErr_Format(PyExc_KeyError, "%s is not a counter", name);
}

static PyObject *metrics_observe(PyObject *self, PyObject *args)
{
    long long execution_ns, wait_ns;
    if (!PyArg_ParseTuple(args, "LL:observe", &execution_ns, &wait_ns))
        return NULL;
    Engine *engine = engine_self(self);
    cz_tally_observe(&engine->metrics, engine->outside, execution_ns, wait_ns, 1);
    Py_RETURN_NONE;
}

static int put_number(PyObject *dict, PyObject *key, int64_t value)
{
    PyObject *number = PyLong_FromLongLong(value);
    int result = key == NULL || number == NULL ? -1 : PyDict_SetItem(dict, key, number);
    Py_XDECREF(key);
    Py_XDECREF(number);
    return result;
}

static PyObject *metrics_counters(PyObject *self, PyObject *Py_UNUSED(unused))
{
    PyObject *counters = PyDict_New();
    /* Ends before "submitted": a snapshot never shows more ended than were accepted. */
    for (int counter = CZ_COUNTERS - 1; counters != NULL && counter >= 0; counter--)
        if (put_number(counters, PyUnicode_FromString(cz_counter_names[counter]),
                       cz_metrics_read(&engine_self(self)->metrics, (cz_counter_t)counter)) < 0)
            Py_CLEAR(counters);
    return counters;
}

static PyObject *merged(Engine *engine, bool waits)
{
    PyObject *histogram = PyDict_New();
    for (unsigned bucket = 0; histogram != NULL && bucket < CZ_BUCKETS; bucket++) {
        int64_t weight = 0;
        for (cz_tally_t *tally = engine->metrics.tallies; tally != NULL; tally = tally->next) {
            cz_histogram_t *own = waits ? tally->wait : tally->execution;
            if (own != NULL)
                weight += cz_count_read(&own->weight[bucket]);
        }
        if (weight != 0 && put_number(histogram, PyLong_FromLongLong(cz_bucket_top(bucket)), weight) < 0)
            Py_CLEAR(histogram);
    }
    return histogram;
}

static PyObject *metrics_execution_ns(PyObject *self, PyObject *Py_UNUSED(unused))
{
    return merged(engine_self(self), false);
}

static PyObject *metrics_wait_ns(PyObject *self, PyObject *Py_UNUSED(unused))
{
    return merged(engine_self(self), true);
}

static PyObject *metrics_execution_sum_ns(PyObject *self, PyObject *Py_UNUSED(unused))
{
    int64_t sum_ns = 0;
    for (cz_tally_t *tally = engine_self(self)->metrics.tallies; tally != NULL; tally = tally->next)
        sum_ns += cz_count_read(&tally->execution_sum_ns);
    return PyLong_FromLongLong(sum_ns);
}

static PyMethodDef metrics_methods[] = {
    {"add", metrics_add, METH_VARARGS, NULL},
    {"observe", metrics_observe, METH_VARARGS, NULL},
    {"counters", metrics_counters, METH_NOARGS, NULL},
    {"execution_ns", metrics_execution_ns, METH_NOARGS, NULL},
    {"execution_sum_ns", metrics_execution_sum_ns, METH_NOARGS, NULL},
    {"wait_ns", metrics_wait_ns, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot metrics_slots[] = {
    {Py_tp_traverse, part_traverse},
    {Py_tp_clear, part_clear},
    {Py_tp_dealloc, part_dealloc},
    {Py_tp_methods, metrics_methods},
    {0, NULL},
};

PyType_Spec metrics_spec = {
    .name = "catzilla.backends.c._native.Metrics",
    .basicsize = sizeof(Part),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = metrics_slots,
};
