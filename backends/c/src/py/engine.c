/* interface.Engine: one task system's queue, workers, allocator and metrics. */
#define _GNU_SOURCE
#include "native.h"

#include <sys/syscall.h>
#include <unistd.h>

typedef struct {
    PyObject_HEAD Engine *engine;
    PyObject *queue, *workers, *allocator, *metrics;
} EngineObject;

/* -- talking to policy ------------------------------------------------------------------------- */

PyObject *take_exception(void)
{
#if PY_VERSION_HEX >= 0x030C0000
    return PyErr_GetRaisedException();
#else
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (type == NULL)
        return NULL;
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL)
        PyException_SetTraceback(value, traceback);
    Py_DECREF(type);
    Py_XDECREF(traceback);
    return value;
#endif
}

void put_exception(PyObject *error)
{
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_SetRaisedException(error);
#else
    if (error == NULL)
        PyErr_Clear();
    else
        PyErr_Restore(Py_NewRef(Py_TYPE(error)), error, PyException_GetTraceback(error));
#endif
}

void report_fault(Engine *engine)
{
    PyObject *error = take_exception();
    if (error == NULL)
        return;
    PyObject *result = engine->fault == NULL ? NULL : PyObject_CallOneArg(engine->fault, error);
    if (result == NULL)
        PyErr_Clear();
    Py_XDECREF(result);
    Py_DECREF(error);
}

static int interrupt(void *Py_UNUSED(unused))
{
    PyErr_SetNone(PyExc_KeyboardInterrupt);
    return -1;
}

/* A Ctrl-C that came while policy's function ran is for whom that interrupted: raised when the main thread is back
 * there. */
static bool passed_on(void)
{
    if (!PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) || syscall(SYS_gettid) != getpid() ||
        Py_AddPendingCall(interrupt, NULL) < 0)
        return false;
    PyErr_Clear();
    return true;
}

static void told(Engine *engine, PyObject *result)
{
    if (result == NULL && !passed_on())
        report_fault(engine);
    Py_XDECREF(result);
}

void tell(Engine *engine, PyObject *fn, PyObject *argument)
{
    told(engine, argument == NULL ? PyObject_CallNoArgs(fn) : PyObject_CallOneArg(fn, argument));
}

void tell_int(Engine *engine, PyObject *fn, long argument)
{
    PyObject *number = PyLong_FromLong(argument);
    told(engine, number == NULL ? NULL : PyObject_CallOneArg(fn, number));
    Py_XDECREF(number);
}

/* -- parts ------------------------------------------------------------------------------------- */

int part_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((Part *)self)->owner);
    return 0;
}

int part_clear(PyObject *Py_UNUSED(self))
{
    return 0;
} /* the Engine lets its parts go; they keep it to their end */

void part_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    PyObject *owner = ((Part *)self)->owner;
    PyObject_GC_Del(self);
    Py_XDECREF(owner);
    Py_DECREF(type);
}

static PyObject *part_new(PyTypeObject *type, EngineObject *owner)
{
    Part *part = PyObject_GC_New(Part, type);
    if (part == NULL)
        return NULL;
    part->owner = Py_NewRef(owner);
    part->engine = owner->engine;
    PyObject_GC_Track(part);
    return (PyObject *)part;
}

/* -- the engine -------------------------------------------------------------------------------- */

static int read_config(Engine *engine, PyObject *config)
{
    struct {
        const char *name;
        PyObject **into;
    } const calls[] = {
        {"spawn", &engine->spawn},
        {"wake", &engine->wake},
        {"make_ext", &engine->make_ext},
        {"critical_waiting", &engine->critical_waiting},
        {"unretrieved", &engine->unretrieved},
        {"fault", &engine->fault},
    };
    engine->config = Py_NewRef(config);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if ((*calls[i].into = PyObject_GetAttrString(config, calls[i].name)) == NULL)
            return -1;
    PyObject *size = PyObject_GetAttrString(config, "queue_size");
    PyObject *limit = PyObject_GetAttrString(config, "memory_limit_bytes");
    PyObject *profiling = PyObject_GetAttrString(config, "profiling");
    PyObject *jemalloc = PyObject_GetAttrString(config, "use_jemalloc");
    if (size != NULL && limit != NULL && profiling != NULL && jemalloc != NULL) {
        engine->queue.capacity = PyLong_AsLongLong(size);
        int64_t limit_bytes = limit == Py_None ? -1 : PyLong_AsLongLong(limit);
        engine->profiling = PyObject_IsTrue(profiling) == 1;
        engine->full = PyUnicode_Check(profiling) && PyUnicode_CompareWithASCIIString(profiling, "full") == 0;
        cz_alloc_open(&engine->alloc, PyObject_IsTrue(jemalloc) == 1, limit_bytes);
    }
    Py_XDECREF(size);
    Py_XDECREF(limit);
    Py_XDECREF(profiling);
    Py_XDECREF(jemalloc);
    return PyErr_Occurred() ? -1 : 0;
}

static PyObject *engine_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *config;
    if (kwargs != NULL || !PyArg_ParseTuple(args, "O:Engine", &config))
        return kwargs == NULL ? NULL : PyErr_Format(PyExc_TypeError, "Engine(config)");
    Engine *engine = PyMem_Calloc(1, sizeof *engine);
    if (engine == NULL)
        return PyErr_NoMemory();
    EngineObject *self = (EngineObject *)type->tp_alloc(type, 0);
    if (self == NULL) {
        PyMem_Free(engine);
        return NULL;
    }
    self->engine = engine;
    engine->object = (PyObject *)self;
    cz_queue_open(&engine->queue, 0, true);
    cz_gate_open(&engine->gate, &engine->alloc.arenas[CZ_RECORDS], &engine->metrics);
    if ((engine->space = PyList_New(0)) == NULL || read_config(engine, config) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    cz_ticks_begin(&engine->ticks);
    cz_timer_open(&engine->timer, &engine->alloc.arenas[CZ_RECORDS]);
    cz_metrics_open(&engine->metrics, &engine->alloc.arenas[CZ_RECORDS], true);
    for (unsigned lane = 0; lane < CZ_LANES; lane++)
        cz_express_open(&engine->express[lane], &engine->alloc.arenas[CZ_RECORDS]);
    cz_pool_open(&engine->pool, &engine->alloc.arenas[CZ_CELLS], GC_HEADER + sizeof(Handle), CZ_SLAB_BYTES, engine);
    cz_pool_open(&engine->records, &engine->alloc.arenas[CZ_RECORDS], sizeof(More), CZ_SMALL_SLAB_BYTES, engine);
    if ((engine->outside = cz_metrics_borrow(&engine->metrics)) == NULL) {
        PyErr_NoMemory();
        Py_DECREF(self);
        return NULL;
    }
    if ((self->queue = part_new(cz.queue, self)) == NULL || (self->workers = part_new(cz.workers, self)) == NULL ||
        (self->allocator = part_new(cz.allocator, self)) == NULL ||
        (self->metrics = part_new(cz.metrics, self)) == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int engine_traverse(PyObject *self, visitproc visit, void *arg)
{
    EngineObject *object = (EngineObject *)self;
    Engine *engine = object->engine;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(object->queue);
    Py_VISIT(object->workers);
    Py_VISIT(object->allocator);
    Py_VISIT(object->metrics);
    if (engine == NULL)
        return 0;
    Py_VISIT(engine->config);
    Py_VISIT(engine->spawn);
    Py_VISIT(engine->wake);
    Py_VISIT(engine->make_ext);
    Py_VISIT(engine->critical_waiting);
    Py_VISIT(engine->unretrieved);
    Py_VISIT(engine->fault);
    Py_VISIT(engine->space);
    Py_VISIT(engine->backlog);
    for (int i = 0; i < PLANS; i++)
        Py_VISIT(engine->plans[i]);
    return 0;
}

static void clear_engine(Engine *engine)
{
    Py_CLEAR(engine->config);
    Py_CLEAR(engine->spawn);
    Py_CLEAR(engine->wake);
    Py_CLEAR(engine->make_ext);
    Py_CLEAR(engine->critical_waiting);
    Py_CLEAR(engine->unretrieved);
    Py_CLEAR(engine->fault);
    Py_CLEAR(engine->backlog);
    for (int i = 0; i < PLANS; i++)
        Py_CLEAR(engine->plans[i]);
}

static int engine_clear(PyObject *self)
{
    EngineObject *object = (EngineObject *)self;
    object->engine->closed = true; /* what a finalizer still submits goes to policy */
    Py_CLEAR(object->queue);
    Py_CLEAR(object->workers);
    Py_CLEAR(object->allocator);
    Py_CLEAR(object->metrics);
    clear_engine(object->engine);
    return 0;
}

static void engine_dealloc(PyObject *self)
{
    EngineObject *object = (EngineObject *)self;
    Engine *engine = object->engine;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    engine_clear(self);
    cz_cell_t *cell;
    for (unsigned lane = 0; lane < CZ_LANES; lane++) {
        queue_drop(cz_express_sweep(&engine->express[lane], true));
        queue_drop(cz_queue_clear(&engine->queue, lane));
    }
    express_reap(engine);
    for (unsigned lane = 0; lane < CZ_LANES; lane++)
        cz_express_close(&engine->express[lane]);
    if (engine->timer.arena != NULL) {
        while ((cell = cz_timer_sweep(&engine->timer, 0, true)) != NULL)
            Py_DECREF(handle_of(cell));
        cz_timer_close(&engine->timer);
    }
    Py_CLEAR(engine->space);
    if (engine->metrics.arena != NULL)
        cz_metrics_close(&engine->metrics);
    cz_gate_close(&engine->gate);
    engine->object = NULL;
    engine_released(engine);
    type->tp_free(self);
    Py_DECREF(type);
}

static int lose_running(cz_seat_t *seat, PyObject *error, PyObject *lost)
{
    Frame here = {seat->frames, seat->running};
    for (Frame *frame = &here; frame != NULL; frame = frame->outer) {
        Handle *handle = frame->handle;
        if (handle == NULL || (cz_word_load(&handle->cell.word) & CZ_STATE) != CZ_RUNNING)
            continue;
        Py_INCREF(handle);
        int result =
            handle_fail(handle, CZ_CANCELLED, Py_NewRef(error), 0, NULL) ? PyList_Append(lost, (PyObject *)handle) : 0;
        Py_DECREF(handle);
        if (result < 0)
            return -1;
    }
    return 0;
}

/* After a fork, in the child. */
static PyObject *engine_abandon(PyObject *self, PyObject *error)
{
    Engine *engine = ((EngineObject *)self)->engine;
    if (!PyExceptionInstance_Check(error))
        return PyErr_Format(PyExc_TypeError, "abandon() takes an exception, not %R", error);
    express_after_fork(engine);
    PyObject *waiting = queue_pending(engine), *lost = PyList_New(0);
    bool failed = waiting == NULL || lost == NULL;
    for (Py_ssize_t i = 0; !failed && i < PyList_GET_SIZE(waiting); i++) {
        PyObject *handle = PyList_GET_ITEM(waiting, i);
        PyObject *won = PyObject_CallMethod(handle, "withdraw", "O", error);
        failed = won == NULL || (won == Py_True && PyList_Append(lost, handle) < 0);
        Py_XDECREF(won);
    }
    for (cz_seat_t *seat = engine->gate.seats; !failed && seat != NULL; seat = seat->next)
        failed = lose_running(seat, error, lost) < 0;
    for (cz_seat_t *seat = engine->visitors; !failed && seat != NULL; seat = seat->next)
        failed = lose_running(seat, error, lost) < 0;
    if (failed)
        Py_CLEAR(lost);
    Py_XDECREF(waiting);
    if (!failed)
        express_loud_after_fork(engine);
    return lost;
}

static PyMethodDef engine_methods[] = {
    {"abandon", engine_abandon, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef engine_members[] = {
    {"queue", T_OBJECT, offsetof(EngineObject, queue), READONLY, NULL},
    {"workers", T_OBJECT, offsetof(EngineObject, workers), READONLY, NULL},
    {"allocator", T_OBJECT, offsetof(EngineObject, allocator), READONLY, NULL},
    {"metrics", T_OBJECT, offsetof(EngineObject, metrics), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot engine_slots[] = {
    {Py_tp_new, engine_new},
    {Py_tp_traverse, engine_traverse},
    {Py_tp_clear, engine_clear},
    {Py_tp_dealloc, engine_dealloc},
    {Py_tp_methods, engine_methods},
    {Py_tp_members, engine_members},
    {0, NULL},
};

PyType_Spec engine_spec = {
    .name = "catzilla.backends.c._native.Engine",
    .basicsize = sizeof(EngineObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = engine_slots,
};
