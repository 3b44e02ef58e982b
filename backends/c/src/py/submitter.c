/* The native add_task: a positional call of a known plan, on a lane with room, becomes a handle here.
 * Everything else goes to policy's fallback as it came. */
#include "native.h"

#define MOST_BOUND 16 /* the function and the arguments of a bound call; one with more goes to policy */

typedef struct {
    PyObject_HEAD vectorcallfunc call;
    Engine *engine;
    PyObject *owner, *plans, *fallback;
    PyObject *last_fn; /* held: what was looked up may be equal to a key and not the key */
    PlanView *last_view;
    bool watched;
    uint64_t version; /* of plans, when last_fn was looked up: that costs more than queueing its task */
} Submitter;

/* A copy of the caller's context if anything is set in it; *context NULL: it is empty, as most are. */
static int current_context(PyObject **context)
{
    *context = NULL;
#if PY_VERSION_HEX < 0x030F0000 /* read where it stands: copying just to look costs as much as all the rest */
    PyObject *own = PyThreadState_Get()->context;
    if (own == NULL || PyContext_Type.tp_as_mapping->mp_length(own) == 0)
        return 0;
#endif
    PyObject *copy = PyContext_CopyCurrent();
    if (copy == NULL)
        return -1;
    if (PyMapping_Size(copy) == 0)
        Py_DECREF(copy);
    else
        *context = copy;
    return 0;
}

static PyObject *with_ext(Engine *engine, PyObject *context)
{
    PyObject *ext = PyObject_CallFunctionObjArgs(engine->make_ext, context, Py_None, NULL);
    Py_DECREF(context);
    return ext;
}

static PlanView *find_plan(Submitter *self, PyObject *fn)
{
    if (fn == self->last_fn && self->version == dict_version(WATCH_PLANS, self->plans))
        return (PlanView *)Py_NewRef(self->last_view);
    uint64_t seen = dict_version(
        WATCH_PLANS, self->plans); /* before: what follows may run the collector, and that change the plans */
    PyObject *plan = Py_XNewRef(PyDict_GetItemWithError(self->plans, fn));
    if (plan == NULL) {
        if (PyErr_ExceptionMatches(PyExc_TypeError))
            PyErr_Clear(); /* not hashable */
        return NULL;
    }
    PlanView *view = self->engine->plans[((uintptr_t)plan >> 4) % PLANS];
    if (view != NULL && view->plan == plan)
        Py_INCREF(view);
    else
        view = plan_view(self->engine, plan, true);
    Py_DECREF(plan);
    if (view != NULL && self->watched) {
        PyObject *old_fn = self->last_fn;
        PlanView *old_view = self->last_view;
        self->last_fn = Py_NewRef(fn);
        self->last_view = (PlanView *)Py_NewRef(view);
        self->version = seen;
        Py_XDECREF(old_fn); /* at last: its finalizer may submit, and come here */
        Py_XDECREF(old_view);
    }
    return view;
}

/* args[0] is what has a plan. NULL without an error: policy is to be asked. */
static inline PyObject *accept(Submitter *self, PyObject *const *args, Py_ssize_t count)
{
    Engine *engine = self->engine;
    PyObject *payload, *context, *ext = NULL;
    PlanView *view = find_plan(self, args[0]);
    if (view == NULL)
        return NULL;
    if (count < view->least || count > view->most) {
        Py_DECREF(view);
        return NULL;
    }
    if (current_context(&context) < 0 || (context != NULL && (ext = with_ext(engine, context)) == NULL)) {
        Py_DECREF(view);
        return NULL;
    }
    if (context == NULL && express_may_take(engine, view)) {
        Handle *handle = express_submit(engine, view, args + 1, count);
        if (handle != NULL || PyErr_Occurred()) {
            Py_DECREF(view);
            return (PyObject *)handle;
        }
    }
    payload = NULL;
    if (count == 1) {
        payload = Py_NewRef(args[1]);
    } else if (count > 1) {
        payload = args_new(args + 1, count);
        if (payload == NULL) {
            Py_XDECREF(ext);
            Py_DECREF(view);
            return NULL;
        }
    }
    unsigned lane = view->lane;
    bool counted = lane == 0 && engine->critical_waiting != NULL;
    if (counted)
        tell_int(engine, engine->critical_waiting, 1);
    /* Looked at again: what ran since may have let others have the GIL, and a shutdown looks through the lanes once. */
    if (engine->closed || !queue_admit(engine, lane, 1, false)) {
        if (counted)
            tell_int(engine, engine->critical_waiting, -1);
        Py_XDECREF(ext);
        Py_XDECREF(payload);
        Py_DECREF(view);
        return NULL;
    }
    Handle *handle = handle_new(engine, view, payload, ext, CZ_PENDING | CZ_LINKED | (count == 1 ? CZ_ONE_ARG : 0),
                                cz_ticks_ns(&engine->ticks));
    Py_DECREF(view);
    if (handle == NULL) {
        cz_queue_readmit(&engine->queue, lane, 1);
        PyObject *pending = take_exception();
        if (counted)
            tell_int(engine, engine->critical_waiting, -1);
        put_exception(pending);
        return NULL;
    }
    cz_metrics_add(&engine->metrics, CZ_SUBMITTED, 1);
    cz_queue_push(&engine->queue, lane, &handle->cell, &handle->cell);
    if (!cz_flag_read(&engine->gate.waking)) {
        if (cz_flag_read(&engine->gate.idle.count))
            gate_wake(engine);
        else if (lane == 0 || engine->backlog != NULL)
            gate_busy(engine, lane);
    }
    return (PyObject *)handle;
}

/* A bound method or a partial, as accept(): its function with what is bound before the arguments. */
__attribute__((noinline)) static PyObject *accept_bound(Submitter *self, PyObject *const *args, Py_ssize_t count)
{
    Bound bound;
    PyObject *call[MOST_BOUND], *handle = NULL;
    if (bound_open(args[0], &bound) < 0)
        return NULL;
    if (bound.fn != NULL && 1 + bound.count + count <= MOST_BOUND) {
        call[0] = bound.fn;
        memcpy(call + 1, bound.items, (size_t)bound.count * sizeof *call);
        memcpy(call + 1 + bound.count, args + 1, (size_t)count * sizeof *call);
        handle = accept(self, call, bound.count + count);
    }
    bound_close(&bound);
    return handle;
}

static PyObject *submit(PyObject *callable, PyObject *const *args, size_t flags, PyObject *names)
{
    Submitter *self = (Submitter *)callable;
    Py_ssize_t count = PyVectorcall_NARGS(flags) - 1;
    if (names == NULL && count >= 0 && !self->engine->closed) {
        bool binds = Py_IS_TYPE(args[0], &PyMethod_Type) || Py_IS_TYPE(args[0], cz.partial);
        PyObject *handle = binds ? accept_bound(self, args, count) : accept(self, args, count);
        if (handle != NULL || PyErr_Occurred())
            return handle;
    }
    return PyObject_Vectorcall(self->fallback, args, flags & ~PY_VECTORCALL_ARGUMENTS_OFFSET, names);
}

PyObject *submitter_new(PyObject *owner, Engine *engine, PyObject *plans, PyObject *fallback)
{
    Submitter *self = PyObject_GC_New(Submitter, cz.submitter);
    if (self == NULL)
        return NULL;
    self->call = submit;
    self->engine = engine;
    self->owner = Py_NewRef(owner);
    self->plans = Py_NewRef(plans);
    self->fallback = Py_NewRef(fallback);
    self->last_fn = NULL;
    self->last_view = NULL;
    self->version = 0;
    self->watched = dict_watch(WATCH_PLANS, plans);
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

static int submitter_traverse(PyObject *self, visitproc visit, void *arg)
{
    Submitter *submitter = (Submitter *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(submitter->owner);
    Py_VISIT(submitter->plans);
    Py_VISIT(submitter->fallback);
    Py_VISIT(submitter->last_fn);
    Py_VISIT(submitter->last_view);
    return 0;
}

/* Nothing is cleared: a finalizer may still call it. Its cycles have other parts that clear themselves. */
static void submitter_dealloc(PyObject *self)
{
    Submitter *submitter = (Submitter *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_XDECREF(submitter->last_fn);
    Py_XDECREF(submitter->last_view);
    Py_XDECREF(submitter->plans);
    Py_XDECREF(submitter->fallback);
    Py_XDECREF(submitter->owner);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyMemberDef submitter_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Submitter, call), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot submitter_slots[] = {
    {Py_tp_traverse, submitter_traverse},
    {Py_tp_dealloc, submitter_dealloc},
    {Py_tp_members, submitter_members},
    {Py_tp_call, PyVectorcall_Call},
    {0, NULL},
};

PyType_Spec submitter_spec = {
    .name = "catzilla.backends.c._native.Submitter",
    .basicsize = sizeof(Submitter),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = submitter_slots,
};
