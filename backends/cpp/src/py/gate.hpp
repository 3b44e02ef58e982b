// Who is to be called for a new task, and which of them needs a thread first.
#pragma once

#include "native.hpp"

namespace catzilla
{

void start_ahead(Engine *engine, Sits &seat); // ask policy for its thread, before there is a task for it
void wake(Engine *engine);                    // one idle worker, unless one is on its way

// No slot is free: a CRITICAL task has the reserve, and policy may add slots.
void busy(Engine *engine, unsigned lane);

void offer(Engine *engine, unsigned lane); // there is a task in this lane: who takes it?

} // namespace catzilla
