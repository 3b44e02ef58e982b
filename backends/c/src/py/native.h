/* What the files of the CPython binding share. They are the only users of Python.h.
 *
 * Everything here is done with the GIL held: the core runs in `exclusive` mode, and the GIL is what
 * excludes. So no list is touched in two halves with a call of Python code in between: such a call may
 * hand the GIL to another thread, or come back here (a signal handler, a finalizer).
 */
#ifndef CATZILLA_NATIVE_H
#define CATZILLA_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include "catzilla/clock.h"
#include "catzilla/express.h"
#include "catzilla/pool.h"
#include "catzilla/queue.h"
#include "catzilla/ticks.h"
#include "catzilla/timer.h"
#include "catzilla/workers.h"

#define GC_HEADER 16 /* bytes before an object that the collector knows; checked when the module is loaded */
#define HOT_NS 5000  /* a plan whose runs are shorter is timed once in SAMPLE runs: clocks would cost more than it */
#define SAMPLE 64
#define VISITOR (-1000000)  /* the slot of a thread that is no worker */
#define PROMISED (-2000000) /* the "slot" of a promise */
#define PLANS 64            /* of each engine, remembered */

typedef struct KernelCall KernelCall; /* kernel.c */

/* interface.Plan, read once: its attributes cost more than a submit. */
typedef struct {
    PyObject_HEAD PyObject *plan, *fn;
    PyObject *runner;       /* NULL: plain */
    KernelCall *kernel;     /* NULL: none that is called here */
    _Atomic int64_t seen;   /* of Engine.published, when runner and kernel were read */
    Py_ssize_t least, most; /* arguments; nothing fits when the arity is not known */
    unsigned lane;
    bool timed;
    bool express;   /* the kernel is a short one, and the lane not CRITICAL's, whose waiting tasks are told to policy */
    bool evaluates; /* calling fn enters the interpreter's loop, which lets other threads have the GIL */
} PlanView;

/* A run inside another one, on the stack of its thread. */
typedef struct Frame {
    struct Frame *outer;
    struct Handle *handle; /* the one that waits */
} Frame;

typedef struct Engine {
    cz_queue_t queue;
    cz_express_t express[CZ_LANES]; /* of tasks that need no GIL to run; the first stays empty */
    _Atomic(cz_cell_t *) done;      /* of these, whose lane's reference is to be dropped */
    _Atomic(cz_cell_t *) loud;      /* done, with callbacks */
    _Atomic(cz_cell_t *) left;      /* RUNNING, to be run with the GIL */
    _Atomic uint32_t rushing;       /* workers that serve them without the GIL */
    _Atomic uint32_t wanted;        /* somebody may wait for the room that they make */
    unsigned passed_over;           /* how often other tasks went first */
    cz_timer_t timer;
    cz_pool_t pool; /* of cells */
    cz_metrics_t metrics;
    cz_alloc_t alloc;
    cz_ticks_t ticks;
    cz_gate_t gate;
    PyObject *object; /* the Engine that Python knows; NULL when it is gone and only handles are left */
    PyObject *config, *spawn, *wake, *make_ext, *critical_waiting, *unretrieved, *fault;
    PyObject *space;   /* list of (lane, fn): who waits for room */
    PyObject *backlog; /* NULL: nobody asked */
    cz_tally_t *outside;
    PlanView *plans[PLANS];
    cz_seat_t *visitors;       /* by next */
    _Atomic int64_t published; /* how often policy said that a plan has changed */
    bool closed;
    bool profiling, full; /* sampled, or each task timed */
    cz_pool_t records;    /* of More: not from the heap, which keeps the part that a worker's thread made larger */
} Engine;

/* interface.Ext, and what only some tasks need. */
typedef struct {
    PyObject *ext;
    PyObject *callbacks; /* list, while CZ_CALLBACKS */
    PyObject *traceback; /* of a failure, as it was when the task ended */
    int64_t started_ns, ended_ns;
} More;

typedef struct Handle {
    PyObject_HEAD cz_cell_t cell;
    PlanView *view;
    PyObject *payload; /* arguments until it starts (NULL: none; CZ_ONE_ARG: the one; else Args or a tuple), then the
                          outcome */
    uintptr_t more;    /* 0, an Ext, or a More with the lowest bit set */
} Handle;

/* Two and more arguments of a call: args.c. */
typedef struct {
    PyObject_VAR_HEAD PyObject *items[];
} Args;

typedef struct {
    PyTypeObject *args, *caller, *handle, *plan, *engine, *queue, *workers, *allocator, *metrics, *submitter, *view;
    PyTypeObject *partial;                                /* functools.partial */
    PyObject *again, *detached, *condemned, *interrupted; /* catzilla.interface and .errors */
    PyObject *safepoint, *empty;
    PyObject *s_context, *s_kwargs, *s_on_settled, *s_failed, *s_wait, *s_due_ns, *s_timed, *s_tb_next;
    PyObject *s_fn, *s_lane, *s_arity, *s_runner, *s_kernel, *s_cancel_requested, *s_attempt, *s_condemned;
    PyObject *s_func, *s_args, *s_keywords;
} Natives;

extern Natives cz; /* one interpreter: Catzilla refuses to run in another */

static inline Handle *handle_of(cz_cell_t *cell)
{
    return (Handle *)((char *)cell - offsetof(Handle, cell));
}
static inline Engine *engine_of(Handle *handle)
{
    return cz_slab_of(handle, CZ_SLAB_BYTES)->pool->owner;
}
static inline unsigned lane_of(Handle *handle)
{
    return handle->view->lane;
}

/* -- plan.c */
extern PyType_Spec plan_spec;
PlanView *plan_view(Engine *engine, PyObject *plan, bool keep); /* new reference */
void plan_reread(Engine *engine, PlanView *view);
static inline void plan_refresh(Engine *engine, PlanView *view)
{
    if (cz_count_read(&view->seen) != cz_count_read(&engine->published))
        plan_reread(engine, view);
}

/* -- kernel.c */
int kernel_read(PlanView *view, PyObject *kernel); /* replaces the view's; None: it has none any more */
void kernel_drop(KernelCall *kernel);
int kernel_visit(KernelCall *kernel, visitproc visit, void *arg);
/* The function's value, as C or, where that will not do, as Python; Natives.detached: it is settled. */
PyObject *kernel_call(Engine *engine, cz_seat_t *seat, Handle *handle, PyObject *const *args, Py_ssize_t count);

/* -- caller.c */
extern PyType_Spec caller_spec;
PyObject *caller_new(PyObject *kernel);

/* -- compute.c */
void compute_stop(cz_seat_t *seat, Handle *handle); /* the kernel that computes there for the handle; NULL: for any */
PyObject *compute_handle(cz_seat_t *seat);          /* borrowed; NULL: no kernel computes there */

/* -- args.c */
extern PyType_Spec args_spec;
PyObject *args_new(PyObject *const *items, Py_ssize_t count);
/* What a payload that holds arguments points to; *payload is the caller's variable, for the one of CZ_ONE_ARG. */
static inline PyObject *const *args_items(PyObject *const *payload, uint32_t word, Py_ssize_t *count)
{
    if (*payload == NULL || word & CZ_ONE_ARG) {
        *count = *payload != NULL;
        return payload;
    }
    *count = Py_SIZE(*payload);
    return Py_IS_TYPE(*payload, cz.args) ? ((Args *)*payload)->items : &PyTuple_GET_ITEM(*payload, 0);
}

/* -- bound.c */
typedef struct {
    PyObject *fn;           /* NULL: the callable is none of the two */
    PyObject *held;         /* the first argument, or the tuple of them */
    PyObject *const *items; /* the first arguments: points into held, or to it */
    Py_ssize_t count;
} Bound;
int bound_open(PyObject *callable, Bound *bound); /* -1: an error is set, and there is nothing to close */
void bound_close(Bound *bound);

/* -- handle.c */
extern PyType_Spec handle_spec;
/* Two references: one for the caller, one for the lane or timer. Steals payload and ext; NULL: MemoryError. */
Handle *handle_new(Engine *engine, PlanView *view, PyObject *payload, PyObject *ext, uint32_t word, int64_t ready_ns);
PyObject *handle_ext(Handle *handle); /* borrowed, or NULL */
More *handle_more(Handle *handle);    /* made if need be; NULL: MemoryError */
More *handle_more_if(Handle *handle);
PyObject *handle_take_args(Handle *handle); /* the payload as a tuple; NULL: MemoryError, and it is gone */
/* The word is final. Waiters, callbacks, and what policy wants to know. */
void handle_released(Handle *handle, uint32_t was, uint32_t state);
/* An end with an exception, counted and published. Steals error; false: somebody else ended it. */
bool handle_fail(Handle *handle, uint32_t state, PyObject *error, int skip_frames, cz_tally_t *tally);
/* The outcome's side of a claim that was won: store, count, release. Steals error. */
void handle_store_failure(Handle *handle, PyObject *error, int skip_frames);
void engine_released(Engine *engine); /* frees it when nobody is left */
static inline void handle_track(Handle *handle, PyObject *value)
{
    /* Also for a handle that is not tracked itself: a chain of results is freed in turn only where it is tracked. */
    if (PyObject_IS_GC(value) && (PyObject_GC_IsTracked(value) || Py_IS_TYPE(value, cz.handle)) &&
        !PyObject_GC_IsTracked((PyObject *)handle))
        PyObject_GC_Track(handle);
}

/* -- values.c: a payload that is no object (CZ_VALUES), by a thread with the GIL that has the task to itself */
void handle_drop_values(Handle *handle);
int handle_open_values(Handle *handle); /* into arguments; -1: MemoryError */
PyObject *handle_box(Handle *handle);   /* a value, which is the payload from now on; NULL: MemoryError */
/* The value of a task that is COMPLETED; NULL: MemoryError. */
static inline PyObject *handle_value(Handle *handle)
{
    return cz_word_load(&handle->cell.word) & CZ_VALUES ? handle_box(handle) : Py_NewRef(handle->payload);
}

/* -- express.c */
bool express_any(Engine *engine);  /* in a lane that is not paused */
void express_reap(Engine *engine); /* references of cells that are done */
void express_after_fork(Engine *engine);
void express_loud_after_fork(Engine *engine);
/* A positional call of a short kernel's task becomes a handle that is served without the GIL. NULL, without an
 * error: it is one like any other. */
Handle *express_submit(Engine *engine, PlanView *view, PyObject *const *args, Py_ssize_t count);
static inline bool express_may_take(Engine *engine, PlanView *view)
{
    return view->express && cz_count_read(&view->seen) == cz_count_read(&engine->published) && !view->timed;
}

/* -- queue.c */
extern PyType_Spec queue_spec;
/* cz_queue_admit, cz_queue_claim and cz_queue_size, of both kinds of lanes. */
bool queue_admit(Engine *engine, unsigned lane, int64_t n, bool force);
bool queue_claim(Engine *engine, Handle *handle, uint32_t state, uint32_t *was);
int64_t queue_size(Engine *engine, unsigned lane);
int64_t queue_ready_count(Engine *engine);
void queue_sweep(Engine *engine, unsigned lane, bool few);
void queue_drop(cz_cell_t *chain); /* references of cells that a lane let go */
void queue_freed(Engine *engine, unsigned lane);
void queue_offer(Engine *engine, unsigned lane);
int queue_requeue(Engine *engine, Handle *handle, PyObject *args, int64_t due_ns);
PyObject *queue_pending(Engine *engine);

/* -- submitter.c */
extern PyType_Spec submitter_spec;
PyObject *submitter_new(PyObject *owner, Engine *engine, PyObject *plans, PyObject *fallback);

/* -- watch.c */
enum { WATCH_PLANS, WATCH_GLOBALS, WATCHES };
bool dict_watch(int what, PyObject *dict); /* false: its version says nothing */
uint64_t dict_version(int what, PyObject *dict);

/* -- gate.c */
void gate_wake(Engine *engine);
void gate_busy(Engine *engine, unsigned lane);
void gate_call(Engine *engine, cz_seat_t *seat);
void gate_start_ahead(Engine *engine, cz_seat_t *seat);

/* -- run.c */
enum { GO_ON, LEAVE };
/* A task that this thread has claimed; LEAVE: the thread has lost it, and must serve no more. */
int run_task(Engine *engine, cz_seat_t *seat, Handle *handle, bool own_context, int64_t weight);
int run_claimed(Engine *engine, cz_seat_t *seat, Handle *handle); /* inside whatever the thread runs already */

/* -- serve.c */
void serve(Engine *engine, cz_seat_t *seat);
/* Where the calling thread sits, in which engines; on its stack. */
typedef struct Here {
    Engine *engine;
    cz_seat_t *seat;
    struct Here *outer;
} Here;
void here_enter(Here *here, Engine *engine, cz_seat_t *seat);
void here_leave(Here *here);
cz_seat_t *here_seat(Engine *engine); /* NULL: the thread runs no task of this engine */
bool here_works(void);                /* the thread runs a task of some engine */

/* -- workers.c */
extern PyType_Spec workers_spec;
extern PyStructSequence_Desc view_desc;

/* -- metrics.c, allocator.c, engine.c */
extern PyType_Spec metrics_spec, allocator_spec, engine_spec;

/* The four parts are small objects with a reference to the Engine. */
typedef struct {
    PyObject_HEAD PyObject *owner;
    Engine *engine;
} Part;

int part_traverse(PyObject *self, visitproc visit, void *arg);
int part_clear(PyObject *self);
void part_dealloc(PyObject *self);

/* Call policy's fn; what it raises is reported, and never ours to raise. */
void tell(Engine *engine, PyObject *fn, PyObject *argument); /* argument NULL: none */
void tell_int(Engine *engine, PyObject *fn, long argument);
void report_fault(Engine *engine);   /* the exception that is set */
PyObject *take_exception(void);      /* the one that is set, with its traceback */
void put_exception(PyObject *error); /* steals */

#endif
