// Seats of worker threads: parking, waking, coming and going, and the loop they run.
//
// Parking: a worker lists its seat as idle, looks at the queue once more, and sleeps on the seat's call; whoever
// takes the seat off the list calls it. One at a time is on its way (`waking`): it looks at the queue when it is
// there and calls the next if there is more, so a burst costs one wake-up.
//
// The core starts no thread and joins none: any thread may serve a seat, and one that is stuck in a task is left
// behind with it (its seat is `lost`, and lives as long as the thread has it).
#pragma once

#include "catzilla/metrics.hpp"
#include "catzilla/queue.hpp"

#include <algorithm>
#include <concepts>
#include <memory>
#include <sched.h>
#include <stop_token>

namespace catzilla
{

enum class Call : int { none, listens, sleeps, called };

template <class Sync> struct alignas(64) Seat {
    Seat(std::int32_t slot, Tally &tally) : slot(slot), tally(&tally) {}

    void listen() { call.exchange(static_cast<int>(Call::listens)); }
    bool was_called() const { return call.load(std::memory_order_acquire) == static_cast<int>(Call::called); }

    // Leave at the next look: retired, or lost. Taken back with a new source, when the slot is wanted again.
    void dismiss() { stop.request_stop(); }

    void rest()
    {
        if (busy_since_ns != 0)
            busy_ns += now_ns() - busy_since_ns;
        busy_since_ns = 0;
    }

    std::int64_t total_busy_ns() const { return busy_ns + (busy_since_ns != 0 ? now_ns() - busy_since_ns : 0); }

    std::atomic<int> call = static_cast<int>(Call::none);
    const std::int32_t slot; // 0 and up: a worker; below: a reserve
    Tally *tally;
    Picker<Sync> picker;
    std::stop_source stop;
    bool parked = false;   // among the idle
    bool started = false;  // a thread serves it, or was asked for
    bool called = false;   // its thread was started for a task, not just to be there in time
    bool retired = false;  // there are fewer slots now
    bool lost = false;     // its thread is stuck, another seat has the slot
    bool keeps_up = false; // its last sleep was short: it is worth listening a while
    std::int64_t busy_ns = 0;
    std::int64_t busy_since_ns = 0; // 0: idle
    std::int64_t native_id = 0;     // 0: no thread
    std::int64_t started_ns = 0;    // of the run in progress, when recorded
    void *running = nullptr;        // the owner's
    void *frames = nullptr;         // the owner's: runs inside each other
};

template <class Sync> class Workers
{
public:
    using Sits = Seat<Sync>;
    using Lock = std::lock_guard<typename Sync::Mutex>;

    Workers(std::pmr::memory_resource &memory, Queue<Sync> &queue, Metrics &metrics)
        : seats(&memory), queue(queue), memory_(memory), metrics_(metrics), idle_(&memory), reserve_(&memory)
    {
    }

    // -- slots: one thread at a time makes and drops seats --------------------------------------

    std::shared_ptr<Sits> make(std::int32_t slot, Tally &tally)
    {
        auto seat = std::allocate_shared<Sits>(std::pmr::polymorphic_allocator<Sits>(&memory_), slot, tally);
        if (slot >= 0)
            seat->picker.own = &queue.deque_of(slot);
        seat->listen();
        seats.reserve(seats.size() + 1);
        {
            const Lock lock(mutex_); // room to park every seat, so that parking never fails
            idle_.reserve(seats.size() + 2);
            reserve_.reserve(seats.size() + 2);
        }
        return seat;
    }

    // The seat of a new slot, in the list of all and not idle. Throws std::bad_alloc.
    Sits &add(std::int32_t slot)
    {
        Tally &tally = metrics_.borrow();
        try {
            seats.push_back(make(slot, tally));
        } catch (const std::bad_alloc &) {
            metrics_.give_back(tally);
            throw;
        }
        return *seats.back();
    }

    std::shared_ptr<Sits> find(std::int32_t slot) const
    {
        for (const auto &seat : seats)
            if (seat->slot == slot)
                return seat;
        return nullptr;
    }

    // The slot's thread is stuck: a fresh seat takes its place, idle unless the slot is retired. Throws bad_alloc.
    Sits &lose(std::int32_t slot)
    {
        const auto at = std::find_if(seats.begin(), seats.end(), [&](auto &seat) { return seat->slot == slot; });
        const std::shared_ptr<Sits> old = *at;
        const std::shared_ptr<Sits> fresh = make(slot, *old->tally); // the lost thread counts no more
        old->lost = true;
        old->dismiss();
        unpark(*old);
        fresh->busy_ns = old->total_busy_ns();
        fresh->retired = old->retired;
        *std::find(seats.begin(), seats.end(), old) = fresh; // make may have moved the list
        if (fresh->retired)
            fresh->dismiss();
        else
            park(*fresh, true);
        return *fresh;
    }

    // -- parking -------------------------------------------------------------------------------

    void park(Sits &seat, bool on_top)
    {
        const Lock lock(mutex_);
        auto &list = list_of(seat);
        list.insert(on_top ? list.end() : list.begin(), &seat); // reserved: no allocation
        seat.parked = true;
        count_idle();
    }

    bool unpark(Sits &seat)
    {
        const Lock lock(mutex_);
        if (!seat.parked)
            return false;
        auto &list = list_of(seat);
        list.erase(std::find(list.begin(), list.end(), &seat));
        seat.parked = false;
        count_idle();
        return true;
    }

    Sits *take_idle() { return take(idle_); }
    Sits *take_reserve() { return take(reserve_); }
    Sits *next_reserve() const { return reserve_.empty() ? nullptr : reserve_.back(); }
    bool has_idle() const { return idle_count_.load() > 0; }

    // Wake one idle worker, by `call`, unless one is on its way already. True: there is one, or no need of it.
    template <class Reach> bool wake(Reach reach)
    {
        for (;;) {
            waking.store(true);
            if (Sits *seat = take_idle()) {
                reach(*seat);
                return true;
            }
            waking.store(false);
            if constexpr (!Sync::shared)
                return false;
            if (!has_idle() || !queue.any()) // who pushed while we were looking has left the waking to us
                return false;
        }
    }

    void call(Sits &seat)
    {
        if (seat.call.exchange(static_cast<int>(Call::called)) == static_cast<int>(Call::sleeps))
            seat.call.notify_one();
    }

    // Until called. Listening a moment before sleeping is worth ten times in latency: one thread at a time, more
    // would only take CPUs away. sched_yield, because the kernel puts a woken thread on the waker's CPU.
    void sleep(Sits &seat, std::int64_t spin_ns)
    {
        bool nobody = false;
        if (spin_ns > 0 && seat.keeps_up && listening_.compare_exchange_strong(nobody, true)) {
            const std::int64_t end_ns = now_ns() + spin_ns;
            do {
                for (int i = 0; i < 20 && !seat.was_called(); i++)
                    sched_yield();
            } while (!seat.was_called() && now_ns() < end_ns);
            listening_.store(false);
        }
        if (seat.was_called())
            return;
        const std::int64_t slept_ns = now_ns();
        int listens = static_cast<int>(Call::listens);
        if (seat.call.compare_exchange_strong(listens, static_cast<int>(Call::sleeps)))
            seat.call.wait(static_cast<int>(Call::sleeps));
        // Called again soon after it went to sleep: next time it is worth listening.
        seat.keeps_up = now_ns() - slept_ns < 20 * spin_ns;
    }

    bool must_leave(const Sits &seat) const { return seat.stop.stop_requested() || stopped.load(); }

    // Everybody leaves when idle. The sleepers are called; `reach` is told of each that has a thread.
    void stop()
    {
        stopped.store(true);
        for (auto *list : {&idle_, &reserve_})
            while (Sits *seat = take(*list))
                if (seat->started)
                    call(*seat);
    }

    // The child of a fork: whoever was listening, or awake, is not there any more.
    void forget_threads()
    {
        listening_.store(false);
        awake.store(0);
    }

    std::pmr::vector<std::shared_ptr<Sits>> seats; // not the lost ones: their threads have them
    Queue<Sync> &queue;
    std::atomic<bool> waking = false, stopped = false;
    std::atomic<int> awake = 0; // threads that serve, and neither listen nor sleep

private:
    using List = std::pmr::vector<Sits *>; // the one parked last has the warmest caches, and is at the end

    List &list_of(const Sits &seat) { return seat.slot >= 0 ? idle_ : reserve_; }
    void count_idle() { idle_count_.store(static_cast<std::int64_t>(idle_.size())); }

    Sits *take(List &list)
    {
        const Lock lock(mutex_);
        if (list.empty())
            return nullptr;
        Sits *seat = list.back();
        list.pop_back();
        seat->parked = false;
        count_idle();
        return seat;
    }

    std::pmr::memory_resource &memory_;
    Metrics &metrics_;
    [[no_unique_address]] typename Sync::Mutex mutex_;
    List idle_, reserve_;
    std::atomic<std::int64_t> idle_count_ = 0;
    std::atomic<bool> listening_ = false;
};

// What whoever owns the tasks does for the loop. None of it may be noexcept, and none is called from a frame
// that catches everything: CPython ends a thread by unwinding it out of any of these.
template <class H, class Sync>
concept Host = requires(H host, Seat<Sync> &seat, Cell &cell, unsigned lane) {
    { host.started(cell) };                         // it has left its lane
    { host.offer(lane) };                           // there is more: wake the next
    { host.run(seat, cell) } -> std::same_as<bool>; // false: the thread has lost the seat, and leaves
    { host.sleep(seat) };                           // Workers::sleep, without what others need to work
    { host.stole(std::int64_t{}) };                 // so many tasks, from other workers' deques
};

// Take the next task and run it, until told to leave.
template <class Sync, Host<Sync> H> void serve(Workers<Sync> &workers, Seat<Sync> &seat, H &host)
{
    Queue<Sync> &queue = workers.queue;
    bool fresh = true; // just called: with its task in hand it calls the next worker if there is more
    workers.waking.store(false);
    seat.busy_since_ns = now_ns();
    while (!workers.must_leave(seat)) {
        Cell *cell = queue.pop(seat.picker);
        if (cell == nullptr) {
            if (queue.any())
                continue; // somebody was quicker, and there is more
            seat.rest();
            seat.listen();
            workers.park(seat, true);
            if ((workers.must_leave(seat) || queue.any()) && workers.unpark(seat)) {
                seat.busy_since_ns = now_ns();
                continue; // there was something to do after all
            }
            host.sleep(seat);
            seat.busy_since_ns = now_ns();
            workers.waking.store(false);
            fresh = true;
            continue;
        }
        cell->slot = seat.slot;
        if (seat.picker.steals != 0) {
            host.stole(seat.picker.steals);
            seat.picker.steals = 0;
        }
        host.started(*cell);
        if (fresh) {
            fresh = false;
            if (queue.any())
                host.offer(queue.ready_in(0) > 0 ? 0U : 1U);
        }
        if (!host.run(seat, *cell))
            return;
    }
}

} // namespace catzilla
