// Seats, parking, and the loop; with threads that are left behind stuck.
#include "catzilla/workers.hpp"
#include "catzilla/arena.hpp"
#include "catzilla/moments.hpp"

#include "check.hpp"

#include <deque>
#include <functional>
#include <thread>
#include <vector>

using namespace catzilla;

namespace
{
struct Job : Cell {
    Job(unsigned lane, std::function<void()> work) : work(std::move(work)) { word = lane << flag::lane_shift; }
    std::function<void()> work;
};

// Runs jobs; one thread of it can be left behind.
struct Crew {
    explicit Crew(int count) : queue(arena, 1'000'000), metrics(arena), workers(arena, queue, metrics)
    {
        for (int slot = 0; slot < count; slot++)
            workers.add(slot);
        for (const auto &seat : workers.seats)
            start(seat);
    }

    ~Crew()
    {
        workers.stop();
        while (serving.load() > stuck)
            std::this_thread::yield();
    }

    // Detached, with its own share of the seat: nobody waits for the end of a thread that may be stuck.
    void start(const std::shared_ptr<Seat<Shared>> &seat)
    {
        seat->started = true;
        serving++;
        std::thread([this, seat] {
            serve(workers, *seat, *this);
            serving--;
        }).detach();
    }

    void put(Job &job, Deque<Shared> *where = nullptr)
    {
        const unsigned lane = lane_of(job.look());
        job.ready_ns = now_ns();
        CHECK(queue.admit(lane, 1));
        queue.push(lane, job, job, where);
        offer(lane);
    }

    void offer(unsigned)
    {
        if (!workers.waking.load() && workers.has_idle())
            workers.wake([this](Seat<Shared> &seat) { workers.call(seat); });
    }
    void started(Cell &) {}
    void stole(std::int64_t n) { metrics.add(Counter::steals, n); }
    void sleep(Seat<Shared> &seat) { workers.sleep(seat, 20'000); }

    bool run(Seat<Shared> &seat, Cell &cell)
    {
        here = &seat;
        static_cast<Job &>(cell).work();
        here = nullptr;
        std::uint32_t was;
        CHECK(cell.settle<Shared>(State::completed, was));
        metrics.add(Counter::completed); // not the tally's: a lost thread that comes back shares it
        return true;
    }

    std::int64_t completed() const { return metrics.read(Counter::completed); }

    static thread_local Seat<Shared> *here;
    Arena arena;
    Queue<Shared> queue;
    Metrics metrics;
    Workers<Shared> workers;
    std::atomic<int> serving = 0;
    int stuck = 0;
};

thread_local Seat<Shared> *Crew::here = nullptr;

void wait_for(const std::function<bool()> &done)
{
    const std::int64_t end_ns = now_ns() + 60'000'000'000;
    while (!done()) {
        CHECK(now_ns() < end_ns);
        std::this_thread::yield();
    }
}

void every_task_wakes_somebody()
{
    Crew crew(3);
    std::deque<Job> jobs;
    std::atomic<int> ran = 0;
    for (int i = 1; i <= 300; i++) { // with pauses, so that they fall asleep
        crew.put(jobs.emplace_back(1U, [&] { ran++; }));
        wait_for([&] { return ran.load() == i; });
        if (i % 10 == 0)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    for (int i = 0; i < 20'000; i++)
        crew.put(jobs.emplace_back(1U + static_cast<unsigned>(i) % 3, [&] { ran++; }));
    wait_for([&] { return ran.load() == 20'300 && crew.completed() == 20'300; });
}

void producers_everywhere()
{
    Crew crew(4);
    constexpr int each = 3000;
    std::atomic<int> ran = 0;
    std::vector<std::deque<Job>> jobs(4);
    std::vector<std::jthread> threads;
    for (auto &own : jobs)
        threads.emplace_back([&] {
            for (int i = 0; i < each; i++)
                crew.put(own.emplace_back(1U, [&] { ran++; }));
        });
    wait_for([&] { return ran.load() == 4 * each; });
    threads.clear();
    wait_for([&] { return crew.completed() == 4 * each; });
}

// One task makes all the others, and they take some time: whoever is idle steals them.
void a_burst_from_inside_is_stolen()
{
    Crew crew(3);
    std::deque<Job> jobs;
    std::atomic<int> ran = 0;
    std::atomic<bool> go = false;
    for (int i = 0; i < 200; i++)
        jobs.emplace_back(2U, [&] { ran++; });
    Job parent(2U, [&] {
        for (Job &job : jobs)
            crew.put(job, Crew::here->picker.own);
        wait_for([&] { return ran.load() == 200; }); // it is busy until others have done them all
        go = true;
    });
    crew.put(parent);
    wait_for([&] { return go.load() && crew.completed() == 201; });
    CHECK(crew.metrics.read(Counter::steals) == 200);
}

// A thread that does not come back: its slot gets another one, its deque is emptied, and the crew goes without it.
void a_stuck_worker_is_left_behind()
{
    static std::atomic<bool> release = false; // and what the thread has outlives the test
    static Crew &crew = *[] {
        static std::aligned_storage_t<sizeof(Crew), alignof(Crew)> room;
        return std::construct_at(reinterpret_cast<Crew *>(&room), 1);
    }();
    std::atomic<bool> in = false;
    std::atomic<int> ran = 0;
    static Job stuck(2U, [] {});
    std::deque<Job> jobs;
    for (int i = 0; i < 10; i++)
        jobs.emplace_back(2U, [&] { ran++; });
    stuck.work = [&] {
        for (Job &job : jobs)
            crew.put(job, Crew::here->picker.own);
        in = true;
        while (!release.load())
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
    };
    crew.put(stuck);
    wait_for([&] { return in.load(); });
    CHECK(ran == 0);
    crew.workers.lose(0);
    crew.start(crew.workers.find(0));
    wait_for([&] { return ran.load() == 10 && crew.completed() == 10; });
    // It leaves as soon as it is back, without another task
    release = true;
    wait_for([&] { return crew.serving.load() == 1; });
    CHECK(crew.completed() == 11);
    std::destroy_at(&crew);
}

// Given and had in turn; who does not give it up is waited for, but not for ever.
void the_holder_is_a_hint()
{
    Moments moments;
    moments.ask(1);
    CHECK(moments.holder() == 1);
    moments.got(1);
    moments.gave(3);
    CHECK(moments.holder() == 1);
    moments.ask(3);
    CHECK(moments.holder() == 1);
    moments.got(3);
    moments.gave(1);
    CHECK(moments.holder() == 3);
    moments.gave(3);
    CHECK(moments.holder() == 0);
}

void seats_come_and_go()
{
    Arena arena;
    {
        Queue<Exclusive> queue(arena, 10);
        Metrics metrics(arena);
        Workers<Exclusive> workers(arena, queue, metrics);
        for (int slot : {0, 1, 2, -1})
            workers.park(workers.add(slot), false);
        CHECK(workers.find(2)->parked && workers.find(7) == nullptr && workers.has_idle());
        CHECK(workers.take_idle()->slot == 0 && workers.take_reserve()->slot == -1);
        CHECK(workers.unpark(*workers.find(1)) && !workers.unpark(*workers.find(1)));
        const std::shared_ptr<Seat<Exclusive>> old = workers.find(2);
        Seat<Exclusive> &fresh = workers.lose(2);
        CHECK(old->lost && workers.must_leave(*old) && !workers.must_leave(fresh) && workers.find(2).get() == &fresh);
        CHECK(fresh.picker.own == old->picker.own && fresh.tally == old->tally);
        CHECK(workers.take_idle() == &fresh && workers.take_idle() == nullptr);
        workers.stop();
        CHECK(workers.must_leave(fresh));
    }
    CHECK(arena.live_bytes() == 0);
}
} // namespace

void test_workers()
{
    seats_come_and_go();
    the_holder_is_a_hint();
    every_task_wakes_somebody();
    producers_everywhere();
    a_burst_from_inside_is_stolen();
    a_stuck_worker_is_left_behind();
}
