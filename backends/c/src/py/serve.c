/* The loop of a worker thread.
 *
 * It holds the GIL from one task to the next: whoever gives it up politely after each one starves the
 * main thread (a release and a request cost more than a short task). A task that enters the interpreter's
 * loop lets others have the GIL when they ask; after some that do not, a trivial Python call does.
 */
#define _GNU_SOURCE
#include "express.h"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CALLS 48       /* of C functions, between two safepoints */
#define SPIN_NS 50000  /* that an idle worker listens before it sleeps */
#define COMING_NS 2000 /* from a submit until its thread waits for the task, if it is going to at once */

static _Thread_local Here *here;

void here_enter(Here *new, Engine *engine, cz_seat_t *seat)
{
    new->engine = engine;
    new->seat = seat;
    new->outer = here;
    here = new;
    seat->native_id = (int64_t)syscall(SYS_gettid);
}

void here_leave(Here *old)
{
    here = old->outer;
}

bool here_works(void)
{
    return here != NULL;
}

cz_seat_t *here_seat(Engine *engine)
{
    for (Here *at = here; at != NULL; at = at->outer)
        if (at->engine == engine)
            return at->seat;
    return NULL;
}

static inline bool must_leave(Engine *engine, cz_seat_t *seat)
{
    return seat->retired || seat->lost || cz_flag_read(&engine->gate.stopped);
}

static bool anything(Engine *engine)
{
    return cz_queue_any(&engine->queue) || express_any(engine);
}

static void rest(cz_seat_t *seat)
{
    if (seat->busy_since_ns != 0)
        seat->busy_ns += cz_now_ns() - seat->busy_since_ns;
    seat->busy_since_ns = 0;
}

/* Who called holds the GIL still, and lets it go in a moment if it waits for its task next: asking before
 * that means to sleep and be woken. */
static void let_wait(cz_gate_t *gate)
{
    int64_t end_ns = cz_now_ns() + COMING_NS;
    while (cz_flag_read(&gate->waiters) == 0 && cz_now_ns() < end_ns)
        sched_yield();
}

/* How late the kernel may be with this thread's timers. Waiting for the GIL is one: CPython asks its holder
 * when it runs out. Threads that do so at exact intervals fall in step, and leave a main thread with the
 * usual slack hardly a turn: only a CRITICAL task is worth it. */
enum { USUAL = 0, EXACT_NS = 1 };

static void timer_slack(unsigned long slack)
{
    prctl(PR_SET_TIMERSLACK, slack, 0, 0, 0);
}

static void sleep_here(Engine *engine, cz_seat_t *seat)
{
    cz_gate_t *gate = &engine->gate;
    bool urgent, rushed = false;
    Rush rush;
    PyThreadState *thread = PyEval_SaveThread();
    cz_gate_gave(gate, cz_seat_name(seat));
    cz_flag_add(&gate->parks, 1); /* who waits for us may take the GIL now */
    cz_seat_sleep(gate, seat, SPIN_NS);
    if (seat->slot >= 0 && express_any(engine) && cz_queue_ready(&engine->queue) == 0) {
        rushed = true;
        int64_t since_ns = cz_now_ns();
        rush_begin(&rush, engine, seat, thread);
        rush_run(&rush);
        seat->busy_ns += cz_now_ns() - since_ns;
    } else if (seat->slot >= 0) {
        let_wait(gate);
    }
    urgent = seat->slot < 0 || cz_queue_size(&engine->queue, 0) > 0;
    if (urgent)
        timer_slack(EXACT_NS);
    PyEval_RestoreThread(thread);
    if (urgent)
        timer_slack(USUAL);
    if (rushed)
        rush_end(&rush);
}

/* Sleep until called. false: there was something to do after all. */
static bool park(Engine *engine, cz_seat_t *seat)
{
    rest(seat);
    cz_seat_listen(seat);
    cz_gate_park(&engine->gate, seat, true);
    if ((must_leave(engine, seat) || anything(engine)) && cz_gate_unpark(&engine->gate, seat)) {
        seat->busy_since_ns = cz_now_ns();
        return false;
    }
    sleep_here(engine, seat);
    seat->busy_since_ns = cz_now_ns();
    return true;
}

static void arrived(Engine *engine, bool critical, bool more)
{
    if (critical || more)
        queue_offer(engine, critical ? 0 : 1);
}

static void started(Engine *engine, Handle *handle)
{
    if (lane_of(handle) == 0 && engine->critical_waiting != NULL)
        tell_int(engine, engine->critical_waiting, -1);
    if (engine->space != NULL && PyList_GET_SIZE(engine->space) > 0)
        queue_freed(engine, lane_of(handle));
}

static void safepoint(void)
{
    PyObject *result = PyObject_CallNoArgs(cz.safepoint);
    if (result == NULL)
        PyErr_Clear();
    Py_XDECREF(result);
}

/* Nothing has to be done around the call: no context, runner, clock or keyword. */
static int run_plain(Engine *engine, cz_seat_t *seat, Handle *handle)
{
    PyObject *fn = handle->view->fn, *args = handle->payload, *value;
    uint32_t word = cz_word_load(&handle->cell.word), was;
    handle->payload = NULL; /* ours: an end from outside must not take it away from the call */
    bool kernel = handle->view->kernel != NULL;
    Py_ssize_t count;
    PyObject *const *items = args_items(&args, word, &count);
    if (kernel)
        value = kernel_call(engine, seat, handle, items, count);
    else
        value = PyObject_Vectorcall(fn, items, (size_t)count, NULL);
    int result = GO_ON;
    if (value == NULL) {
        if (!handle_fail(handle, CZ_FAILED, take_exception(), 0, seat->tally))
            result = LEAVE;
    } else if (kernel && value == cz.detached) {
        Py_DECREF(value); /* its kernel was stopped */
    } else if ((cz_word_load(&handle->cell.word) & CZ_STATE) != CZ_RUNNING) {
        Py_DECREF(value);
        result = LEAVE; /* abandoned by a shutdown */
    } else {
        handle->payload = value;
        handle_track(handle, value);
        cz_count_publish(&seat->tally->completed, cz_count_read(&seat->tally->completed) + 1);
        cz_cell_settle(&handle->cell, CZ_COMPLETED, &was, true);
        if (was & (CZ_WAITED | CZ_CALLBACKS) || handle->more != 0)
            handle_released(handle, was, CZ_COMPLETED);
    }
    Py_XDECREF(args);
    return result;
}

/* What a task set in the context must not reach the next one. */
static PyObject *fresh_context(PyObject *old)
{
    PyObject *context = PyContext_New();
    if (context == NULL || PyContext_Exit(old) < 0 || PyContext_Enter(context) < 0) {
        PyErr_Clear();
        Py_XDECREF(context);
        return old;
    }
    Py_DECREF(old);
    return context;
}

/* The tasks behind this one lie where another thread wrote them: their lines are on their way while it runs. */
static inline void look_ahead(cz_lane_t *lane)
{
    cz_cell_t *next = lane->head;
    if (next == NULL)
        return;
    __builtin_prefetch(handle_of(next)->payload);
    if (next->next != NULL) {
        __builtin_prefetch(handle_of(next->next), 1);
        __builtin_prefetch((char *)handle_of(next->next) + sizeof(Handle) - 1, 1);
    }
}

static PyObject *serve_worker(Engine *engine, cz_seat_t *seat, PyObject *context)
{
    cz_queue_t *queue = &engine->queue;
    unsigned picks = 0, runs = 0, calls = 0, sample = engine->profiling ? SAMPLE : 0;
    bool fresh = true; /* just called: with its task in hand it calls the next worker if there is more */
    cz_cell_t *dead = NULL;
    cz_flag_write(&engine->gate.waking, 0);
    seat->busy_since_ns = cz_now_ns();
    for (;;) {
        if (must_leave(engine, seat))
            return context;
        if (express_serve(engine, seat))
            continue;
        cz_cell_t *cell = cz_queue_pop(queue, &picks, &dead);
        if (dead != NULL) {
            queue_drop(dead);
            dead = NULL;
        }
        if (cell == NULL) {
            if (!anything(engine) && park(engine, seat)) {
                cz_flag_write(&engine->gate.waking, 0);
                fresh = true;
            }
            continue;
        }
        Handle *handle = handle_of(cell);
        look_ahead(&queue->lanes[lane_of(handle)]);
        cell->slot = seat->slot;
        seat->running = handle;
        started(engine, handle);
        if (fresh) {
            fresh = false;
            arrived(engine, queue->lanes[0].head != NULL, anything(engine));
        }
        runs++;
        PlanView *view = handle->view;
        plan_refresh(engine, view);
        if (view->kernel == NULL)
            cz_gate_gave(&engine->gate, cz_seat_name(seat)); /* Python may keep the GIL for long */
        bool sampled = sample != 0 && runs % sample == 0;
        int result;
        if (handle->more != 0 || (view->runner != NULL && view->kernel == NULL) || view->timed || sampled)
            result = run_task(engine, seat, handle, false, view->timed ? 1 : sampled ? SAMPLE : 0);
        else
            result = run_plain(engine, seat, handle);
        if (PyMapping_Size(context) > 0)
            context = fresh_context(context);
        if ((!view->evaluates || view->kernel != NULL) && ++calls % CALLS == 0)
            safepoint();
        seat->running = NULL;
        Py_DECREF(handle);
        if (result == LEAVE)
            return context;
    }
}

static int take_critical(Engine *engine, cz_seat_t *seat)
{
    cz_cell_t *dead = NULL, *cell = cz_queue_pop_lane(&engine->queue, 0, &dead);
    queue_drop(dead);
    if (cell == NULL)
        return GO_ON;
    Handle *handle = handle_of(cell);
    if (engine->critical_waiting != NULL)
        tell_int(engine, engine->critical_waiting, -1);
    seat->busy_since_ns = cz_now_ns();
    arrived(engine, engine->queue.lanes[0].head != NULL, false);
    int result = run_claimed(engine, seat, handle);
    rest(seat);
    Py_DECREF(handle);
    return result;
}

static bool critical_waits(Engine *engine)
{
    return engine->queue.lanes[0].head != NULL && !(cz_flag_read(&engine->queue.paused) & 1u);
}

/* A reserve takes CRITICAL only, when it is called because nobody else was free. */
static void serve_reserve(Engine *engine, cz_seat_t *seat)
{
    bool called = seat->called; /* else it was started to be there in time, and waits for its call */
    seat->called = false;
    for (;;) {
        if (!called)
            sleep_here(engine, seat);
        called = false;
        while (critical_waits(engine))
            if (must_leave(engine, seat) || take_critical(engine, seat) == LEAVE)
                return;
        if (must_leave(engine, seat))
            return;
        cz_seat_listen(seat);
        cz_gate_park(&engine->gate, seat, true);
        if (critical_waits(engine) && cz_gate_unpark(&engine->gate, seat))
            called = true;
    }
}

static void leave(Engine *engine, cz_seat_t *seat)
{
    cz_gate_t *gate = &engine->gate;
    rest(seat);
    cz_gate_gave(gate, cz_seat_name(seat));
    seat->native_id = 0;
    seat->running = NULL;
    if (seat->lost) {
        cz_gate_free(gate, seat);
    } else {
        seat->started = seat->called = false;
        cz_seat_listen(seat);
        if (!seat->retired && !cz_flag_read(&gate->stopped) && !seat->parked)
            cz_gate_park(gate, seat, false); /* wanted again while it was leaving */
    }
    if (!cz_flag_read(&gate->stopped) && !cz_flag_read(&gate->waking) && anything(engine))
        gate_wake(engine); /* it may have been called for a task that it does not take */
}

void serve(Engine *engine, cz_seat_t *seat)
{
    Here me;
    seat->started = true;
    here_enter(&me, engine, seat);
    if (seat->slot < 0) {
        serve_reserve(engine, seat);
    } else {
        PyObject *context = PyContext_New();
        if (context != NULL && PyContext_Enter(context) == 0) {
            context = serve_worker(engine, seat, context);
            if (PyContext_Exit(context) < 0)
                PyErr_Clear();
        }
        Py_XDECREF(context);
        if (PyErr_Occurred())
            report_fault(engine);
    }
    here_leave(&me);
    leave(engine, seat);
}
