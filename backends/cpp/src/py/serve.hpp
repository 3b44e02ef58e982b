// What a worker's thread does all its life.
#pragma once

#include "native.hpp"

namespace catzilla
{

// Until the slot is retired, lost or stopped.
void serve_here(Engine *engine, const std::shared_ptr<Sits> &seat);

} // namespace catzilla
