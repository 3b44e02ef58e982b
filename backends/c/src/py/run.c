/* One task with everything: the call's context and keywords, the plan's runner, clocks. */
#include "native.h"

static int read_ext(PyObject *ext, PyObject **context, PyObject **kwargs)
{
    *context = PyObject_GetAttr(ext, cz.s_context);
    *kwargs = *context == NULL ? NULL : PyObject_GetAttr(ext, cz.s_kwargs);
    if (*kwargs == NULL) {
        Py_CLEAR(*context);
        return -1;
    }
    if (*context == Py_None) {
        Py_CLEAR(*context);
    } else { /* a retry starts from the submitter's context again */
        Py_SETREF(*context, PyContext_Copy(*context));
        if (*context == NULL) {
            Py_CLEAR(*kwargs);
            return -1;
        }
    }
    if (*kwargs == Py_None)
        Py_CLEAR(*kwargs);
    return 0;
}

static PyObject *call(cz_seat_t *seat, Handle *handle, PyObject *args, PyObject *kwargs)
{
    PlanView *view = handle->view;
    if (view->kernel != NULL && kwargs == NULL)
        return kernel_call(engine_of(handle), seat, handle, &PyTuple_GET_ITEM(args, 0), PyTuple_GET_SIZE(args));
    if (view->runner == NULL)
        return PyObject_Call(view->fn, args, kwargs);
    PyObject *keywords = kwargs != NULL ? Py_NewRef(kwargs) : PyDict_New();
    if (keywords == NULL)
        return NULL;
    PyObject *const given[] = {(PyObject *)handle, args, keywords};
    PyObject *runner = Py_NewRef(view->runner); /* the plan may get another one meanwhile */
    PyObject *value = PyObject_Vectorcall(runner, given, 3, NULL);
    Py_DECREF(runner);
    Py_DECREF(keywords);
    return value;
}

/* *runner: whether it went through the plan's. */
static PyObject *call_in_context(cz_seat_t *seat, Handle *handle, PyObject *args, bool own_context, bool *runner)
{
    PyObject *context = NULL, *kwargs = NULL, *ext = handle_ext(handle);
    if (ext != NULL && read_ext(ext, &context, &kwargs) < 0)
        return NULL;
    if (context == NULL && own_context && (context = PyContext_New()) == NULL)
        goto failed;
    if (context != NULL && PyContext_Enter(context) < 0)
        goto failed;
    *runner = handle->view->runner != NULL && (handle->view->kernel == NULL || kwargs != NULL);
    PyObject *value = call(seat, handle, args, kwargs);
    if (context != NULL) {
        PyObject *error = take_exception();
        if (PyContext_Exit(context) < 0)
            PyErr_Clear();
        put_exception(error);
    }
    Py_XDECREF(context);
    Py_XDECREF(kwargs);
    return value;

failed:
    Py_XDECREF(context);
    Py_XDECREF(kwargs);
    return NULL;
}

static void observe(Engine *engine, cz_seat_t *seat, Handle *handle, int64_t started_ns, int64_t weight)
{
    int64_t ended_ns = cz_now_ns(), took_ns = ended_ns - started_ns, waited_ns = started_ns - handle->cell.ready_ns;
    More *more = handle_more(handle);
    if (more != NULL) {
        more->started_ns = started_ns;
        more->ended_ns = ended_ns;
    } else {
        PyErr_Clear();
    }
    cz_tally_observe(&engine->metrics, seat->tally, took_ns, waited_ns > 0 ? waited_ns : 0, weight);
    bool slow = engine->full || took_ns >= HOT_NS;
    if (slow != handle->view->timed) {
        handle->view->timed = slow;
        if (PyObject_SetAttr(handle->view->plan, cz.s_timed, slow ? Py_True : Py_False) < 0)
            PyErr_Clear();
    }
}

static int complete(cz_seat_t *seat, Handle *handle, PyObject *value)
{
    uint32_t was;
    if ((cz_word_load(&handle->cell.word) & CZ_STATE) != CZ_RUNNING) {
        Py_DECREF(value);
        return LEAVE; /* abandoned by a shutdown */
    }
    PyObject *old = handle->payload;
    handle->payload = value;
    handle_track(handle, value);
    cz_count_publish(&seat->tally->completed, cz_count_read(&seat->tally->completed) + 1);
    cz_cell_settle(&handle->cell, CZ_COMPLETED, &was, true);
    handle_released(handle, was, CZ_COMPLETED);
    Py_XDECREF(old);
    return GO_ON;
}

static int again(Engine *engine, Handle *handle, PyObject *args, PyObject *value)
{
    PyObject *due = PyObject_GetAttr(value, cz.s_due_ns);
    int64_t due_ns = due == NULL ? -1 : PyLong_AsLongLong(due);
    Py_XDECREF(due);
    Py_DECREF(value);
    if (due_ns == -1 && PyErr_Occurred())
        return handle_fail(handle, CZ_FAILED, take_exception(), 0, NULL) ? GO_ON : LEAVE;
    queue_requeue(engine, handle, args, due_ns);
    return GO_ON;
}

/* The task is RUNNING and ours. own_context: the thread has none that is empty. */
int run_task(Engine *engine, cz_seat_t *seat, Handle *handle, bool own_context, int64_t weight)
{
    bool runner = false;
    /* Ours from now on: an end from outside must not take them away from the call. */
    PyObject *args = handle_take_args(handle), *value = NULL;
    int64_t started_ns = 0;
    if (weight)
        seat->started_ns = started_ns = cz_now_ns();
    if (args != NULL)
        value = call_in_context(seat, handle, args, own_context, &runner);
    PyObject *error = value == NULL ? take_exception() : NULL;
    int result;
    if (value == cz.condemned || (runner && error != NULL && PyErr_GivenExceptionMatches(error, cz.interrupted))) {
        Py_XDECREF(value);
        Py_XDECREF(error);
        result = LEAVE; /* the interrupt of a condemned thread may arrive as late as here */
    } else {
        if (weight) {
            seat->started_ns = 0;
            if (value != cz.detached)
                observe(engine, seat, handle, started_ns, weight);
        }
        if (error != NULL) {
            result = handle_fail(handle, CZ_FAILED, error, runner ? 1 : 0, seat->tally) ? GO_ON : LEAVE;
        } else if (value == cz.detached) {
            Py_DECREF(value);
            result = GO_ON;
        } else if ((PyObject *)Py_TYPE(value) == cz.again) {
            result = again(engine, handle, args, value);
        } else {
            result = complete(seat, handle, value);
        }
    }
    Py_XDECREF(args);
    return result;
}

int run_claimed(Engine *engine, cz_seat_t *seat, Handle *handle)
{
    Frame frame = {seat->frames, seat->running};
    int64_t started_ns = seat->started_ns;
    if (frame.handle != NULL)
        seat->frames = &frame;
    seat->running = handle;
    handle->cell.slot = seat->slot;
    queue_freed(engine, lane_of(handle));
    plan_refresh(engine, handle->view);
    int result = run_task(engine, seat, handle, true, handle->view->timed ? 1 : 0);
    cz_gate_gave(&engine->gate, cz_seat_name(seat)); /* the thread goes on with Python */
    seat->running = frame.handle;
    seat->started_ns = started_ns;
    seat->frames = frame.outer;
    return result;
}
