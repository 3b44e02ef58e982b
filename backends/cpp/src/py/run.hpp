// One run of a task.
#pragma once

#include "native.hpp"

namespace catzilla
{

constexpr unsigned sample = 64; // a plan that is timed by samples: one run in so many

// The task is RUNNING and ours, and gets everything: the call's context and keywords, the plan's runner, clocks
// (weight > 0). own_context: the thread has none that is empty. False: the thread has lost it.
bool run_task(Engine *engine, Sits &seat, Handle *handle, bool own_context, std::int64_t weight);

// Nothing has to be done around the call: no context, runner, clock or keyword.
bool run_plain(Engine *engine, Sits &seat, Handle *handle);

// A task that this thread has claimed, inside whatever it runs already.
bool run_claimed(Engine *engine, Sits &seat, Handle *handle);

} // namespace catzilla
