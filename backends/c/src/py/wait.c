/* Waiting for the end of a task without the GIL. */
#include <errno.h>
#include <sched.h>

#include "native.h"

#define LONGEST_NS (INT64_C(100) * 365 * 86400 * 1000000000) /* longer is for ever */
#define SPIN_NS 40000 /* an idle worker wakes up and runs a short task in this time */
#define GO_NS 3000

static inline bool is_done(Handle *handle)
{
    return (cz_word_load(&handle->cell.word) & CZ_STATE) >= CZ_COMPLETED;
}

/* The task is done, and its worker about to fall asleep: it lets the GIL go within a microsecond. Asking
 * for the GIL before that means to sleep and be woken; a short look costs less. */
static void let_go(cz_gate_t *gate, uint32_t parks)
{
    int64_t end_ns = cz_now_ns() + GO_NS;
    while (cz_flag_read(&gate->parks) == parks && cz_now_ns() < end_ns)
        sched_yield();
}

/* Without the GIL. Listens a moment: sleeping and being woken costs ten times what a short task does. */
static bool listen(Handle *handle, int64_t spin_ns)
{
    cz_gate_t *gate = &engine_of(handle)->gate;
    int64_t end_ns = cz_now_ns() + spin_ns;
    uint32_t parks = cz_flag_read(&gate->parks), before = parks - 1; /* before: when it was not done yet */
    cz_flag_add(&gate->waiters, 1);
    bool done;
    while (!(done = is_done(handle)) && cz_now_ns() < end_ns) {
        before = parks;
        sched_yield();
        parks = cz_flag_read(&gate->parks);
    }
    cz_flag_add(&gate->waiters, (uint32_t)-1);
    if (done && !(cz_word_load(&handle->cell.word) & CZ_VALUES)) /* that needed no GIL */
        let_go(gate, before);
    return done;
}

/* Without the GIL: sleep until it is done, the time has come, or a signal. The word says CZ_WAITED, which stays until
 * the end. */
static int sleep_on(Handle *handle, int64_t until_ns)
{
    uint32_t word = cz_word_load(&handle->cell.word);
    for (;;) {
        if ((word & CZ_STATE) >= CZ_COMPLETED)
            return 0;
        int result = cz_wait_word(&handle->cell.word, word, until_ns);
        if (result == ETIMEDOUT || result == EINTR)
            return result;
        word = cz_word_load(&handle->cell.word);
    }
}

/* 1: done, 0: the time is over, -1: a signal handler raised. until_ns negative: no limit. */
static int wait_until(Handle *handle, int64_t until_ns)
{
    bool listened = false;
    while (!is_done(handle)) {
        int result;
        if (listened) /* with the GIL held, as all that changes a word here: order.h on `exclusive` */
            cz_word_set(&handle->cell.word, CZ_WAITED);
        Py_BEGIN_ALLOW_THREADS if (!listened)
        {
            listened = true;
            result = listen(handle, SPIN_NS) ? 0 : EINTR; /* a signal may have come meanwhile */
        }
        else
        {
            result = sleep_on(handle, until_ns);
        }
        Py_END_ALLOW_THREADS if (result == EINTR && PyErr_CheckSignals() < 0) return -1;
        if (until_ns >= 0 && !is_done(handle) && cz_now_ns() >= until_ns)
            return 0;
    }
    return 1;
}

PyObject *handle_wait_ns(PyObject *self, PyObject *timeout)
{
    Handle *handle = (Handle *)self;
    int overflow;
    long long timeout_ns = PyLong_AsLongLongAndOverflow(timeout, &overflow);
    if (timeout_ns == -1 && PyErr_Occurred())
        return NULL;
    if (is_done(handle))
        Py_RETURN_TRUE;
    if (overflow == 0 && timeout_ns == 0)
        Py_RETURN_FALSE;
    int64_t until_ns = overflow != 0 || timeout_ns < 0 || timeout_ns > LONGEST_NS ? -1 : cz_now_ns() + timeout_ns;
    Py_INCREF(self);
    int result = wait_until(handle, until_ns);
    Py_DECREF(self);
    return result < 0 ? NULL : PyBool_FromLong(result);
}

/* The value when there is one, or when it comes in a moment; all else is what TaskResult says. A thread
 * that runs a task goes there at once: it may have to run this one too. */
PyObject *handle_wait(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Handle *handle = (Handle *)self;
    if (count == 0 && names == NULL) {
        if (!is_done(handle) && !here_works()) {
            Py_INCREF(self);
            Py_BEGIN_ALLOW_THREADS listen(handle, SPIN_NS);
            Py_END_ALLOW_THREADS Py_DECREF(self);
            if (PyErr_CheckSignals() < 0)
                return NULL;
        }
        if ((cz_word_load(&handle->cell.word) & CZ_STATE) == CZ_COMPLETED)
            return handle_value(handle);
    }
    PyObject *wait = PyObject_GetAttr(self, cz.s_wait);
    if (wait == NULL)
        return NULL;
    PyObject *value = PyObject_Vectorcall(wait, args, (size_t)count, names);
    Py_DECREF(wait);
    return value;
}
