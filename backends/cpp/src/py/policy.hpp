// Exceptions, and calls of policy: what lies above the waist.
#pragma once

#include "native.hpp"

namespace catzilla
{

Ref take_exception(); // the one that is set, with its traceback
void put_exception(Ref error);

// The exception that is set is policy's to report, and never ours to raise.
void report_fault(Engine *engine);

// Call fn; what it raises is reported, and never ours to raise. `told` is for who called it already.
void told(Engine *engine, PyObject *result);
void tell(Engine *engine, PyObject *fn);
void tell(Engine *engine, PyObject *fn, PyObject *argument);
void tell_number(Engine *engine, PyObject *fn, long number);

// So many more CRITICAL tasks are waiting.
inline void critical(Engine *engine, unsigned lane, long change)
{
    if (lane == 0 && change != 0 && engine->critical_waiting != nullptr)
        tell_number(engine, engine->critical_waiting, change);
}

} // namespace catzilla
