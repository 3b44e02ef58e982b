// Plans, as the workers read them.
#pragma once

#include "native.hpp"

namespace catzilla
{

// A new reference, or null with an exception. A view holds its plan, so that an address in the table is never
// another plan's.
PlanView *plan_view(Engine *engine, PyObject *plan, bool keep);

// Policy may have changed how it runs.
void reread(Engine *engine, PlanView *view);
inline void refresh(Engine *engine, PlanView *view)
{
    if (view->seen != engine->published)
        reread(engine, view);
}

PyTypeObject *make_plan_type(); // null: an exception is set

} // namespace catzilla
