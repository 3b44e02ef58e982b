// A handle's end: its value or exception, and whoever waits for it.
#pragma once

#include "native.hpp"

namespace catzilla
{

// Call those that on_done added, in order.
void run_callbacks(Engine *engine, Handle *handle);

// An end with an exception, counted and published; false: somebody else ended it. Under the GIL nobody can end it
// between the look and the change: nothing in between runs Python code.
bool fail(Handle *handle, State state, Ref error, int skip_frames, Tally *tally);

// An end with a value; steals it.
bool complete(Handle *handle, PyObject *value, Tally *tally);

// An end before it has started, if it is not too late.
bool withdraw(Handle *handle, PyObject *error);

inline bool may_settle(const Handle *handle)
{
    const std::uint32_t word = handle->cell.look();
    return state_of(word) == State::running || word & flag::promise;
}

} // namespace catzilla
