// What Python sees of a handle; catzilla.handle.attach adds the rest of TaskResult.
#pragma once

#include "native.hpp"

namespace catzilla
{

extern PyMethodDef handle_methods[];
extern PyGetSetDef handle_getset[];

} // namespace catzilla
