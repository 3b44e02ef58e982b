// interface.Allocator: what was charged, and what is held.
#include "part.hpp"

namespace catzilla
{

namespace
{

struct AllocatorPart : Part {
    using Part::Part;

    bool charge(std::int64_t bytes) { return engine->account.charge(bytes); }
    void force(std::int64_t bytes) { engine->account.force(bytes); }

    py::object limit_bytes() const
    {
        const std::int64_t limit = engine->account.limit_bytes;
        return limit < 0 ? py::object(py::none()) : py::object(py::int_(limit));
    }

    py::dict stats() const
    {
        const std::int64_t cells = engine->pool.live() * static_cast<std::int64_t>(engine->pool.cell_bytes());
        const auto usage = [](std::int64_t allocated, std::int64_t active) {
            py::dict figures;
            figures["allocated_bytes"] = allocated;
            figures["active_bytes"] = active;
            figures["resident_bytes"] = py::none();
            return figures;
        };
        const std::int64_t records = engine->records.live_bytes();
        py::dict arenas, stats;
        arenas["cells"] = usage(cells, engine->cells.held_bytes());
        arenas["records"] = usage(records, engine->records.held_bytes());
        stats["allocated_bytes"] = cells + records;
        stats["active_bytes"] = engine->cells.held_bytes() + engine->records.held_bytes();
        stats["charged_bytes"] = engine->account.used_bytes();
        stats["charged_peak_bytes"] = engine->account.peak_bytes();
        stats["arenas"] = arenas;
        return stats;
    }
};

} // namespace

void bind_allocator(py::module_ &m)
{
    py::class_<AllocatorPart>(m, "Allocator", collected<AllocatorPart>())
        .def_property_readonly("name", [](const AllocatorPart &) { return "malloc"; })
        .def_property_readonly("limit_bytes", &AllocatorPart::limit_bytes)
        .def("charge", &AllocatorPart::charge)
        .def("force", &AllocatorPart::force)
        .def("stats", &AllocatorPart::stats);
}

py::object make_allocator(Engine *engine, py::object owner)
{
    return py::cast(std::make_unique<AllocatorPart>(engine, std::move(owner)));
}

} // namespace catzilla
