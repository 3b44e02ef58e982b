/* interface.Workers: slots and the threads that serve them. */
#include "native.h"

static inline Engine *engine_self(PyObject *self)
{
    return ((Part *)self)->engine;
}

static int read_int(PyObject *number, long *value)
{
    *value = PyLong_AsLong(number);
    return *value == -1 && PyErr_Occurred() ? -1 : 0;
}

static cz_seat_t *new_seat(Engine *engine, int32_t slot)
{
    cz_tally_t *tally = cz_metrics_borrow(&engine->metrics);
    cz_seat_t *seat = tally == NULL ? NULL : cz_gate_seat(&engine->gate, slot, tally);
    if (seat == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    cz_seat_listen(seat);
    return seat;
}

static cz_seat_t *find(Engine *engine, long slot)
{
    cz_seat_t *seat = cz_gate_find(&engine->gate, (int32_t)slot);
    if (seat == NULL)
        PyErr_Format(PyExc_KeyError, "there is no slot %ld", slot);
    return seat;
}

static PyObject *workers_resize(PyObject *self, PyObject *number)
{
    Engine *engine = engine_self(self);
    cz_gate_t *gate = &engine->gate;
    long count;
    if (read_int(number, &count) < 0)
        return NULL;
    for (long slot = 0; slot < count; slot++) {
        cz_seat_t *seat = cz_gate_find(gate, (int32_t)slot);
        if (seat == NULL) {
            seat = new_seat(engine, (int32_t)slot);
            if (seat == NULL)
                return NULL;
            cz_gate_park(gate, seat, false);
        } else if (seat->retired) {
            seat->retired = false;
            if (!seat->started)
                cz_gate_park(gate, seat, false);
        }
    }
    for (cz_seat_t *seat = gate->seats; seat != NULL; seat = seat->next)
        if (seat->slot >= count && !seat->retired && !seat->lost) {
            seat->retired = true; /* busy, or called: it sees that */
            if (cz_gate_unpark(gate, seat) && seat->started)
                cz_seat_call(seat);
        }
    if (queue_ready_count(engine) > 0 && !cz_flag_read(&gate->waking))
        gate_wake(engine);
    Py_RETURN_NONE;
}

static PyObject *workers_reserve(PyObject *self, PyObject *number)
{
    Engine *engine = engine_self(self);
    long count;
    if (read_int(number, &count) < 0)
        return NULL;
    for (long slot = -count; slot < 0; slot++) {
        cz_seat_t *seat = new_seat(engine, (int32_t)slot);
        if (seat == NULL)
            return NULL;
        cz_gate_park(&engine->gate, seat, true);
    }
    if (count > 0)
        gate_start_ahead(engine, engine->gate.reserve.top);
    Py_RETURN_NONE;
}

static PyObject *workers_serve(PyObject *self, PyObject *number)
{
    Engine *engine = engine_self(self);
    long slot;
    if (read_int(number, &slot) < 0)
        return NULL;
    cz_seat_t *seat = find(engine, slot);
    if (seat == NULL)
        return NULL;
    if (seat->native_id == 0) { /* else the slot was given up and has got another thread already */
        Py_INCREF(self);
        serve(engine, seat);
        Py_DECREF(self);
    }
    Py_RETURN_NONE;
}

static void add_visitor(Engine *engine, cz_seat_t *seat)
{
    seat->next = engine->visitors;
    engine->visitors = seat;
}

static void remove_visitor(Engine *engine, cz_seat_t *seat)
{
    for (cz_seat_t **link = &engine->visitors; *link != NULL; link = &(*link)->next)
        if (*link == seat) {
            *link = seat->next;
            return;
        }
}

static int run_as_visitor(Engine *engine, Handle *handle)
{
    cz_seat_t seat = {.slot = VISITOR, .tally = cz_metrics_borrow(&engine->metrics)};
    if (seat.tally == NULL) {
        PyErr_NoMemory();
        handle_fail(handle, CZ_FAILED, take_exception(), 0, NULL);
        return 0;
    }
    Here me;
    seat.busy_since_ns = cz_now_ns();
    here_enter(&me, engine, &seat);
    add_visitor(engine, &seat);
    run_claimed(engine, &seat, handle);
    remove_visitor(engine, &seat);
    here_leave(&me);
    cz_metrics_give_back(&engine->metrics, seat.tally);
    return 0;
}

static PyObject *workers_run(PyObject *self, PyObject *object)
{
    Engine *engine = engine_self(self);
    if (!Py_IS_TYPE(object, cz.handle))
        return PyErr_Format(PyExc_TypeError, "run() takes a handle of this backend, not %R", object);
    Handle *handle = (Handle *)object;
    uint32_t was;
    if (cz_cell_state(&handle->cell, cz_now_ns()) != CZ_PENDING || !queue_claim(engine, handle, CZ_RUNNING, &was))
        Py_RETURN_FALSE;
    if (handle_open_values(handle) < 0) {
        handle_fail(handle, CZ_FAILED, take_exception(), 0, NULL);
        Py_RETURN_TRUE;
    }
    Py_INCREF(handle);
    if (lane_of(handle) == 0 && !(was & CZ_HELD) && engine->critical_waiting != NULL)
        tell_int(engine, engine->critical_waiting, -1);
    cz_seat_t *seat = here_seat(engine);
    if (seat != NULL)
        run_claimed(engine, seat, handle);
    else
        run_as_visitor(engine, handle);
    Py_DECREF(handle);
    Py_RETURN_TRUE;
}

static PyObject *workers_current(PyObject *self, PyObject *Py_UNUSED(unused))
{
    cz_seat_t *seat = here_seat(engine_self(self));
    return Py_NewRef(seat != NULL && seat->running != NULL ? (PyObject *)seat->running : Py_None);
}

static int64_t total_busy_ns(cz_seat_t *seat)
{
    return seat->busy_ns + (seat->busy_since_ns != 0 ? cz_now_ns() - seat->busy_since_ns : 0);
}

static int lose(Engine *engine, cz_seat_t *old)
{
    cz_seat_t *fresh = cz_gate_seat(&engine->gate, old->slot, old->tally); /* the lost thread counts no more */
    if (fresh == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    cz_seat_listen(fresh);
    old->lost = true;
    cz_gate_unpark(&engine->gate, old);
    fresh->busy_ns = total_busy_ns(old);
    fresh->retired = old->retired;
    if (old->native_id == 0 && !old->started)
        cz_gate_free(&engine->gate, old); /* nobody sits there */
    if (!fresh->retired)
        cz_gate_park(&engine->gate, fresh, true);
    return 0;
}

static PyObject *workers_lose(PyObject *self, PyObject *number)
{
    Engine *engine = engine_self(self);
    long slot;
    if (read_int(number, &slot) < 0)
        return NULL;
    cz_seat_t *seat = find(engine, slot);
    if (seat == NULL || lose(engine, seat) < 0)
        return NULL;
    if (queue_ready_count(engine) > 0)
        queue_offer(engine, 0);
    Py_RETURN_NONE;
}

static PyObject *workers_spawn_failed(PyObject *self, PyObject *number)
{
    Engine *engine = engine_self(self);
    long slot;
    if (read_int(number, &slot) < 0)
        return NULL;
    cz_seat_t *seat = find(engine, slot);
    if (seat == NULL)
        return NULL;
    seat->started = false;
    if (seat->called && !seat->parked) {
        seat->called = false;
        cz_gate_park(&engine->gate, seat, false);
    }
    cz_flag_write(&engine->gate.waking, 0);
    Py_RETURN_NONE;
}

static PyObject *workers_stop(PyObject *self, PyObject *Py_UNUSED(unused))
{
    cz_gate_t *gate = &engine_self(self)->gate;
    cz_flag_write(&gate->stopped, 1);
    cz_idle_t *const lists[] = {&gate->idle, &gate->reserve};
    for (int i = 0; i < 2; i++)
        for (cz_seat_t *seat; (seat = cz_gate_take(gate, lists[i])) != NULL;)
            if (seat->started)
                cz_seat_call(seat);
    for (unsigned lane = 0; lane < CZ_LANES; lane++) /* no worker comes by any more: let go of what died here */
        queue_sweep(engine_self(self), lane, true);
    Py_RETURN_NONE;
}

static PyObject *workers_reopen(PyObject *self, PyObject *Py_UNUSED(unused))
{
    Engine *engine = engine_self(self);
    cz_gate_t *gate = &engine->gate;
    cz_flag_write(&gate->stopped, 0);
    cz_flag_write(&gate->waking, 0);
    cz_seat_t *last = NULL;
    for (cz_seat_t *seat = gate->seats; seat != NULL; seat = seat->next)
        last = seat;
    for (cz_seat_t *seat = gate->seats, *next; seat != NULL; seat = next) {
        next = seat == last ? NULL : seat->next; /* those that replace a lost one come after it */
        if (seat->lost)
            continue;
        if (!seat->started) {
            if (!seat->retired && !seat->parked)
                cz_gate_park(gate, seat, false);
        } else if (lose(engine, seat) < 0) { /* its thread has not left yet, or is stuck */
            return NULL;
        }
    }
    if (gate->reserve.top != NULL)
        gate_start_ahead(engine, gate->reserve.top);
    Py_RETURN_NONE;
}

/* -- snapshot ---------------------------------------------------------------------------------- */

static PyStructSequence_Field view_fields[] = {
    {"slot", NULL},    {"reserve", NULL},   {"handle", NULL}, {"started_ns", NULL},
    {"busy_ns", NULL}, {"native_id", NULL}, {"outer", NULL},  {NULL, NULL},
};

PyStructSequence_Desc view_desc = {"catzilla.backends.c._native.WorkerView", NULL, view_fields, 7};

static PyObject *number_or_none(int64_t value)
{
    return value != 0 ? PyLong_FromLongLong(value) : Py_NewRef(Py_None);
}

static int add_view(PyObject *views, cz_seat_t *seat, Handle *handle, int64_t started_ns, bool outer)
{
    PyObject *items[7];
    items[0] = PyLong_FromLong(seat->slot);
    items[1] = PyBool_FromLong(VISITOR < seat->slot && seat->slot < 0);
    items[2] = Py_NewRef(handle != NULL ? (PyObject *)handle : Py_None);
    items[3] = number_or_none(started_ns);
    items[4] = PyLong_FromLongLong(total_busy_ns(seat));
    items[5] = number_or_none(seat->native_id);
    items[6] = PyBool_FromLong(outer);
    PyObject *view = PyStructSequence_New(cz.view);
    for (int i = 0; i < 7; i++) {
        if (view != NULL && items[i] != NULL)
            PyStructSequence_SET_ITEM(view, i, items[i]);
        else
            Py_XDECREF(items[i]);
        if (items[i] == NULL)
            Py_CLEAR(view);
    }
    int result = view == NULL ? -1 : PyList_Append(views, view);
    Py_XDECREF(view);
    return result;
}

static int add_views(PyObject *views, cz_seat_t *seat)
{
    for (Frame *frame = seat->frames; frame != NULL; frame = frame->outer)
        if (add_view(views, seat, frame->handle, 0, true) < 0)
            return -1;
    return add_view(views, seat, seat->running, seat->started_ns, false);
}

static PyObject *workers_snapshot(PyObject *self, PyObject *Py_UNUSED(unused))
{
    Engine *engine = engine_self(self);
    PyObject *views = PyList_New(0);
    /* Making a view may run the collector, and with it Python code that changes the lists. */
    int was_on = PyGC_Disable();
    for (cz_seat_t *seat = engine->gate.seats; views != NULL && seat != NULL; seat = seat->next)
        if (!seat->lost && add_views(views, seat) < 0)
            Py_CLEAR(views);
    for (cz_seat_t *seat = engine->visitors; views != NULL && seat != NULL; seat = seat->next)
        if (add_views(views, seat) < 0)
            Py_CLEAR(views);
    if (was_on)
        PyGC_Enable();
    return views;
}

/* End the handle's kernel (None: every kernel) at its next round of a loop. */
static PyObject *workers_stop_kernel(PyObject *self, PyObject *object)
{
    Engine *engine = engine_self(self);
    if (object != Py_None && !Py_IS_TYPE(object, cz.handle))
        return PyErr_Format(PyExc_TypeError, "stop_kernel() takes a handle of this backend or None, not %R", object);
    Handle *handle = object == Py_None ? NULL : (Handle *)object;
    for (cz_seat_t *seat = engine->gate.seats; seat != NULL; seat = seat->next)
        compute_stop(seat, handle);
    for (cz_seat_t *seat = engine->visitors; seat != NULL; seat = seat->next)
        compute_stop(seat, handle);
    Py_RETURN_NONE;
}

static PyObject *workers_caller(PyObject *Py_UNUSED(self), PyObject *kernel)
{
    return caller_new(kernel);
}

static int add_kernel(PyObject *handles, cz_seat_t *seat)
{
    PyObject *handle = compute_handle(seat);
    return handle == NULL ? 0 : PyList_Append(handles, handle);
}

static PyObject *workers_kernels(PyObject *self, PyObject *Py_UNUSED(unused))
{
    Engine *engine = engine_self(self);
    PyObject *handles = PyList_New(0);
    for (cz_seat_t *seat = engine->gate.seats; handles != NULL && seat != NULL; seat = seat->next)
        if (add_kernel(handles, seat) < 0)
            Py_CLEAR(handles);
    for (cz_seat_t *seat = engine->visitors; handles != NULL && seat != NULL; seat = seat->next)
        if (add_kernel(handles, seat) < 0)
            Py_CLEAR(handles);
    return handles;
}

static PyMethodDef workers_methods[] = {
    {"stop_kernel", workers_stop_kernel, METH_O, NULL},
    {"kernels", workers_kernels, METH_NOARGS, NULL},
    {"caller", workers_caller, METH_O, NULL},
    {"resize", workers_resize, METH_O, NULL},
    {"reserve", workers_reserve, METH_O, NULL},
    {"serve", workers_serve, METH_O, NULL},
    {"run", workers_run, METH_O, NULL},
    {"current", workers_current, METH_NOARGS, NULL},
    {"lose", workers_lose, METH_O, NULL},
    {"snapshot", workers_snapshot, METH_NOARGS, NULL},
    {"spawn_failed", workers_spawn_failed, METH_O, NULL},
    {"stop", workers_stop, METH_NOARGS, NULL},
    {"reopen", workers_reopen, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot workers_slots[] = {
    {Py_tp_traverse, part_traverse},
    {Py_tp_clear, part_clear},
    {Py_tp_dealloc, part_dealloc},
    {Py_tp_methods, workers_methods},
    {0, NULL},
};

PyType_Spec workers_spec = {
    .name = "catzilla.backends.c._native.Workers",
    .basicsize = sizeof(Part),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = workers_slots,
};
