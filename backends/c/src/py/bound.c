/* A bound method, or a partial without keywords, is its function with what is bound as the first arguments.
 *
 * Policy keeps the plan of that function and none of theirs (submitting.py, _unwrapped, which is the reference for
 * what counts): a submit of one finds its plan here as that of a plain function does.
 */
#include "native.h"

static int of_partial(PyObject *partial, Bound *bound)
{
    PyObject *keywords = PyObject_GetAttr(partial, cz.s_keywords);
    if (keywords == NULL)
        return -1;
    bool plain = PyDict_CheckExact(keywords) && PyDict_GET_SIZE(keywords) == 0;
    Py_DECREF(keywords);
    if (!plain)
        return 0;
    PyObject *fn = PyObject_GetAttr(partial, cz.s_func);
    PyObject *args = fn == NULL ? NULL : PyObject_GetAttr(partial, cz.s_args);
    if (args == NULL) {
        Py_XDECREF(fn);
        return -1;
    }
    if (PyFunction_Check(fn) && PyTuple_CheckExact(args)) {
        bound->fn = fn;
        bound->held = args;
        bound->items = &PyTuple_GET_ITEM(args, 0);
        bound->count = PyTuple_GET_SIZE(args);
        return 0;
    }
    Py_DECREF(fn);
    Py_DECREF(args);
    return 0;
}

int bound_open(PyObject *callable, Bound *bound)
{
    *bound = (Bound){.fn = NULL};
    if (Py_IS_TYPE(callable, cz.partial))
        return of_partial(callable, bound);
    if (PyMethod_Check(callable) && PyFunction_Check(PyMethod_GET_FUNCTION(callable))) {
        bound->fn = Py_NewRef(PyMethod_GET_FUNCTION(callable));
        bound->held = Py_NewRef(PyMethod_GET_SELF(callable));
        bound->items = &bound->held;
        bound->count = 1;
    }
    return 0;
}

void bound_close(Bound *bound)
{
    Py_CLEAR(bound->fn);
    Py_CLEAR(bound->held);
}
