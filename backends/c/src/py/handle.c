/* The handle: a Python object, and a cell of the lanes, at once. Users know it as TaskResult.
 *
 * The collector does not look at it before it ends with an exception or a value that it looks at itself:
 * most handles are never tracked, and cost a third less.
 */
#include "native.h"

/* -- ext and More ------------------------------------------------------------------------------ */

More *handle_more_if(Handle *handle)
{
    return handle->more & 1 ? (More *)(handle->more & ~(uintptr_t)1) : NULL;
}

PyObject *handle_ext(Handle *handle)
{
    More *more = handle_more_if(handle);
    return more != NULL ? more->ext : (PyObject *)handle->more;
}

More *handle_more(Handle *handle)
{
    More *more = handle_more_if(handle);
    if (more != NULL)
        return more;
    more = cz_pool_get(&engine_of(handle)->records);
    if (more == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    memset(more, 0, sizeof *more);
    more->ext = (PyObject *)handle->more;
    handle->more = (uintptr_t)more | 1;
    return more;
}

/* -- life -------------------------------------------------------------------------------------- */

Handle *handle_new(Engine *engine, PlanView *view, PyObject *payload, PyObject *ext, uint32_t word, int64_t ready_ns)
{
    char *memory = cz_pool_get(&engine->pool);
    if (memory == NULL) {
        Py_XDECREF(payload);
        Py_XDECREF(ext);
        PyErr_NoMemory();
        return NULL;
    }
    memset(memory, 0, GC_HEADER); /* not tracked */
    Handle *handle = (Handle *)(memory + GC_HEADER);
#ifdef Py_REF_DEBUG
    (void)PyObject_Init((PyObject *)handle, cz.handle);
#else /* what that does, without two calls */
    Py_SET_TYPE((PyObject *)handle, (PyTypeObject *)Py_NewRef(cz.handle));
#endif
    Py_SET_REFCNT(handle, 2);
    handle->cell.ready_ns = ready_ns;
    handle->cell.slot = CZ_NO_SLOT;
    cz_word_init(&handle->cell.word, word | view->lane << CZ_LANE_SHIFT);
    handle->view = (PlanView *)Py_NewRef(view);
    handle->payload = payload;
    handle->more = (uintptr_t)ext;
    return handle;
}

/* A failure that nobody looked at: say so, once. From a dealloc or from the collector. */
static void report_unretrieved(Handle *handle)
{
    uint32_t word = cz_word_load(&handle->cell.word);
    if ((word & CZ_STATE) != CZ_FAILED || word & CZ_RETRIEVED)
        return;
    cz_word_set(&handle->cell.word, CZ_RETRIEVED);
    Engine *engine = engine_of(handle);
    if (engine->unretrieved == NULL || handle->payload == NULL)
        return;
    More *more = handle_more_if(handle);
    PyObject *pending = take_exception();
    PyException_SetTraceback(handle->payload, more != NULL && more->traceback != NULL ? more->traceback : Py_None);
    PyObject *result = PyObject_CallFunctionObjArgs(engine->unretrieved, handle->view->plan, handle->payload, NULL);
    if (result == NULL)
        PyErr_Clear(); /* by contract it does not raise */
    Py_XDECREF(result);
    put_exception(pending);
}

static int handle_traverse(PyObject *self, visitproc visit, void *arg)
{
    Handle *handle = (Handle *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(handle->view);
    if (cz_word_load(&handle->cell.word) & CZ_VALUES)
        ; /* no objects */
    else if (handle->payload != NULL && Py_IS_TYPE(handle->payload, cz.args)) {
        Args *args = (Args *)handle->payload; /* nobody else has it */
        for (Py_ssize_t i = 0; i < Py_SIZE(args); i++)
            Py_VISIT(args->items[i]);
    } else {
        Py_VISIT(handle->payload);
    }
    Py_VISIT(handle_ext(handle));
    More *more = handle_more_if(handle);
    if (more != NULL) {
        Py_VISIT(more->callbacks);
        Py_VISIT(more->traceback);
    }
    return 0;
}

/* An exception stays: it clears itself, and whoever still has the handle (a finalizer) finds one there. */
static int handle_clear(PyObject *self)
{
    Handle *handle = (Handle *)self;
    More *more = handle_more_if(handle);
    if (more != NULL) {
        Py_CLEAR(more->callbacks);
        Py_CLEAR(more->traceback);
        Py_CLEAR(more->ext);
    } else if (handle->more != 0) {
        PyObject *ext = (PyObject *)handle->more;
        handle->more = 0;
        Py_DECREF(ext);
    }
    uint32_t word = cz_word_load(&handle->cell.word);
    if ((word & CZ_STATE) == CZ_COMPLETED && !(word & CZ_VALUES)) {
        PyObject *payload = handle->payload;
        handle->payload = Py_NewRef(Py_None);
        Py_XDECREF(payload);
    }
    return 0;
}

static void handle_finalize(PyObject *self)
{
    report_unretrieved((Handle *)self);
}

void engine_released(Engine *engine)
{
    if (engine->object != NULL || engine->pool.live > 0)
        return;
    cz_pool_close(&engine->pool);
    cz_pool_close(&engine->records);
    cz_alloc_close(&engine->alloc);
    PyMem_Free(engine);
}

static void handle_free(Handle *handle)
{
    Engine *engine = engine_of(handle);
    report_unretrieved(handle);
    handle_drop_values(handle);
    More *more = handle_more_if(handle);
    if (more != NULL) {
        Py_XDECREF(more->callbacks);
        Py_XDECREF(more->traceback);
        Py_XDECREF(more->ext);
        cz_pool_put(&engine->records, more);
    } else {
        Py_XDECREF((PyObject *)handle->more);
    }
    Py_XDECREF(handle->payload);
    Py_DECREF(handle->view);
    cz_pool_put(&engine->pool, (char *)handle - GC_HEADER);
    if (engine->object == NULL)
        engine_released(engine);
}

static void handle_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    if (PyObject_GC_IsTracked(self)) {
        PyObject_GC_UnTrack(self);
        Py_TRASHCAN_BEGIN(self, handle_dealloc) /* results that are results of results … */
            handle_free((Handle *)self);
        Py_DECREF(type);
        Py_TRASHCAN_END
    } else {
        handle_free((Handle *)self);
        Py_DECREF(type);
    }
}

/* The payload is taken first: making a tuple may run the collector, and a finalizer there end the task. */
PyObject *handle_take_args(Handle *handle)
{
    PyObject *payload = handle->payload;
    uint32_t word = cz_word_load(&handle->cell.word);
    handle->payload = NULL;
    if (payload == NULL)
        return Py_NewRef(cz.empty);
    if (PyTuple_CheckExact(payload) && !(word & CZ_ONE_ARG))
        return payload;
    Py_ssize_t count;
    PyObject *const *items = args_items(&payload, word, &count);
    PyObject *args = PyTuple_New(count);
    for (Py_ssize_t i = 0; args != NULL && i < count; i++)
        PyTuple_SET_ITEM(args, i, Py_NewRef(items[i]));
    Py_DECREF(payload);
    return args;
}

/* -- ending ------------------------------------------------------------------------------------ */

static void run_callbacks(Engine *engine, Handle *handle)
{
    More *more = handle_more_if(handle);
    if (more == NULL || more->callbacks == NULL)
        return;
    PyObject *callbacks = more->callbacks;
    more->callbacks = NULL;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(callbacks); i++)
        tell(engine, PyList_GET_ITEM(callbacks, i), (PyObject *)handle);
    Py_DECREF(callbacks);
}

static void settle_ext(Engine *engine, Handle *handle)
{
    PyObject *ext = Py_XNewRef(handle_ext(handle));
    if (ext == NULL)
        return;
    PyObject *fn = NULL;
    /* As the arguments, they are not kept longer than needed. */
    if (PyObject_SetAttr(ext, cz.s_context, Py_None) < 0 || PyObject_SetAttr(ext, cz.s_kwargs, Py_None) < 0 ||
        (fn = PyObject_GetAttr(ext, cz.s_on_settled)) == NULL)
        report_fault(engine);
    else if (fn != Py_None)
        tell(engine, fn, (PyObject *)handle);
    Py_XDECREF(fn);
    Py_DECREF(ext);
}

void handle_released(Handle *handle, uint32_t was, uint32_t state)
{
    Engine *engine = engine_of(handle);
    if (was & CZ_WAITED)
        cz_wake_word(&handle->cell.word);
    if (was & CZ_CALLBACKS)
        run_callbacks(engine, handle);
    if (handle->more != 0)
        settle_ext(engine, handle);
    if ((state == CZ_FAILED || state == CZ_TIMED_OUT) && engine->config != NULL) {
        PyObject *failed = PyObject_GetAttr(engine->config, cz.s_failed);
        if (failed == NULL)
            report_fault(engine);
        else if (failed != Py_None)
            tell(engine, failed, (PyObject *)handle);
        Py_XDECREF(failed);
    }
}

static const cz_counter_t counter_of[] = {
    [CZ_COMPLETED] = CZ_N_COMPLETED,
    [CZ_FAILED] = CZ_N_FAILED,
    [CZ_CANCELLED] = CZ_N_CANCELLED,
    [CZ_TIMED_OUT] = CZ_N_TIMED_OUT,
};

static PyObject *traceback_of(PyObject *error, int skip_frames)
{
    PyObject *traceback = PyException_GetTraceback(error);
    for (; skip_frames > 0 && traceback != NULL && PyTraceBack_Check(traceback); skip_frames--) {
        PyObject *next = PyObject_GetAttr(traceback, cz.s_tb_next);
        if (next == NULL)
            PyErr_Clear();
        Py_SETREF(traceback, next == Py_None ? NULL : next);
        if (next == Py_None)
            Py_DECREF(next);
    }
    return traceback;
}

void handle_store_failure(Handle *handle, PyObject *error, int skip_frames)
{
    PyObject *traceback = traceback_of(error, skip_frames);
    PyException_SetTraceback(error, traceback != NULL ? traceback : Py_None);
    More *more = traceback != NULL ? handle_more(handle) : handle_more_if(handle);
    if (more != NULL)
        Py_XSETREF(more->traceback, traceback);
    else if (traceback != NULL) { /* no memory to keep it apart: repeated waits lengthen the one it has */
        PyErr_Clear();
        Py_DECREF(traceback);
    }
    Py_XSETREF(handle->payload, error);
    if (!PyObject_GC_IsTracked((PyObject *)handle))
        PyObject_GC_Track(handle);
}

bool handle_fail(Handle *handle, uint32_t state, PyObject *error, int skip_frames, cz_tally_t *tally)
{
    Engine *engine = engine_of(handle);
    uint32_t word = cz_word_load(&handle->cell.word), was;
    if (((word & CZ_STATE) != CZ_RUNNING && !(word & CZ_PROMISE)) || word & CZ_SHARED) {
        Py_DECREF(error);
        return false;
    }
    handle_drop_values(handle);
    /* Under the GIL nobody can end it between here and the swap: nothing below runs Python code. */
    PyObject *args = handle->payload;
    handle->payload = NULL;
    handle_store_failure(handle, error, skip_frames);
    if (tally != NULL)
        cz_count_publish(&tally->failed, cz_count_read(&tally->failed) + 1);
    else
        cz_metrics_add(&engine->metrics, counter_of[state], 1);
    cz_cell_settle(&handle->cell, state, &was, true);
    handle_released(handle, was, state);
    Py_XDECREF(args);
    return true;
}

static PyObject *handle_settle(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    Handle *handle = (Handle *)self;
    Engine *engine = engine_of(handle);
    long state;
    if (count != 2 || (state = PyLong_AsLong(args[0])) < CZ_COMPLETED || state > CZ_TIMED_OUT) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_TypeError, "settle(state, value) takes a final state and a value or exception");
        return NULL;
    }
    if (state != CZ_COMPLETED) {
        if (!PyExceptionInstance_Check(args[1]))
            return PyErr_Format(PyExc_TypeError, "settle() takes an exception for this state, not %R", args[1]);
        return PyBool_FromLong(handle_fail(handle, (uint32_t)state, Py_NewRef(args[1]), 0, NULL));
    }
    uint32_t word = cz_word_load(&handle->cell.word), was;
    if (((word & CZ_STATE) != CZ_RUNNING && !(word & CZ_PROMISE)) || word & CZ_SHARED)
        Py_RETURN_FALSE;
    handle_drop_values(handle);
    PyObject *old = handle->payload;
    handle->payload = Py_NewRef(args[1]);
    handle_track(handle, args[1]);
    cz_metrics_add(&engine->metrics, CZ_N_COMPLETED, 1);
    cz_cell_settle(&handle->cell, CZ_COMPLETED, &was, true);
    handle_released(handle, was, CZ_COMPLETED);
    Py_XDECREF(old);
    Py_RETURN_TRUE;
}

static PyObject *handle_withdraw(PyObject *self, PyObject *error)
{
    Handle *handle = (Handle *)self;
    Engine *engine = engine_of(handle);
    if (!PyExceptionInstance_Check(error))
        return PyErr_Format(PyExc_TypeError, "withdraw() takes an exception, not %R", error);
    uint32_t was;
    /* RUNNING first: a thread that waits without the GIL must find the outcome when it sees the end. */
    if (!queue_claim(engine, handle, CZ_RUNNING, &was))
        Py_RETURN_FALSE;
    handle_fail(handle, CZ_CANCELLED, Py_NewRef(error), 0, NULL);
    if (lane_of(handle) == 0 && !(was & CZ_HELD) && engine->critical_waiting != NULL)
        tell_int(engine, engine->critical_waiting, -1);
    queue_sweep(engine, lane_of(handle), false);
    queue_freed(engine, lane_of(handle));
    Py_RETURN_TRUE;
}

/* -- looking ----------------------------------------------------------------------------------- */

static PyObject *handle_state(PyObject *self, PyObject *Py_UNUSED(unused))
{
    Handle *handle = (Handle *)self;
    uint32_t state = cz_word_load(&handle->cell.word) & CZ_STATE;
    if (state == CZ_DELAYED || state == CZ_RETRYING)
        state = cz_cell_state(&handle->cell, cz_now_ns());
    return PyLong_FromLong((long)state);
}

static PyObject *handle_worker_slot(PyObject *self, PyObject *Py_UNUSED(unused))
{
    Handle *handle = (Handle *)self;
    if (handle->cell.slot == CZ_NO_SLOT)
        Py_RETURN_NONE;
    return PyLong_FromLong(handle->cell.slot);
}

static PyObject *handle_times_ns(PyObject *self, PyObject *Py_UNUSED(unused))
{
    More *more = handle_more_if((Handle *)self);
    if (more == NULL || more->ended_ns == 0)
        Py_RETURN_NONE;
    return Py_BuildValue("LL", (long long)more->started_ns, (long long)more->ended_ns);
}

static PyObject *handle_on_done(PyObject *self, PyObject *fn)
{
    Handle *handle = (Handle *)self;
    if ((cz_word_load(&handle->cell.word) & CZ_STATE) >= CZ_COMPLETED) {
        run_callbacks(engine_of(handle), handle); /* of a task that ended without the GIL: those before this one */
        tell(engine_of(handle), fn, self);
        Py_RETURN_NONE;
    }
    More *more = handle_more(handle);
    if (more == NULL)
        return NULL;
    if (more->callbacks == NULL) {
        PyObject *made = PyList_New(0); /* may collect, and a finalizer let others have the GIL: look again */
        if (made == NULL)
            return NULL;
        if (more->callbacks == NULL)
            more->callbacks = made;
        else
            Py_DECREF(made);
    }
    if (PyList_Append(more->callbacks, fn) < 0)
        return NULL;
    if (!PyObject_GC_IsTracked(self)) /* it may hold whatever leads back to the handle */
        PyObject_GC_Track(self);
    cz_word_set(&handle->cell.word, CZ_CALLBACKS);
    if ((cz_word_load(&handle->cell.word) & CZ_STATE) >= CZ_COMPLETED)
        run_callbacks(engine_of(handle), handle); /* it ended meanwhile */
    Py_RETURN_NONE;
}

static PyObject *raise_error(Handle *handle)
{
    More *more = handle_more_if(handle);
    cz_word_set(&handle->cell.word, CZ_RETRIEVED);
    PyException_SetTraceback(handle->payload, more != NULL && more->traceback != NULL ? more->traceback : Py_None);
    return Py_NewRef(handle->payload);
}

static uint32_t final_state(Handle *handle, const char *what)
{
    uint32_t state = cz_word_load(&handle->cell.word) & CZ_STATE;
    if (state < CZ_COMPLETED)
        PyErr_Format(PyExc_AssertionError, "%s of a task that is not done", what);
    return state;
}

static PyObject *handle_outcome(PyObject *self, PyObject *Py_UNUSED(unused))
{
    Handle *handle = (Handle *)self;
    uint32_t state = final_state(handle, "outcome()");
    if (state == CZ_COMPLETED)
        return handle_value(handle);
    if (state > CZ_COMPLETED) {
        PyObject *error = raise_error(handle);
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
    return NULL;
}

static PyObject *handle_error(PyObject *self, PyObject *Py_UNUSED(unused))
{
    Handle *handle = (Handle *)self;
    uint32_t state = final_state(handle, "error()");
    if (state == CZ_COMPLETED)
        Py_RETURN_NONE;
    return state > CZ_COMPLETED ? raise_error(handle) : NULL;
}

static PyObject *handle_value_or_none(PyObject *self, PyObject *Py_UNUSED(unused))
{
    Handle *handle = (Handle *)self;
    if ((cz_word_load(&handle->cell.word) & CZ_STATE) == CZ_COMPLETED)
        return handle_value(handle);
    Py_RETURN_NONE;
}

PyObject *handle_wait_ns(PyObject *self, PyObject *timeout);
PyObject *handle_wait(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names);

static PyObject *get_plan(PyObject *self, void *Py_UNUSED(unused))
{
    return Py_NewRef(((Handle *)self)->view->plan);
}

static PyObject *get_ready_ns(PyObject *self, void *Py_UNUSED(unused))
{
    return PyLong_FromLongLong(((Handle *)self)->cell.ready_ns);
}

static PyObject *get_ext(PyObject *self, void *Py_UNUSED(unused))
{
    PyObject *ext = handle_ext((Handle *)self);
    return Py_NewRef(ext != NULL ? ext : Py_None);
}

static int set_ext(PyObject *self, PyObject *value, void *Py_UNUSED(unused))
{
    Handle *handle = (Handle *)self;
    if (value == Py_None)
        value = NULL;
    More *more = handle_more_if(handle);
    PyObject *old = handle_ext(handle);
    if (more != NULL)
        more->ext = Py_XNewRef(value);
    else
        handle->more = (uintptr_t)Py_XNewRef(value);
    if (cz_word_load(&handle->cell.word) & CZ_SHARED)
        cz_word_set(&handle->cell.word, CZ_CALLBACKS); /* it wants to know the end */
    Py_XDECREF(old);
    return 0;
}

static PyMethodDef handle_methods[] = {
    {"state", handle_state, METH_NOARGS, NULL},
    {"worker_slot", handle_worker_slot, METH_NOARGS, NULL},
    {"times_ns", handle_times_ns, METH_NOARGS, NULL},
    {"settle", (PyCFunction)(void (*)(void))handle_settle, METH_FASTCALL, NULL},
    {"withdraw", handle_withdraw, METH_O, NULL},
    {"wait_ns", handle_wait_ns, METH_O, NULL},
    {"wait", (PyCFunction)(void (*)(void))handle_wait, METH_FASTCALL | METH_KEYWORDS,
     "wait($self, timeout=None)\n--\n\nThe task's value; raises the task's exception, or TimeoutError after timeout "
     "seconds."},
    {"outcome", handle_outcome, METH_NOARGS, NULL},
    {"value_or_none", handle_value_or_none, METH_NOARGS, NULL},
    {"error", handle_error, METH_NOARGS, NULL},
    {"on_done", handle_on_done, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef handle_getset[] = {
    {"plan", get_plan, NULL, NULL, NULL},
    {"ready_ns", get_ready_ns, NULL, NULL, NULL},
    {"ext", get_ext, set_ext, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot handle_slots[] = {
    {Py_tp_traverse, handle_traverse},
    {Py_tp_clear, handle_clear},
    {Py_tp_finalize, handle_finalize},
    {Py_tp_dealloc, handle_dealloc},
    {Py_tp_methods, handle_methods},
    {Py_tp_getset, handle_getset},
    {0, NULL},
};

/* Not immutable: catzilla.handle.attach gives it the methods of TaskResult. */
PyType_Spec handle_spec = {
    .name = "catzilla.background_tasks.TaskResult",
    .basicsize = sizeof(Handle),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = handle_slots,
};
