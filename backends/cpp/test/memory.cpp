// Arenas, pool, timer and metrics.
#include "catzilla/metrics.hpp"
#include "catzilla/pool.hpp"
#include "catzilla/timer.hpp"

#include "check.hpp"

#include <random>
#include <set>
#include <vector>

using namespace catzilla;

namespace
{
template <class Exception, class F> bool throws(F f)
{
    try {
        f();
    } catch (const Exception &) {
        return true;
    }
    return false;
}
} // namespace

void test_arena()
{
    Arena arena(1000);
    {
        std::pmr::vector<char> bytes(&arena);
        bytes.reserve(800);
        CHECK(arena.live_bytes() == 800);
        CHECK(throws<ArenaFull>([&] { bytes.reserve(900); })); // both exist while one is copied
        CHECK(throws<std::bad_alloc>([&] { bytes.reserve(900); }));
        CHECK(arena.live_bytes() == 800 && bytes.capacity() == 800);
    }
    CHECK(arena.live_bytes() == 0 && arena.held_bytes() == 0);
    CHECK(throws<ArenaFull>([&] { arena.block(4096); }));

    Arena large;
    void *block = large.block(1 << 17);
    CHECK(reinterpret_cast<std::uintptr_t>(block) % (1 << 17) == 0);
    CHECK(large.held_bytes() == 1 << 17);
    large.unblock(block, 1 << 17);
    Arena::fail_after(1);
    large.unblock(large.block(4096), 4096);
    CHECK(throws<std::bad_alloc>([&] { large.block(4096); }));
    Arena::fail_after(-1);
    CHECK(large.held_bytes() == 0);

    Account account(100);
    CHECK(account.charge(60) && !account.charge(41) && account.charge(40));
    account.force(50);
    account.force(-150);
    CHECK(account.used_bytes() == 0 && account.peak_bytes() == 150);
}

void test_pool()
{
    Arena arena;
    int owner;
    {
        Pool pool(arena, 96, &owner);
        std::mt19937 random(1);
        std::set<void *> taken;
        for (int round = 0; round < 20'000; round++) {
            if (random() % 3 != 0 || taken.empty()) {
                void *cell = pool.get();
                CHECK(taken.insert(cell).second);
                CHECK(Pool::owner_of(cell) == &owner);
                CHECK(reinterpret_cast<std::uintptr_t>(cell) % 16 == 0);
            } else {
                const auto any = std::next(taken.begin(), random() % std::min<std::size_t>(taken.size(), 50));
                Pool::put(*any);
                taken.erase(any);
            }
        }
        CHECK(pool.live() == static_cast<std::int64_t>(taken.size()));
        // What is empty goes back when nobody has wanted it for a while, but for the slab in use
        const std::int64_t held = arena.held_bytes();
        for (void *cell : taken)
            Pool::put(cell);
        CHECK(pool.live() == 0 && arena.held_bytes() == held);
        CHECK(pool.trim(1'000) == 1'000 + Pool::spare_ns && arena.held_bytes() == held);
        CHECK(pool.trim(1'000 + Pool::spare_ns) == Pool::never);
        CHECK(arena.held_bytes() <= static_cast<std::int64_t>(2 * Pool::slab_bytes));
        Arena::fail_after(0);
        std::vector<void *> got;
        CHECK(throws<std::bad_alloc>([&] {
            for (;;)
                got.push_back(pool.get());
        }));
        Arena::fail_after(-1);
        CHECK(pool.live() == static_cast<std::int64_t>(got.size()));
        got.push_back(pool.get());
        for (void *cell : got)
            Pool::put(cell);
    }
    CHECK(arena.held_bytes() == 0);
}

void test_timer()
{
    // Against a model: a multimap of due times, in the order they came
    Arena arena;
    Timer timer(arena);
    std::mt19937 random(2);
    std::vector<Cell> cells(3000);
    std::set<std::pair<std::int64_t, std::size_t>> model;
    std::vector<std::int64_t> due(cells.size());
    for (std::size_t i = 0; i < cells.size(); i++) {
        due[i] = static_cast<std::int64_t>(random() % 500);
        timer.reserve();
        timer.insert(cells[i], due[i]);
        model.emplace(due[i], i);
        if (random() % 3 == 0) { // cancelled, from the middle
            const auto any = std::next(model.begin(), random() % std::min<std::size_t>(model.size(), 40));
            timer.remove(cells[any->second]);
            model.erase(any);
        }
        CHECK(timer.size() == model.size());
        CHECK(timer.next_due_ns() == (model.empty() ? Timer::never : model.begin()->first));
    }
    for (const auto &[due_ns, i] : model) {
        CHECK(timer.next_due_ns() == due_ns && timer.first() == &cells[i]);
        timer.remove(cells[i]);
    }
    CHECK(timer.first() == nullptr && timer.next_due_ns() == Timer::never);
    CHECK(arena.live_bytes() < 64 * 1024); // the heap has shrunk again
}

void test_metrics()
{
    for (std::int64_t value : {0LL, 1LL, 63LL, 64LL, 65LL, 1000LL, 123'456'789LL, 1LL << 62}) {
        const std::int64_t top = Histogram::top_of(Histogram::bucket_of(value));
        CHECK(top >= value && top <= value + value / 32);
        CHECK(Histogram::bucket_of(top) == Histogram::bucket_of(value));
    }
    Arena arena;
    {
        Metrics metrics(arena);
        Tally &one = metrics.borrow(), &other = metrics.borrow();
        Tally::count(one.completed);
        Tally::count(other.completed);
        metrics.add(Counter::completed, 3);
        CHECK(metrics.read(Counter::completed) == 5 && metrics.read(Counter::failed) == 0);
        metrics.observe(one, 1000, 10, 64);
        metrics.observe(one, 1000, 10, 1);
        CHECK(one.execution.load()->weight(Histogram::bucket_of(1000)) == 65);
        CHECK(one.execution_sum_ns == 65'000);
        metrics.give_back(other);
        CHECK(&metrics.borrow() == &other);
        Arena::fail_after(0);
        metrics.observe(other, 1, 1, 1); // no memory: no sample
        CHECK(throws<std::bad_alloc>([&] { metrics.borrow(); }));
        Arena::fail_after(-1);
    }
    CHECK(arena.live_bytes() == 0);
}
