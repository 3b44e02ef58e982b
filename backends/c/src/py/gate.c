/* Who is to be called for a new task, and which of them needs a thread first (EngineConfig.spawn). */
#include "native.h"

void gate_start_ahead(Engine *engine, cz_seat_t *seat)
{
    seat->started = true;
    if (engine->spawn != NULL)
        tell_int(engine, engine->spawn, seat->slot);
}

void gate_call(Engine *engine, cz_seat_t *seat)
{
    if (seat->started) {
        cz_seat_call(seat);
    } else {
        seat->called = true;
        gate_start_ahead(engine, seat);
    }
}

void gate_wake(Engine *engine)
{
    cz_flag_write(&engine->gate.waking, 1);
    cz_seat_t *seat = cz_gate_take(&engine->gate, &engine->gate.idle);
    if (seat == NULL)
        cz_flag_write(&engine->gate.waking, 0);
    else
        gate_call(engine, seat);
}

/* No slot is free: a CRITICAL task has the reserve, and policy may add slots. */
void gate_busy(Engine *engine, unsigned lane)
{
    if (lane == 0 && cz_flag_read(&engine->gate.reserve.count)) {
        cz_seat_t *seat = cz_gate_take(&engine->gate, &engine->gate.reserve);
        if (seat != NULL)
            gate_call(engine, seat);
        cz_seat_t *next = engine->gate.reserve.top;
        if (next != NULL && !next->started)
            gate_start_ahead(engine, next); /* so that it is parked when it is needed */
    }
    PyObject *fn = engine->backlog;
    if (fn != NULL) {
        engine->backlog = NULL;
        tell(engine, fn, NULL);
        Py_DECREF(fn);
    }
}
