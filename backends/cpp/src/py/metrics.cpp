// interface.Metrics: counters and histograms.
#include "part.hpp"

#include <algorithm>
#include <string>

namespace catzilla
{

namespace
{

struct MetricsPart : Part {
    using Part::Part;

    void add(const std::string &name, std::int64_t n)
    {
        const auto at = std::find(counter_names.begin(), counter_names.end(), name);
        if (at == counter_names.end())
            throw py::key_error(name + " is not a counter");
        engine->metrics.add(static_cast<Counter>(at - counter_names.begin()), n);
    }

    void observe(std::int64_t execution_ns, std::int64_t wait_ns)
    {
        engine->metrics.observe(engine->outside, execution_ns, wait_ns, 1);
    }

    py::dict counters() const
    {
        py::dict counters;
        // Ends before "submitted": a snapshot never shows more ended than were accepted.
        for (std::size_t i = counter_names.size(); i-- > 0;)
            counters[py::str(counter_names[i].data(), counter_names[i].size())] =
                engine->metrics.read(static_cast<Counter>(i));
        return counters;
    }

    py::dict merged(std::atomic<Histogram *> Tally::*which) const
    {
        std::vector<std::int64_t> weights(Histogram::buckets);
        engine->metrics.each([&](const Tally &tally) {
            if (const Histogram *own = (tally.*which).load(std::memory_order_acquire))
                for (unsigned bucket = 0; bucket < Histogram::buckets; bucket++)
                    weights[bucket] += own->weight(bucket);
        });
        py::dict histogram;
        for (unsigned bucket = 0; bucket < Histogram::buckets; bucket++)
            if (weights[bucket] != 0)
                histogram[py::int_(Histogram::top_of(bucket))] = weights[bucket];
        return histogram;
    }

    py::dict execution_ns() const { return merged(&Tally::execution); }
    py::dict wait_ns() const { return merged(&Tally::wait); }

    std::int64_t execution_sum_ns() const
    {
        std::int64_t sum_ns = 0;
        engine->metrics.each([&](const Tally &tally) { sum_ns += tally.execution_sum_ns.load(); });
        return sum_ns;
    }
};

} // namespace

void bind_metrics(py::module_ &m)
{
    py::class_<MetricsPart>(m, "Metrics", collected<MetricsPart>())
        .def("add", &MetricsPart::add, py::arg("counter"), py::arg("n") = 1)
        .def("observe", &MetricsPart::observe)
        .def("counters", &MetricsPart::counters)
        .def("execution_ns", &MetricsPart::execution_ns)
        .def("wait_ns", &MetricsPart::wait_ns)
        .def("execution_sum_ns", &MetricsPart::execution_sum_ns);
}

py::object make_metrics(Engine *engine, py::object owner)
{
    return py::cast(std::make_unique<MetricsPart>(engine, std::move(owner)));
}

} // namespace catzilla
