// What goes into a lane, and who waits for room in it.
#pragma once

#include "native.hpp"

namespace catzilla
{

// Policy has been told of it (`critical`) before it could be found: a worker that takes it at once says so too.
void make_ready(Engine *engine, Handle *handle, Deque<Exclusive> *where);

// Once more, when it is due; due_ns 0: at once.
void requeue(Engine *engine, Handle *handle, PyObject *args, std::int64_t due_ns);

// A lane has room again: the first who waits for it has the turn.
void freed(Engine *engine, unsigned lane);

} // namespace catzilla
