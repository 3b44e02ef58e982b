/* Tasks of short compiled functions: workers run them without the GIL, while who submits them holds it.
 *
 * Such a task waits in a lane of its own (catzilla/express.h), with its arguments as numbers (values.c). It goes
 * there only when no task waits that needs the GIL: whoever came first is served first, and a worker that holds the
 * GIL for other tasks runs short kernels as it comes to them, which costs less than a hand-over.
 *
 * What a worker may look at without the GIL: the cell, its values, and of the function what its kernel depends on,
 * by address and version. The function's guards are looked at after the tasks of a batch were seen: a name that
 * changes later changes while these tasks run. What it cannot decide (a guard, a number that does not fit) is left to
 * a thread with the GIL, which queues the task as any other.
 */
#include "express.h"

#include <sched.h>

#define BATCH 64        /* cells to a turn, a few microseconds */
#define DONE 256        /* cells that are done, to the next look of who submits */
#define LISTEN_NS 50000 /* for more, before it goes back for the GIL */
/* A worker at the heels of who submits would fetch each cache line while the other one still writes to it, and both
 * would be slower than by taking turns: so it lets him have a lead, unless that takes long or somebody waits. */
#define LEAD 512 /* cells */
#define LEAD_NS 10000
#define APART 20 /* times APART_PAUSES between two looks */
#define APART_PAUSES 20

bool express_any(Engine *engine)
{
    uint32_t paused = cz_flag_read(&engine->queue.paused);
    for (unsigned lane = 1; lane < CZ_LANES; lane++)
        if (!(paused & 1u << lane) && cz_express_any(&engine->express[lane]))
            return true;
    return false;
}

static void chain(cz_cell_t **list, cz_cell_t *cell)
{
    cell->next = *list;
    *list = cell;
}

static void finish(Rush *rush, cz_cell_t *cell)
{
    if (rush->done == NULL)
        rush->done_last = cell;
    chain(&rush->done, cell);
    rush->done_count++;
}

static bool still_holds(Rush *rush, Handle *handle, KernelCall *kernel)
{
    PlanView *view = handle->view;
    if (rush->kernel == kernel && rush->view == view)
        return rush->holds;
    rush->kernel = kernel;
    rush->view = view;
    rush->holds = !rush->leaves && cz_count_read(&view->seen) == cz_count_read(&rush->engine->published) &&
                  view->kernel == kernel && kernel_held(kernel, view->fn);
    return rush->holds;
}

static int compute(Rush *rush, Handle *handle, Values *values, cz_value_t *result)
{
    KernelCall *kernel = values->kernel;
    Engine *engine = rush->engine;
    rush->rt.depth = kernel->depth;
    rush->rt.stack_bytes = kernel->stack_bytes;
    if (!engine->profiling || cz_count_read(&rush->seat->tally->native) % SAMPLE != 0)
        return kernel->call(values->slots, result, &rush->rt);
    int64_t started_ns = cz_now_ns(), waited_ns = started_ns - handle->cell.ready_ns;
    int status = kernel->call(values->slots, result, &rush->rt);
    cz_tally_observe(&engine->metrics, rush->seat->tally, cz_now_ns() - started_ns, waited_ns > 0 ? waited_ns : 0,
                     SAMPLE);
    return status;
}

/* With its lane's turn. */
static void run(Rush *rush, unsigned lane, cz_cell_t *cell)
{
    if (!cz_express_start(&rush->engine->express[lane], cell)) {
        rush->dead[rush->dead_count++] = cell;
        return;
    }
    Handle *handle = handle_of(cell);
    Values *values = (Values *)handle->payload;
    cz_value_t result;
    cz_tally_t *tally = rush->seat->tally;
    if (!still_holds(rush, handle, values->kernel) || compute(rush, handle, values, &result) != CZ_OK) {
        cz_list_push(&rush->engine->left, cell, cell);
        return;
    }
    rush->started[lane]++;
    rush->freed = true;
    values->slots[0] = result;
    cell->slot = rush->seat->slot;
    cz_count_add(values->kernel->runs, 1);
    cz_count_publish(&tally->native, cz_count_read(&tally->native) + 1);
    cz_count_publish(&tally->completed, cz_count_read(&tally->completed) + 1);
    uint32_t was = cz_express_complete(cell);
    if (was & CZ_WAITED)
        cz_wake_word(&cell->word);
    if (was & CZ_CALLBACKS)
        cz_list_push(&rush->engine->loud, cell, cell);
    else
        finish(rush, cell);
}

/* How many were passed. sees: also of those that came since the last look. */
static uint32_t batch(Rush *rush, unsigned lane, bool sees)
{
    cz_express_t *express = &rush->engine->express[lane];
    cz_cell_t **cells;
    if (!cz_express_any(express) || !cz_express_try(express))
        return 0;
    if (sees)
        cz_express_see(express);
    uint32_t count = cz_express_look(express, &cells, BATCH);
    rush->kernel = NULL; /* the guards are looked at again */
    for (uint32_t i = 0; i < count; i++) {
        if (i + 4 < count && cells[i + 4] != NULL)
            __builtin_prefetch(handle_of(cells[i + 4]), 1);
        if (i + 2 < count && cells[i + 2] != NULL)
            __builtin_prefetch(handle_of(cells[i + 2])->payload, 1);
        if (cells[i] != NULL)
            run(rush, lane, cells[i]);
    }
    cz_express_pass(express, count);
    cz_express_end(express);
    return count;
}

static uint32_t best_batch(Rush *rush, bool sees)
{
    uint32_t paused = cz_flag_read(&rush->engine->queue.paused), count = 0;
    for (unsigned lane = 1; lane < CZ_LANES && count == 0; lane++)
        if (!(paused & 1u << lane))
            count = batch(rush, lane, sees);
    return count;
}

/* -- with the GIL ------------------------------------------------------------------------------ */

void rush_begin(Rush *rush, Engine *engine, cz_seat_t *seat, PyThreadState *thread)
{
    memset(rush, 0, offsetof(Rush, dead));
    rush->engine = engine;
    rush->seat = seat;
    rush->leaves = thread->c_tracefunc != NULL || thread->c_profilefunc != NULL; /* who traces wants to see it run */
}

/* To the lane of the tasks that need the GIL, with the reference that it has. false: it has ended. */
static bool leave_to_python(Engine *engine, cz_cell_t *cell)
{
    Handle *handle = handle_of(cell);
    uint32_t word = cz_word_load(&cell->word), was;
    while (!cz_word_swap(&cell->word, &word, word & ~CZ_SHARED))
        ;
    bool opened = handle_open_values(handle) == 0;
    if (!opened)
        handle_fail(handle, CZ_FAILED, take_exception(), 0, NULL);
    else if (cz_queue_again(&engine->queue, cell, CZ_PENDING, cell->ready_ns, &was) == CZ_TO_PUSH) {
        cz_queue_push(&engine->queue, lane_of(handle), cell, cell);
        return true;
    }
    Py_DECREF(handle);
    return false;
}

static cz_cell_t *reversed(cz_cell_t *cell)
{
    cz_cell_t *result = NULL;
    while (cell != NULL) {
        cz_cell_t *next = cell->next;
        chain(&result, cell);
        cell = next;
    }
    return result;
}

void express_reap(Engine *engine)
{
    if (!cz_list_empty(&engine->done))
        queue_drop(cz_list_take(&engine->done));
}

static bool room_is_awaited(Engine *engine)
{
    return engine->space != NULL && PyList_GET_SIZE(engine->space) > 0;
}

/* Callbacks may take long: whoever is free goes on meanwhile, also with what comes later. If it is this thread that was
 * called, nobody is on the way. */
static void call_another(Engine *engine)
{
    cz_flag_write(&engine->gate.waking, 0);
    if (express_any(engine) || cz_queue_any(&engine->queue))
        queue_offer(engine, 1);
}

void rush_end(Rush *rush)
{
    Engine *engine = rush->engine;
    if (rush->counted)
        cz_flag_add(&engine->rushing, (uint32_t)-1);
    for (unsigned lane = 1; lane < CZ_LANES; lane++) {
        for (; rush->started[lane] > 0 && room_is_awaited(engine); rush->started[lane]--)
            queue_freed(engine, lane);
        cz_express_trim(&engine->express[lane]);
    }
    if (!room_is_awaited(engine))
        cz_flag_write(&engine->wanted, 0);
    cz_cell_t *left = reversed(cz_list_take(&engine->left)), *loud = reversed(cz_list_take(&engine->loud));
    for (cz_cell_t *cell = left, *next; cell != NULL; cell = next) {
        unsigned lane = CZ_LANE(cz_word_load(&cell->word));
        next = cell->next;
        if (leave_to_python(engine, cell))
            queue_offer(engine, lane);
    }
    if (loud != NULL)
        call_another(engine);
    for (cz_cell_t *cell = loud, *next; cell != NULL; cell = next) {
        next = cell->next;
        rush->seat->running = handle_of(cell);
        handle_released(handle_of(cell), CZ_CALLBACKS, CZ_COMPLETED);
        rush->seat->running = NULL;
        Py_DECREF(handle_of(cell));
    }
    for (unsigned i = 0; i < rush->dead_count; i++)
        Py_DECREF(handle_of(rush->dead[i]));
    queue_drop(rush->done);
    express_reap(engine);
}

/* The child has no thread that was at work here: what one had left to the GIL waits there now. */
void express_after_fork(Engine *engine)
{
    for (unsigned lane = 1; lane < CZ_LANES; lane++) {
        cz_express_t *express = &engine->express[lane];
        cz_express_end(express);
        cz_express_abandon(express);
    }
    cz_flag_write(&engine->rushing, 0);
    for (cz_cell_t *cell = reversed(cz_list_take(&engine->left)), *next; cell != NULL; cell = next) {
        next = cell->next;
        if ((cz_word_load(&cell->word) & CZ_STATE) == CZ_RUNNING) /* else its own lane has it still */
            leave_to_python(engine, cell);
    }
}

/* Their reference stays: a batch that the fork cut short has it too. */
void express_loud_after_fork(Engine *engine)
{
    for (cz_cell_t *cell = reversed(cz_list_take(&engine->loud)), *next; cell != NULL; cell = next) {
        next = cell->next;
        handle_released(handle_of(cell), CZ_CALLBACKS, CZ_COMPLETED);
    }
}

/* -- submitting -------------------------------------------------------------------------------- */

/* No task that needs the GIL lies before it. */
static bool is_next(cz_queue_t *queue)
{
    return queue->lanes[1].head == NULL && queue->lanes[2].head == NULL && queue->lanes[3].head == NULL &&
           queue->lanes[0].head == NULL;
}

static bool admit(Engine *engine, unsigned lane)
{
    cz_express_t *express = &engine->express[lane];
    if (express->room <= 0)
        express->room = engine->queue.capacity - queue_size(engine, lane);
    return express->room-- > 0;
}

static void offer(Engine *engine, unsigned lane)
{
    if (!cz_flag_read(&engine->rushing)) /* else there is one who looks; it looks once more when it has the GIL */
        queue_offer(engine, lane);
}

Handle *express_submit(Engine *engine, PlanView *view, PyObject *const *args, Py_ssize_t count)
{
    KernelCall *kernel = view->kernel;
    unsigned lane = view->lane;
    if (count != kernel->count || engine->closed || !is_next(&engine->queue) || !kernel_held(kernel, view->fn))
        return NULL;
    Values *values = values_new(engine, kernel, view->fn, args, count);
    if (values == NULL)
        return NULL;
    if (!admit(engine, lane)) {
        values_free(engine, values);
        return NULL;
    }
    Handle *handle =
        handle_new(engine, view, NULL, NULL, CZ_PENDING | CZ_SHARED | CZ_VALUES, cz_ticks_ns(&engine->ticks));
    if (handle == NULL) {
        values_free(engine, values);
        return NULL;
    }
    handle->payload = (PyObject *)values;
    if (!cz_express_push(&engine->express[lane], &handle->cell)) {
        Py_SET_REFCNT(handle, 1);
        Py_DECREF(handle);
        PyErr_NoMemory();
        return NULL;
    }
    cz_metrics_add(&engine->metrics, CZ_SUBMITTED, 1);
    offer(engine, lane);
    express_reap(engine);
    return handle;
}

/* -- without it -------------------------------------------------------------------------------- */

static bool must_return(Rush *rush)
{
    Engine *engine = rush->engine;
    cz_seat_t *seat = rush->seat;
    return seat->retired || seat->lost || cz_flag_read(&engine->gate.stopped) || !cz_list_empty(&engine->loud) ||
           !cz_list_empty(&engine->left) || rush->dead_count > MOST_DEAD - BATCH ||
           (rush->freed && cz_flag_read(&engine->wanted)) || cz_queue_ready(&engine->queue) > 0;
}

static void publish_done(Rush *rush)
{
    cz_list_push(&rush->engine->done, rush->done, rush->done_last);
    rush->done = NULL;
    rush->done_count = 0;
}

/* How many wait; once there are some, not before who submits has a lead. */
static int64_t waiting(Rush *rush)
{
    uint32_t paused = cz_flag_read(&rush->engine->queue.paused);
    int64_t count = 0;
    for (unsigned lane = 1; lane < CZ_LANES; lane++)
        if (!(paused & 1u << lane))
            count += cz_express_ahead(&rush->engine->express[lane]);
    return count;
}

static bool somebody_waits(Rush *rush)
{
    return cz_flag_read(&rush->engine->gate.waiters) > 0;
}

/* A moment, unless somebody waits. */
static void apart(Rush *rush)
{
    for (int i = 0; i < APART && !somebody_waits(rush); i++)
        for (int k = 0; k < APART_PAUSES; k++)
            cz_pause();
}

/* false: nothing came, or something needs the GIL. */
static bool await_lead(Rush *rush)
{
    int64_t first_ns = 0, began_ns = cz_now_ns();
    while (!must_return(rush)) {
        int64_t count = waiting(rush), now_ns = cz_now_ns();
        if (count >= LEAD || (count > 0 && somebody_waits(rush)))
            return true;
        if (count > 0) {
            if (first_ns == 0)
                first_ns = now_ns;
            if (now_ns - first_ns > LEAD_NS)
                return true;
            apart(rush);
        } else if (now_ns - began_ns > LISTEN_NS) {
            return false;
        } else {
            sched_yield();
        }
    }
    return false;
}

static void listen(Rush *rush)
{
    while (await_lead(rush)) {
        for (bool sees = true; best_batch(rush, sees) > 0 && !must_return(rush); sees = false)
            if (rush->done_count >= DONE)
                publish_done(rush);
    }
}

void rush_run(Rush *rush)
{
    rush->counted = true;
    cz_flag_add(&rush->engine->rushing, 1);
    listen(rush);
}

/* -- a worker's turn --------------------------------------------------------------------------- */

/* Whether they come before the tasks that need the GIL. These came later, or go to another lane; one batch in
 * CZ_SHARE goes to a lower lane that would wait for ever. */
static bool come_first(Engine *engine)
{
    uint32_t paused = cz_flag_read(&engine->queue.paused);
    for (unsigned lane = 0; lane < CZ_LANES; lane++) {
        if (paused & 1u << lane)
            continue;
        if (cz_express_any(&engine->express[lane]))
            return true;
        if (engine->queue.lanes[lane].head != NULL)
            return ++engine->passed_over % CZ_SHARE == 0;
    }
    return false;
}

bool express_serve(Engine *engine, cz_seat_t *seat)
{
    if (!express_any(engine))
        return false;
    Rush rush;
    bool alone = cz_queue_ready(&engine->queue) == 0;
    if (!alone && !come_first(engine))
        return false;
    rush_begin(&rush, engine, seat, PyThreadState_Get());
    bool found = true;
    if (alone) {
        Py_BEGIN_ALLOW_THREADS cz_gate_gave(&engine->gate, cz_seat_name(seat));
        rush_run(&rush);
        Py_END_ALLOW_THREADS
    } else {
        found = best_batch(&rush, true) > 0;
    }
    rush_end(&rush);
    return found;
}
