/* interface.Queue. */
#include "native.h"

#include "catzilla_rows.h"

typedef PyObject *(*FastCall)(PyObject *, PyObject *const *, Py_ssize_t);
#define METHOD(fn) ((PyCFunction)(void (*)(void))(FastCall)(fn))

#define TRIM_CELLS 50000 /* that were alive at once, and are gone: worth giving the heap back */

static inline Engine *engine_self(PyObject *self)
{
    return ((Part *)self)->engine;
}

void queue_drop(cz_cell_t *chain)
{
    while (chain != NULL) {
        cz_cell_t *next = chain->next;
        Py_DECREF(handle_of(chain));
        chain = next;
    }
}

bool queue_admit(Engine *engine, unsigned lane, int64_t n, bool force)
{
    cz_express_t *express = &engine->express[lane];
    int64_t waiting = cz_express_size(express);
    if (waiting > 0 && !force && cz_queue_size(&engine->queue, lane) + waiting + n > engine->queue.capacity)
        return false;
    express->room = 0; /* what was left of it may be ours now */
    return cz_queue_admit(&engine->queue, lane, n, force);
}

bool queue_claim(Engine *engine, Handle *handle, uint32_t state, uint32_t *was)
{
    if (cz_word_load(&handle->cell.word) & CZ_SHARED)
        return cz_express_claim(&engine->express[lane_of(handle)], &handle->cell, state, was);
    return cz_queue_claim(&engine->queue, &handle->cell, state, was);
}

int64_t queue_size(Engine *engine, unsigned lane)
{
    return cz_queue_size(&engine->queue, lane) + cz_express_size(&engine->express[lane]);
}

static void walk(Engine *engine, unsigned lane, bool (*visit)(cz_cell_t *cell, void *arg), void *arg)
{
    cz_express_t *express = &engine->express[lane];
    if (cz_express_any(express)) {
        cz_express_begin(express);
        cz_express_walk(express, visit, arg);
        cz_express_end(express);
    }
    cz_queue_walk(&engine->queue, lane, visit, arg);
}

void queue_sweep(Engine *engine, unsigned lane, bool few)
{
    cz_express_t *express = &engine->express[lane];
    cz_cell_t *out = NULL;
    int64_t dead = cz_count_read(&express->dead);
    if (dead > 0 && (few || (dead > 1024 && dead > cz_express_size(express)))) {
        cz_express_begin(express);
        out = cz_express_sweep(express, false);
        cz_express_end(express);
    }
    queue_drop(out);
    queue_drop(cz_queue_sweep(&engine->queue, lane, few));
}

void queue_offer(Engine *engine, unsigned lane)
{
    if (cz_flag_read(&engine->gate.waking))
        return;
    if (cz_flag_read(&engine->gate.idle.count))
        gate_wake(engine);
    else
        gate_busy(engine, lane);
}

static void critical(Engine *engine, unsigned lane, long change)
{
    if (lane == 0 && change != 0 && engine->critical_waiting != NULL)
        tell_int(engine, engine->critical_waiting, change);
}

/* A lane has room again: the first who waits for it has the turn. */
void queue_freed(Engine *engine, unsigned lane)
{
    PyObject *space = engine->space;
    for (Py_ssize_t i = 0; space != NULL && i < PyList_GET_SIZE(space); i++) {
        PyObject *entry = PyList_GET_ITEM(space, i);
        if (PyLong_AsLong(PyTuple_GET_ITEM(entry, 0)) != (long)lane)
            continue;
        PyObject *fn = Py_NewRef(PyTuple_GET_ITEM(entry, 1));
        if (PyList_SetSlice(space, i, i + 1, NULL) < 0)
            report_fault(engine);
        else
            tell(engine, fn, NULL);
        Py_DECREF(fn);
        return;
    }
}

/* -- accepting --------------------------------------------------------------------------------- */

static void make_ready(Engine *engine, Handle *handle)
{
    critical(engine, lane_of(handle), 1);
    cz_queue_push(&engine->queue, lane_of(handle), &handle->cell, &handle->cell);
    queue_offer(engine, lane_of(handle));
}

static bool hold(Engine *engine, Handle *handle, int64_t due_ns)
{
    bool earlier;
    if (!cz_timer_add(&engine->timer, &handle->cell, due_ns, &earlier))
        return false;
    if (earlier && engine->wake != NULL)
        tell(engine, engine->wake, NULL);
    return true;
}

static PyObject *queue_put(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    static const char *const keywords[] = {"plan", "args", "ext", "due_ns", "force"};
    PyObject *given[5] = {NULL};
    for (Py_ssize_t i = 0; i < count && i < 5; i++)
        given[i] = args[i];
    for (Py_ssize_t i = 0; names != NULL && i < PyTuple_GET_SIZE(names); i++)
        for (int k = 0; k < 5; k++)
            if (PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, i), keywords[k]) == 0)
                given[k] = args[count + i];
    if (given[0] == NULL || given[1] == NULL || given[2] == NULL || count > 5 || !PyTuple_Check(given[1])) {
        PyErr_SetString(PyExc_TypeError, "put(plan, args: tuple, ext, due_ns=0, force=False)");
        return NULL;
    }
    int64_t due_ns = given[3] == NULL ? 0 : PyLong_AsLongLong(given[3]);
    int force = given[4] == NULL ? 0 : PyObject_IsTrue(given[4]);
    if ((due_ns == -1 && PyErr_Occurred()) || force < 0)
        return NULL;
    Engine *engine = engine_self(self);
    PlanView *view = plan_view(engine, given[0], false);
    if (view == NULL)
        return NULL;
    unsigned lane = view->lane;
    if (!queue_admit(engine, lane, 1, force)) {
        Py_DECREF(view);
        Py_RETURN_NONE;
    }
    PyObject *payload = PyTuple_GET_SIZE(given[1]) == 0 ? NULL : Py_NewRef(given[1]);
    uint32_t word = due_ns != 0 ? CZ_DELAYED | CZ_HELD : CZ_PENDING | CZ_LINKED;
    Handle *handle = handle_new(engine, view, payload, given[2] == Py_None ? NULL : Py_NewRef(given[2]), word,
                                due_ns != 0 ? due_ns : cz_ticks_ns(&engine->ticks));
    Py_DECREF(view);
    if (handle == NULL) {
        cz_queue_readmit(&engine->queue, lane, 1);
        return NULL;
    }
    cz_metrics_add(&engine->metrics, CZ_SUBMITTED, 1);
    if (due_ns == 0) {
        make_ready(engine, handle);
        return (PyObject *)handle;
    }
    cz_queue_hold(&engine->queue, lane);
    if (!hold(engine, handle, due_ns)) {
        uint32_t was;
        cz_metrics_add(&engine->metrics, CZ_SUBMITTED, -1);
        cz_queue_claim(&engine->queue, &handle->cell, CZ_CANCELLED, &was);
        handle->payload = Py_NewRef(Py_None);
        Py_XDECREF(payload);
        Py_DECREF(handle);
        Py_DECREF(handle);
        return PyErr_NoMemory();
    }
    return (PyObject *)handle;
}

/* Handles for the rows, chained but in no lane yet; NULL: an exception, all is undone. */
static PyObject *make_rows(Engine *engine, PlanView *view, PyObject *rows, PyObject *exts)
{
    Py_ssize_t count = PySequence_Fast_GET_SIZE(rows);
    int64_t now_ns = cz_now_ns();
    PyObject *handles = PyList_New(count);
    for (Py_ssize_t i = 0; handles != NULL && i < count; i++) {
        PyObject *row = PySequence_Fast_GET_ITEM(rows, i);
        PyObject *ext = exts == NULL ? Py_None : PySequence_Fast_GET_ITEM(exts, i);
        if (!PyTuple_Check(row)) {
            PyErr_Format(PyExc_TypeError, "a row must be a tuple, not %R", row);
            Py_CLEAR(handles);
            break;
        }
        Handle *handle = handle_new(engine, view, PyTuple_GET_SIZE(row) == 0 ? NULL : Py_NewRef(row),
                                    ext == Py_None ? NULL : Py_NewRef(ext), CZ_PENDING, now_ns);
        if (handle == NULL) {
            Py_CLEAR(handles);
            break;
        }
        Py_SET_REFCNT(handle, 1);
        PyList_SET_ITEM(handles, i, (PyObject *)handle);
    }
    return handles;
}

static PyObject *put_rows(Engine *engine, PlanView *view, PyObject *rows, PyObject *exts)
{
    PyObject *handles = make_rows(engine, view, rows, exts);
    Py_ssize_t count = handles == NULL ? 0 : PyList_GET_SIZE(handles);
    if (count == 0)
        return handles;
    if (!queue_admit(engine, view->lane, count, false)) {
        Py_DECREF(handles);
        Py_RETURN_NONE;
    }
    critical(engine, view->lane, (long)count);
    cz_cell_t *next = NULL;
    for (Py_ssize_t i = count; i-- > 0;) {
        Handle *handle = (Handle *)PyList_GET_ITEM(handles, i);
        Py_INCREF(handle);
        cz_word_set(&handle->cell.word, CZ_LINKED);
        handle->cell.next = next;
        next = &handle->cell;
    }
    cz_metrics_add(&engine->metrics, CZ_SUBMITTED, count);
    cz_queue_push(&engine->queue, view->lane, next, &((Handle *)PyList_GET_ITEM(handles, count - 1))->cell);
    queue_offer(engine, view->lane);
    return handles;
}

static PyObject *queue_put_many(PyObject *self, PyObject *args)
{
    PyObject *plan, *rows, *exts = Py_None, *handles = NULL;
    if (!PyArg_ParseTuple(args, "OO|O:put_many", &plan, &rows, &exts))
        return NULL;
    Engine *engine = engine_self(self);
    PlanView *view = plan_view(engine, plan, false);
    rows = view == NULL ? NULL : PySequence_Fast(rows, "put_many() takes a sequence of rows");
    exts = rows == NULL || exts == Py_None ? NULL : PySequence_Fast(exts, "put_many() takes a sequence of exts");
    if (rows != NULL && !PyErr_Occurred()) {
        if (exts != NULL && PySequence_Fast_GET_SIZE(exts) != PySequence_Fast_GET_SIZE(rows))
            PyErr_SetString(PyExc_ValueError, "put_many() takes one ext for each row");
        else
            handles = put_rows(engine, view, rows, exts);
    }
    Py_XDECREF(exts);
    Py_XDECREF(rows);
    Py_XDECREF(view);
    return handles;
}

static PyObject *queue_pack_rows(PyObject *Py_UNUSED(self), PyObject *args)
{
    PyObject *rows, *defaults, *columns;
    const char *codes;
    Py_ssize_t begin, end;
    if (!PyArg_ParseTuple(args, "OyOnnO:pack_rows", &rows, &codes, &defaults, &begin, &end, &columns))
        return NULL;
    return catzilla_rows_pack(rows, codes, defaults, begin, end, columns);
}

static PyObject *queue_unpack_rows(PyObject *Py_UNUSED(self), PyObject *args)
{
    PyObject *column;
    const char *letter;
    Py_ssize_t begin, end;
    if (!PyArg_ParseTuple(args, "Osnn:unpack_rows", &column, &letter, &begin, &end))
        return NULL;
    return catzilla_rows_unpack(column, letter, begin, end);
}

static PyObject *queue_finished(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 3 || !PyList_CheckExact(args[1]))
        return PyErr_Format(PyExc_TypeError, "finished(plan, values: list, ready_ns)");
    Engine *engine = engine_self(self);
    int64_t ready_ns = PyLong_AsLongLong(args[2]);
    PlanView *view = ready_ns == -1 && PyErr_Occurred() ? NULL : plan_view(engine, args[0], false);
    if (view == NULL)
        return NULL;
    PyObject *handles = PyList_New(PyList_GET_SIZE(args[1]));
    for (Py_ssize_t i = 0; handles != NULL && i < PyList_GET_SIZE(handles); i++) {
        PyObject *value = PyList_GET_ITEM(args[1], i);
        Handle *handle = handle_new(engine, view, Py_NewRef(value), NULL, CZ_COMPLETED, ready_ns);
        if (handle == NULL) {
            Py_CLEAR(handles);
            break;
        }
        Py_SET_REFCNT(handle, 1);
        handle_track(handle, value);
        PyList_SET_ITEM(handles, i, (PyObject *)handle);
    }
    Py_DECREF(view);
    return handles;
}

static PyObject *queue_promise(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2)
        return PyErr_Format(PyExc_TypeError, "promise(plan, ext)");
    Engine *engine = engine_self(self);
    PlanView *view = plan_view(engine, args[0], false);
    if (view == NULL)
        return NULL;
    Handle *handle = handle_new(engine, view, NULL, args[1] == Py_None ? NULL : Py_NewRef(args[1]),
                                CZ_DELAYED | CZ_PROMISE, INT64_MAX);
    Py_DECREF(view);
    if (handle == NULL)
        return NULL;
    Py_SET_REFCNT(handle, 1);
    handle->cell.slot = PROMISED;
    cz_metrics_add(&engine->metrics, CZ_SUBMITTED, 1);
    return (PyObject *)handle;
}

int queue_requeue(Engine *engine, Handle *handle, PyObject *args, int64_t due_ns)
{
    uint32_t word = cz_word_load(&handle->cell.word), was;
    bool promised = word & CZ_PROMISE;
    if ((word & CZ_STATE) != CZ_RUNNING && !promised)
        return 0;
    PyObject *old = handle->payload;
    handle->payload = PyTuple_GET_SIZE(args) == 0 ? NULL : Py_NewRef(args);
    handle->cell.slot = CZ_NO_SLOT;
    while (word & CZ_ONE_ARG && !cz_word_swap(&handle->cell.word, &word, word & ~CZ_ONE_ARG))
        ;
    uint32_t state = due_ns == 0 ? CZ_PENDING : promised ? CZ_DELAYED : CZ_RETRYING;
    bool earlier = false;
    Py_INCREF(handle); /* the lane's or the timer's */
    if (state != CZ_PENDING && !cz_timer_add(&engine->timer, &handle->cell, due_ns, &earlier))
        state = CZ_PENDING; /* no memory to wait with: at once rather than never */
    if (!promised)
        cz_metrics_add(&engine->metrics, CZ_RETRIED, 1);
    cz_again_t what = cz_queue_again(&engine->queue, &handle->cell, state, due_ns != 0 ? due_ns : cz_now_ns(), &was);
    if (what == CZ_TO_PUSH) {
        make_ready(engine, handle);
    } else if (what == CZ_IN_PLACE) {
        critical(engine, lane_of(handle), 1);
        queue_offer(engine, lane_of(handle));
        Py_DECREF(handle); /* the lane has its reference already */
    } else if (earlier && engine->wake != NULL) {
        tell(engine, engine->wake, NULL);
    }
    Py_XDECREF(old);
    return 0;
}

static PyObject *queue_requeue_method(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 3 || !Py_IS_TYPE(args[0], cz.handle) || !PyTuple_Check(args[1]))
        return PyErr_Format(PyExc_TypeError, "requeue(handle, args: tuple, due_ns)");
    int64_t due_ns = PyLong_AsLongLong(args[2]);
    if (due_ns == -1 && PyErr_Occurred())
        return NULL;
    if (queue_requeue(engine_self(self), (Handle *)args[0], args[1], due_ns) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *queue_submitter(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2 || !PyDict_Check(args[0]))
        return PyErr_Format(PyExc_TypeError, "submitter(plans: dict, fallback)");
    return submitter_new(((Part *)self)->owner, engine_self(self), args[0], args[1]);
}

/* -- room -------------------------------------------------------------------------------------- */

/* Of each of the lanes that a walk goes through. */
static bool first(cz_cell_t *cell, void *arg)
{
    cz_cell_t **oldest = arg;
    if (*oldest == NULL || cell->ready_ns < (*oldest)->ready_ns)
        *oldest = cell;
    return false;
}

typedef struct {
    unsigned lane;
    cz_cell_t *oldest;
} Oldest;

static bool oldest_held(cz_cell_t *cell, void *arg)
{
    Oldest *oldest = arg;
    if (CZ_LANE(cz_word_load(&cell->word)) == oldest->lane &&
        (oldest->oldest == NULL || cell->ready_ns < oldest->oldest->ready_ns))
        oldest->oldest = cell;
    return true;
}

static int read_lane(PyObject *number, unsigned *lane)
{
    long value = PyLong_AsLong(number);
    if (value < 0 || value >= CZ_LANES) {
        if (!PyErr_Occurred())
            PyErr_Format(PyExc_ValueError, "a lane is 0..%d, not %ld", CZ_LANES - 1, value);
        return -1;
    }
    *lane = (unsigned)value;
    return 0;
}

static PyObject *queue_evict_oldest(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    Engine *engine = engine_self(self);
    Oldest oldest = {0};
    if (count != 2 || !PyExceptionInstance_Check(args[1]))
        return PyErr_Format(PyExc_TypeError, "evict_oldest(lane, error)");
    if (read_lane(args[0], &oldest.lane) < 0)
        return NULL;
    for (;; oldest.oldest = NULL) {
        walk(engine, oldest.lane, first, &oldest.oldest);
        bool ready = oldest.oldest != NULL;
        if (!ready)
            cz_timer_walk(&engine->timer, oldest_held, &oldest);
        if (oldest.oldest == NULL)
            Py_RETURN_NONE;
        PyObject *handle = Py_NewRef(handle_of(oldest.oldest));
        PyObject *won = PyObject_CallMethod(handle, "withdraw", "O", args[1]);
        bool lost = ready && won == Py_False; /* a worker without the GIL was first */
        Py_XDECREF(won);
        if (won != NULL && !lost)
            return handle;
        Py_DECREF(handle);
        if (won == NULL)
            return NULL;
    }
}

static PyObject *queue_on_space(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    Engine *engine = engine_self(self);
    unsigned lane;
    if (count != 2 || read_lane(args[0], &lane) < 0)
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_TypeError, "on_space(lane, fn)");
    PyObject *entry = PyTuple_Pack(2, args[0], args[1]);
    if (entry == NULL || PyList_Append(engine->space, entry) < 0) {
        Py_XDECREF(entry);
        return NULL;
    }
    Py_DECREF(entry);
    cz_flag_write(&engine->wanted, 1);
    if (queue_size(engine, lane) < engine->queue.capacity)
        queue_freed(engine, lane);
    Py_RETURN_NONE;
}

static PyObject *queue_off_space(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    Engine *engine = engine_self(self);
    unsigned lane;
    if (count != 2 || read_lane(args[0], &lane) < 0)
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_TypeError, "off_space(lane, fn)");
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(engine->space); i++) {
        PyObject *entry = Py_NewRef(PyList_GET_ITEM(engine->space, i));
        int same = PyLong_AsLong(PyTuple_GET_ITEM(entry, 0)) == (long)lane
                       ? PyObject_RichCompareBool(PyTuple_GET_ITEM(entry, 1), args[1], Py_EQ)
                       : 0;
        /* A comparison is Python code: the list may have changed under it. */
        same = same > 0 && i < PyList_GET_SIZE(engine->space) && PyList_GET_ITEM(engine->space, i) == entry ? 1
               : same < 0                                                                                   ? -1
                                                                                                            : 0;
        Py_DECREF(entry);
        if (same < 0 || (same && PyList_SetSlice(engine->space, i, i + 1, NULL) < 0))
            return NULL;
        if (same)
            Py_RETURN_NONE;
    }
    if (queue_size(engine, lane) < engine->queue.capacity)
        queue_freed(engine, lane); /* fn had the turn and does not use it */
    Py_RETURN_NONE;
}

/* -- looking ----------------------------------------------------------------------------------- */

static PyObject *queue_sizes(PyObject *self, PyObject *Py_UNUSED(unused))
{
    Engine *engine = engine_self(self);
    return Py_BuildValue("LLLL", (long long)queue_size(engine, 0), (long long)queue_size(engine, 1),
                         (long long)queue_size(engine, 2), (long long)queue_size(engine, 3));
}

int64_t queue_ready_count(Engine *engine)
{
    int64_t count = cz_queue_ready(&engine->queue);
    uint32_t paused = cz_flag_read(&engine->queue.paused);
    for (unsigned lane = 1; lane < CZ_LANES; lane++)
        if (!(paused & 1u << lane))
            count += cz_express_size(&engine->express[lane]);
    return count;
}

static PyObject *queue_ready(PyObject *self, PyObject *Py_UNUSED(unused))
{
    return PyLong_FromLongLong(queue_ready_count(engine_self(self)));
}

static PyObject *queue_oldest_ready_ns(PyObject *self, PyObject *Py_UNUSED(unused))
{
    PyObject *times = PyTuple_New(CZ_LANES);
    for (unsigned lane = 0; times != NULL && lane < CZ_LANES; lane++) {
        cz_cell_t *head = NULL;
        walk(engine_self(self), lane, first, &head);
        PyObject *since = head == NULL ? Py_NewRef(Py_None) : PyLong_FromLongLong(head->ready_ns);
        if (since == NULL)
            Py_CLEAR(times);
        else
            PyTuple_SET_ITEM(times, lane, since);
    }
    return times;
}

static bool add_to_list(cz_cell_t *cell, void *list)
{
    return PyList_Append(list, (PyObject *)handle_of(cell)) == 0;
}

PyObject *queue_pending(Engine *engine)
{
    PyObject *handles = PyList_New(0);
    if (handles == NULL)
        return NULL;
    for (unsigned lane = 0; lane < CZ_LANES; lane++)
        walk(engine, lane, add_to_list, handles);
    cz_timer_walk(&engine->timer, add_to_list, handles);
    if (PyErr_Occurred())
        Py_CLEAR(handles);
    return handles;
}

static PyObject *queue_pending_method(PyObject *self, PyObject *Py_UNUSED(unused))
{
    return queue_pending(engine_self(self));
}

static PyObject *queue_advance(PyObject *self, PyObject *now)
{
    Engine *engine = engine_self(self);
    int64_t now_ns = PyLong_AsLongLong(now);
    if (now_ns == -1 && PyErr_Occurred())
        return NULL;
    cz_ticks_adjust(&engine->ticks);
    cz_cell_t *cell;
    while ((cell = cz_timer_take(&engine->timer, now_ns)) != NULL) {
        cz_again_t what = cz_queue_ripen(&engine->queue, cell, now_ns);
        Handle *handle = handle_of(cell);
        if (what == CZ_TO_PUSH) {
            make_ready(engine, handle); /* the timer's reference becomes the lane's */
            continue;
        }
        if (what == CZ_IN_PLACE) {
            critical(engine, lane_of(handle), 1);
            queue_offer(engine, lane_of(handle));
        }
        Py_DECREF(handle);
    }
    int64_t held = 0;
    for (unsigned lane = 0; lane < CZ_LANES; lane++)
        held += cz_count_read(&engine->queue.lanes[lane].held);
    while ((cell = cz_timer_sweep(&engine->timer, held, false)) != NULL)
        Py_DECREF(handle_of(cell));
    for (unsigned lane = 0; lane < CZ_LANES; lane++)
        queue_sweep(engine, lane, false);
    int64_t trim_ns = cz_pool_trim(&engine->pool, now_ns), records_ns = cz_pool_trim(&engine->records, now_ns);
    if (engine->pool.spare == NULL && engine->pool.most > TRIM_CELLS && engine->pool.live < engine->pool.most / 16) {
        engine->pool.most = 0;
        Py_BEGIN_ALLOW_THREADS cz_alloc_trim(&engine->alloc);
        Py_END_ALLOW_THREADS
    }
    int64_t next_ns = cz_timer_next(&engine->timer, now_ns);
    if (trim_ns < next_ns)
        next_ns = trim_ns;
    if (records_ns < next_ns)
        next_ns = records_ns;
    if (next_ns == INT64_MAX)
        Py_RETURN_NONE;
    return PyLong_FromLongLong(next_ns);
}

static PyObject *queue_pause(PyObject *self, PyObject *lanes)
{
    Engine *engine = engine_self(self);
    uint32_t paused = 0;
    PyObject *iterator = PyObject_GetIter(lanes), *item;
    if (iterator == NULL)
        return NULL;
    while ((item = PyIter_Next(iterator)) != NULL) {
        unsigned lane = 0;
        int bad = read_lane(item, &lane);
        Py_DECREF(item);
        if (bad)
            break;
        paused |= 1u << lane;
    }
    Py_DECREF(iterator);
    if (PyErr_Occurred())
        return NULL;
    cz_flag_write(&engine->queue.paused, paused);
    if (queue_ready_count(engine) > 0)
        gate_wake(engine);
    Py_RETURN_NONE;
}

static PyObject *queue_on_backlog(PyObject *self, PyObject *fn)
{
    Py_XSETREF(engine_self(self)->backlog, fn == Py_None ? NULL : Py_NewRef(fn));
    Py_RETURN_NONE;
}

static PyObject *queue_close(PyObject *self, PyObject *Py_UNUSED(unused))
{
    engine_self(self)->closed = true;
    Py_RETURN_NONE;
}

static PyObject *queue_reopen(PyObject *self, PyObject *Py_UNUSED(unused))
{
    engine_self(self)->closed = false;
    Py_RETURN_NONE;
}

static PyObject *queue_published(PyObject *self, PyObject *Py_UNUSED(unused))
{
    cz_count_bump(&engine_self(self)->published, 1);
    Py_RETURN_NONE;
}

static PyMethodDef queue_methods[] = {
    {"published", queue_published, METH_NOARGS, NULL},
    {"submitter", METHOD(queue_submitter), METH_FASTCALL, NULL},
    {"put", (PyCFunction)(void (*)(void))queue_put, METH_FASTCALL | METH_KEYWORDS, NULL},
    {"put_many", queue_put_many, METH_VARARGS, NULL},
    {"pack_rows", queue_pack_rows, METH_VARARGS, NULL},
    {"unpack_rows", queue_unpack_rows, METH_VARARGS, NULL},
    {"finished", METHOD(queue_finished), METH_FASTCALL, NULL},
    {"promise", METHOD(queue_promise), METH_FASTCALL, NULL},
    {"requeue", METHOD(queue_requeue_method), METH_FASTCALL, NULL},
    {"evict_oldest", METHOD(queue_evict_oldest), METH_FASTCALL, NULL},
    {"on_space", METHOD(queue_on_space), METH_FASTCALL, NULL},
    {"off_space", METHOD(queue_off_space), METH_FASTCALL, NULL},
    {"sizes", queue_sizes, METH_NOARGS, NULL},
    {"ready", queue_ready, METH_NOARGS, NULL},
    {"oldest_ready_ns", queue_oldest_ready_ns, METH_NOARGS, NULL},
    {"pending", queue_pending_method, METH_NOARGS, NULL},
    {"advance", queue_advance, METH_O, NULL},
    {"pause", queue_pause, METH_O, NULL},
    {"on_backlog", queue_on_backlog, METH_O, NULL},
    {"close", queue_close, METH_NOARGS, NULL},
    {"reopen", queue_reopen, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot queue_slots[] = {
    {Py_tp_traverse, part_traverse},
    {Py_tp_clear, part_clear},
    {Py_tp_dealloc, part_dealloc},
    {Py_tp_methods, queue_methods},
    {0, NULL},
};

PyType_Spec queue_spec = {
    .name = "catzilla.backends.c._native.Queue",
    .basicsize = sizeof(Part),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = queue_slots,
};
