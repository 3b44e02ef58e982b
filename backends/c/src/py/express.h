/* A worker's work without the GIL, from its begin to its end: express.c. */
#ifndef CATZILLA_RUSH_H
#define CATZILLA_RUSH_H

#include "kernel.h"

#define MOST_DEAD 256

typedef struct {
    Engine *engine;
    cz_seat_t *seat;
    bool leaves;                 /* everything to Python: the thread is traced */
    bool counted;                /* in Engine.rushing */
    bool freed;                  /* room, since it began */
    cz_cell_t *done, *done_last; /* their lane's references are to be dropped */
    unsigned done_count;
    int64_t started[CZ_LANES];
    KernelCall *kernel; /* of the task before, with the answer: */
    PlanView *view;
    bool holds;
    cz_runtime_t rt;
    unsigned dead_count;
    cz_cell_t *dead[MOST_DEAD]; /* whose link is somebody else's: they may wait in another lane again */
} Rush;

/* thread: the caller's own. */
void rush_begin(Rush *rush, Engine *engine, cz_seat_t *seat, PyThreadState *thread);
void rush_run(Rush *rush); /* without the GIL: until nothing comes any more, or something needs it */
void rush_end(Rush *rush); /* with it */

/* With the GIL: run some, if it is their turn. false: it is not, or there are none. */
bool express_serve(Engine *engine, cz_seat_t *seat);

#endif
