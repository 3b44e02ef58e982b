// Lanes, deques, stealing and claims; alone, and with many threads at once.
#include "catzilla/queue.hpp"
#include "catzilla/arena.hpp"

#include "check.hpp"

#include <deque>
#include <thread>
#include <vector>

using namespace catzilla;

namespace
{
struct Task : Cell {
    Task(unsigned lane, std::int64_t ready_ns = 0, int producer = 0, int number = 0)
        : producer(producer), number(number)
    {
        this->ready_ns = ready_ns;
        word = lane << flag::lane_shift;
    }
    int producer, number;
    std::atomic<int> ended = 0;
};

template <class Sync> void put(Queue<Sync> &queue, Task &task, Deque<Sync> *where = nullptr)
{
    const unsigned lane = lane_of(task.look());
    CHECK(queue.admit(lane, 1));
    queue.push(lane, task, task, where);
}

void order_of_lanes()
{
    Arena arena;
    Queue<Exclusive> queue(arena, 100);
    Picker<Exclusive> picker;
    std::deque<Task> tasks;
    const std::int64_t now = now_ns();
    for (unsigned lane : {3U, 2U, 1U, 0U})
        for (int i = 0; i < 2; i++)
            put(queue, tasks.emplace_back(lane, now, 0, i));
    CHECK(queue.ready() == 8 && queue.size(0) == 2 && queue.any());
    for (unsigned lane : {0U, 1U, 2U, 3U})
        for (int i = 0; i < 2; i++) {
            auto *task = static_cast<Task *>(queue.pop(picker));
            CHECK(task != nullptr && lane_of(task->look()) == lane && task->number == i);
            CHECK(state_of(task->look()) == State::running);
        }
    CHECK(queue.pop(picker) == nullptr && !queue.any() && queue.size(0) == 0);

    // A paused lane starts nothing
    put(queue, tasks.emplace_back(1U, now));
    queue.paused = 1 << 1;
    CHECK(!queue.any() && queue.ready() == 0 && queue.pop(picker) == nullptr && queue.size(1) == 1);
    queue.paused = 0;
    CHECK(queue.pop(picker) != nullptr);

    // One pick in eight goes to a lane that is overdue
    for (int i = 0; i < 20; i++)
        put(queue, tasks.emplace_back(1U, now));
    put(queue, tasks.emplace_back(3U, now - 5'000'000'000));
    int low_after = 0;
    for (int i = 1; i <= 21; i++)
        if (lane_of(queue.pop(picker)->look()) == 3)
            low_after = i;
    CHECK(low_after > 0 && low_after <= 8);
}

void room()
{
    Arena arena;
    Queue<Exclusive> queue(arena, 2);
    CHECK(queue.admit(1, 2) && !queue.admit(1, 1) && queue.admit(2, 1) && queue.admit(1, 1, true));
    queue.readmit(1, 2);
    CHECK(queue.admit(1, 1) && queue.size(1) == 2);
}

void claims()
{
    Arena arena;
    Queue<Exclusive> queue(arena, 100);
    Picker<Exclusive> picker;
    std::deque<Task> tasks;
    for (int i = 0; i < 5; i++)
        put(queue, tasks.emplace_back(2U, i, 0, i));
    std::uint32_t was;
    // Out of the middle, from the front, and at the end: nothing dead is left
    for (int i : {2, 0, 4})
        CHECK(queue.claim(tasks[i], State::running, was) && !queue.claim(tasks[i], State::running, was));
    CHECK(queue.ready() == 2 && queue.size(2) == 2);
    CHECK(queue.pop(picker) == &tasks[1] && queue.pop(picker) == &tasks[3]);

    // Held: counted in its lane, not ready, taken out of the timer at once
    Task &held = tasks.emplace_back(2U, 500);
    held.word |= bits(State::delayed);
    CHECK(queue.admit(2, 1) && queue.hold(2, held, 500));
    CHECK(queue.announce() == 500 && queue.size(2) == 1 && queue.ready() == 0);
    CHECK(held.state_at(499) == State::delayed && held.state_at(500) == State::pending);
    CHECK(queue.claim(held, State::running, was) && queue.size(2) == 0 && queue.announce() == Timer::never);

    // Again: a retry is held, comes due, and runs
    CHECK(queue.again(held, State::retrying, 600) == Queue<Exclusive>::Again::held_earlier);
    CHECK(queue.ripe(599) == nullptr && queue.ripe(600) == &held && state_of(held.look()) == State::pending);
    queue.push(2, held, held);
    CHECK(queue.pop(picker) == &held);
    CHECK(held.settle<Exclusive>(State::completed, was) && !held.settle<Exclusive>(State::failed, was));
    CHECK(queue.again(held, State::pending, 1) == Queue<Exclusive>::Again::refused && queue.size(2) == 0);

    // A promise is in no lane, and is not claimed: it is settled, or put in its lane
    Task &promise = tasks.emplace_back(1U);
    promise.word |= bits(State::delayed) | flag::promise;
    CHECK(!queue.claim(promise, State::running, was));
    CHECK(queue.again(promise, State::pending, 7) == Queue<Exclusive>::Again::push);
    queue.push(1, promise, promise);
    CHECK(queue.claim(promise, State::running, was));

    // Without memory for the timer nothing changes
    Arena::fail_after(0);
    bool thrown = false;
    try {
        Queue<Exclusive> other(arena, 100);
        other.again(promise, State::retrying, 9);
    } catch (const std::bad_alloc &) {
        thrown = true;
    }
    Arena::fail_after(-1);
    CHECK(thrown && state_of(promise.look()) == State::running && promise.ready_ns == 7);
}

void stealing_in_order()
{
    Arena arena;
    Queue<Exclusive> queue(arena, 1000);
    Picker<Exclusive> one{&queue.deque_of(0)}, other{&queue.deque_of(1)};
    CHECK(&queue.deque_of(0) == one.own && one.own != other.own);
    std::deque<Task> tasks;
    // A worker takes the older of its own and the inbox's
    put(queue, tasks.emplace_back(2U, 10, 0, 0));
    put(queue, tasks.emplace_back(2U, 20, 0, 1), one.own);
    put(queue, tasks.emplace_back(2U, 30, 0, 2));
    for (int i = 0; i < 3; i++)
        CHECK(queue.pop(one) == &tasks[i]);
    CHECK(one.steals == 0);
    // Who has nothing steals the oldest there is
    put(queue, tasks.emplace_back(2U, 40), one.own);
    put(queue, tasks.emplace_back(2U, 50), one.own);
    CHECK(queue.oldest(2) == &tasks[3] && queue.oldest_ns(2) == 40);
    CHECK(queue.pop(other) == &tasks[3] && other.steals == 1);
    CHECK(queue.pop(one) == &tasks[4] && one.steals == 0);
    // Nothing waits for ever behind a worker that is busy: the inbox never empties, and yet
    Task &behind = tasks.emplace_back(2U, 60);
    put(queue, behind, one.own);
    int picks = 0;
    for (Cell *cell = nullptr; cell != &behind; picks++) {
        put(queue, tasks.emplace_back(2U, 100 + picks));
        cell = queue.pop(other);
    }
    CHECK(picks <= static_cast<int>(share));
    // CRITICAL is found at once, wherever it lies
    put(queue, tasks.emplace_back(0U, 1000), one.own);
    CHECK(lane_of(queue.pop(other)->look()) == 0);
}

// Producers inside and outside, thieves, and cancels: each task ends once, and each producer's own go in order.
void many_at_once()
{
    constexpr int producers = 3, consumers = 3, each = 4000, total = producers * each;
    Arena arena;
    Queue<Shared> queue(arena, total);
    std::deque<Task> tasks;
    for (int producer = 0; producer < producers; producer++)
        for (int i = 0; i < each; i++)
            tasks.emplace_back(1U + static_cast<unsigned>(i % 3), 0, producer, i);
    std::array<Deque<Shared> *, consumers> own;
    for (int i = 0; i < consumers; i++)
        own[i] = &queue.deque_of(i);
    std::atomic<int> ended = 0, cancelled = 0;
    std::atomic<std::int64_t> steals = 0;
    std::vector<std::jthread> threads;
    for (int producer = 0; producer < producers; producer++)
        threads.emplace_back([&, producer] {
            for (int i = 0; i < each; i++) {
                Task &task = tasks[static_cast<std::size_t>(producer * each + i)];
                task.ready_ns = now_ns();
                if (i % 7 == 0) { // held first
                    const unsigned lane = lane_of(task.look());
                    task.word |= bits(State::delayed);
                    CHECK(queue.admit(lane, 1));
                    queue.hold(lane, task, task.ready_ns);
                } else {
                    put(queue, task, i % 2 == 0 ? nullptr : own[static_cast<std::size_t>(producer)]);
                }
                std::uint32_t was;
                if (i % 11 == 0 &&
                    queue.claim(tasks[static_cast<std::size_t>(producer * each + i / 2)], State::running, was)) {
                    Task &victim = tasks[static_cast<std::size_t>(producer * each + i / 2)];
                    CHECK(victim.settle<Shared>(State::cancelled, was));
                    CHECK(victim.ended.fetch_add(1) == 0);
                    cancelled++;
                    ended++;
                }
            }
        });
    threads.emplace_back([&] { // the supervisor
        while (ended.load() < total) {
            while (Cell *cell = queue.ripe(now_ns()))
                queue.push(lane_of(cell->look()), *cell, *cell);
            queue.announce();
            std::this_thread::yield();
        }
    });
    for (int consumer = 0; consumer < consumers; consumer++)
        threads.emplace_back([&, consumer] {
            Picker<Shared> picker{own[static_cast<std::size_t>(consumer)]};
            while (ended.load() < total) {
                auto *task = static_cast<Task *>(queue.pop(picker));
                if (task == nullptr) {
                    std::this_thread::yield();
                    continue;
                }
                std::uint32_t was;
                if (task->number % 13 == 0 && task->ended.load() == 0 && task->slot == no_slot) { // once more
                    task->slot = consumer;
                    CHECK(queue.again(*task, State::pending, now_ns()) == Queue<Shared>::Again::push);
                    queue.push(lane_of(task->look()), *task, *task, picker.own);
                    continue;
                }
                CHECK(task->settle<Shared>(State::completed, was));
                CHECK(task->ended.fetch_add(1) == 0);
                ended++;
            }
            steals += picker.steals;
        });
    threads.clear();
    CHECK(ended == total);
    for (const Task &task : tasks)
        CHECK(task.ended == 1);
    for (unsigned lane = 0; lane < lanes; lane++)
        CHECK(queue.size(lane) == 0 && queue.ready_in(lane) == 0);
    CHECK(queue.timer.size() == 0);
}

void first_in_first_out_for_each_producer()
{
    constexpr int producers = 3, each = 5000;
    Arena arena;
    Queue<Shared> queue(arena, producers * each);
    std::deque<Task> tasks;
    for (int producer = 0; producer < producers; producer++)
        for (int i = 0; i < each; i++)
            tasks.emplace_back(2U, 0, producer, i);
    std::vector<std::jthread> threads;
    for (int producer = 0; producer < producers; producer++)
        threads.emplace_back([&, producer] {
            for (int i = 0; i < each; i++) {
                Task &task = tasks[static_cast<std::size_t>(producer * each + i)];
                task.ready_ns = now_ns();
                put(queue, task);
            }
        });
    Picker<Shared> picker{&queue.deque_of(0)};
    std::array<int, producers> next = {};
    for (int seen = 0; seen < producers * each;) {
        auto *task = static_cast<Task *>(queue.pop(picker));
        if (task == nullptr) {
            std::this_thread::yield();
            continue;
        }
        CHECK(task->number == next[static_cast<std::size_t>(task->producer)]++);
        seen++;
    }
}
} // namespace

void test_queue()
{
    order_of_lanes();
    room();
    claims();
    first_in_first_out_for_each_producer();
}

void test_stealing()
{
    stealing_in_order();
    many_at_once();
}
