// Ready tasks: a shared inbox, and a deque of each worker that others steal from. Four lanes in each.
//
// What comes from outside goes to the inbox; what a task submits goes to the deque of the worker that runs it.
// A worker takes the older of the two heads. When it has neither, and every eighth time in any case, it looks at
// the deques of the others and takes the oldest task there is: one, from the front, so that the order of start
// stays first in, first out as nearly as workers that do not ask each other can keep it, and nothing waits for
// ever behind a worker that is busy with something long.
#pragma once

#include "catzilla/clock.hpp"
#include "catzilla/sync.hpp"
#include "catzilla/timer.hpp"

#include <array>
#include <memory>
#include <thread>

namespace catzilla
{

inline constexpr unsigned share = 8; // one pick in so many goes to an overdue lower lane, or looks further
inline constexpr std::array<std::int64_t, lanes> target_ns = {1'000'000, 10'000'000, 100'000'000, 1'000'000'000};

template <class Sync> class Deque : public Home
{
public:
    struct List {
        Cell *head = nullptr, *tail = nullptr;
        std::atomic<std::int64_t> count = 0;
    };

    explicit Deque(std::int32_t slot) : slot(slot) {}

    // Below: with the mutex held.
    void append(unsigned lane, Cell &first, Cell &last, std::int64_t count)
    {
        List &list = lists[lane];
        first.previous = list.tail;
        last.next = nullptr;
        (list.tail != nullptr ? list.tail->next : list.head) = &first;
        list.tail = &last;
        Sync::add(list.count, count);
    }

    void unlink(unsigned lane, Cell &cell)
    {
        List &list = lists[lane];
        (cell.previous != nullptr ? cell.previous->next : list.head) = cell.next;
        (cell.next != nullptr ? cell.next->previous : list.tail) = cell.previous;
        cell.previous = cell.next = nullptr;
        cell.home.store(nullptr, std::memory_order_release);
        Sync::add(list.count, -1);
    }

    [[no_unique_address]] typename Sync::Mutex mutex;
    std::array<List, lanes> lists;
    const std::int32_t slot; // whose; negative: the inbox
    Deque *next = nullptr;   // among those of workers
};

// One consumer's place in the order.
template <class Sync> struct Picker {
    Deque<Sync> *own = nullptr; // none: a reserve
    unsigned picks = 0;
    std::int64_t steals = 0; // since the owner last looked
};

template <class Sync> class Queue
{
public:
    using Own = Deque<Sync>;
    using Lock = std::lock_guard<typename Sync::Mutex>;

    Queue(std::pmr::memory_resource &memory, std::int64_t capacity)
        : capacity(capacity), timer(memory), memory_(memory), inbox_(-1)
    {
    }

    ~Queue()
    {
        for (Own *deque = deques_.load(); deque != nullptr;) {
            Own *next = deque->next;
            std::destroy_at(deque);
            memory_.deallocate(deque, sizeof(Own), alignof(Own));
            deque = next;
        }
    }

    Queue(const Queue &) = delete;
    Queue &operator=(const Queue &) = delete;

    // The deque of a worker slot, made when it is first asked for; it outlives the slot's threads, so that what
    // a lost one leaves behind can be stolen. One thread at a time makes deques. Throws std::bad_alloc.
    Own &deque_of(std::int32_t slot)
    {
        for (Own *deque = deques_.load(std::memory_order_acquire); deque != nullptr; deque = deque->next)
            if (deque->slot == slot)
                return *deque;
        Own *deque = std::construct_at(static_cast<Own *>(memory_.allocate(sizeof(Own), alignof(Own))), slot);
        deque->next = deques_.load(std::memory_order_relaxed);
        deques_.store(deque, std::memory_order_release);
        return *deque;
    }

    // -- room: what is accepted and not started, ready or held ---------------------------------

    bool admit(unsigned lane, std::int64_t n, bool force = false)
    {
        std::atomic<std::int64_t> &size = counts_[lane].size;
        if constexpr (!Sync::shared) {
            if (!force && size.load(std::memory_order_relaxed) + n > capacity)
                return false;
            Sync::add(size, n);
            return true;
        }
        if (Sync::add(size, n) <= capacity || force)
            return true;
        Sync::add(size, -n);
        return false;
    }

    void readmit(unsigned lane, std::int64_t n) { Sync::add(counts_[lane].size, -n); }

    std::int64_t size(unsigned lane) const { return counts_[lane].size.load(); }
    std::int64_t ready_in(unsigned lane) const { return counts_[lane].ready.load(order); }

    std::int64_t ready() const
    {
        std::int64_t sum = 0;
        for (unsigned lane = 0; lane < lanes; lane++)
            if (open(lane))
                sum += ready_in(lane);
        return sum;
    }

    bool any() const
    {
        for (unsigned lane = 0; lane < lanes; lane++)
            if (ready_in(lane) > 0 && open(lane))
                return true;
        return false;
    }

    // -- giving --------------------------------------------------------------------------------

    // A chain (by next) of PENDING cells of one lane, admitted; nobody sees half of it. The deque, or the inbox
    // (null), takes over a reference to each.
    void push(unsigned lane, Cell &first, Cell &last, Own *where = nullptr)
    {
        Own &deque = where != nullptr ? *where : inbox_;
        std::int64_t count = 1;
        const Lock lock(deque.mutex);
        for (Cell *cell = &first;; cell = cell->next, count++) {
            cell->home.store(&deque, std::memory_order_release);
            if (cell == &last)
                break;
            cell->next->previous = cell;
        }
        deque.append(lane, first, last, count);
        Sync::add(counts_[lane].ready, count);
    }

    // A new cell that is DELAYED, admitted; the timer takes over a reference. True: it is due before all that
    // whoever advances knows of. Throws std::bad_alloc, and nothing is changed.
    bool hold(unsigned lane, Cell &cell, std::int64_t due_ns)
    {
        const Lock lock(timer_mutex);
        timer.reserve();
        timer.insert(cell, due_ns);
        Sync::add(counts_[lane].held, 1);
        return due_ns < timer.announced_ns;
    }

    enum class Again { refused, push, held, held_earlier };

    // RUNNING or a promise -> PENDING, DELAYED or RETRYING. `refused`: it was settled meanwhile. `push`: the
    // caller pushes it, with a reference. Else the timer has taken over a reference. Throws std::bad_alloc.
    Again again(Cell &cell, State state, std::int64_t ready_ns)
    {
        std::uint32_t was;
        const unsigned lane = lane_of(cell.look());
        const bool held = state != State::pending;
        const Lock lock(timer_mutex);
        if (held)
            timer.reserve();
        const std::int64_t before_ns = cell.ready_ns;
        cell.ready_ns = ready_ns;
        if (!cell.leave<Sync>(state, flag::one_arg, was)) {
            cell.ready_ns = before_ns;
            return Again::refused;
        }
        Sync::add(counts_[lane].size, 1);
        if (!held)
            return Again::push;
        timer.insert(cell, ready_ns);
        Sync::add(counts_[lane].held, 1);
        return ready_ns < timer.announced_ns ? Again::held_earlier : Again::held;
    }

    // A cell that is due, PENDING, to be pushed with the reference it comes with; null: none.
    Cell *ripe(std::int64_t now_ns)
    {
        const Lock lock(timer_mutex);
        if (timer.next_due_ns() > now_ns)
            return nullptr;
        Cell *cell = timer.first();
        timer.remove(*cell);
        const std::uint32_t was = cell->change<Sync>(State::pending);
        Sync::add(counts_[lane_of(was)].held, -1);
        return cell;
    }

    // When to look at the timer again; Timer::never: nothing is held.
    std::int64_t announce()
    {
        const Lock lock(timer_mutex);
        return timer.announced_ns = timer.next_due_ns();
    }

    // -- taking --------------------------------------------------------------------------------

    // The next to run, RUNNING, with the reference its place had; null: nothing, or somebody was quicker.
    Cell *pop(Picker<Sync> &picker)
    {
        if (ready_in(0) > 0 && open(0))
            if (Cell *cell = take(0, picker))
                return cell;
        if (++picker.picks % share == 0 && (ready_in(1) > 0) + (ready_in(2) > 0) + (ready_in(3) > 0) >= 2) {
            const unsigned lane = overdue();
            if (lane != 0)
                if (Cell *cell = take(lane, picker))
                    return cell;
        }
        for (unsigned lane = 1; lane < lanes; lane++)
            if (ready_in(lane) > 0 && open(lane))
                if (Cell *cell = take(lane, picker))
                    return cell;
        return nullptr;
    }

    Cell *pop_lane(unsigned lane, Picker<Sync> &picker)
    {
        return ready_in(lane) > 0 && open(lane) ? take(lane, picker) : nullptr;
    }

    // Not started -> `state`, out of wherever it waits, with that place's reference; false: too late.
    bool claim(Cell &cell, State state, std::uint32_t &was)
    {
        for (;;) {
            const std::uint32_t word = cell.look();
            if (word & flag::promise || state_of(word) >= State::running)
                return false;
            if (state_of(word) == State::pending) {
                Own *home = static_cast<Own *>(cell.home.load(std::memory_order_acquire));
                if (home == nullptr) { // between two places
                    if constexpr (!Sync::shared)
                        return false;
                    std::this_thread::yield();
                    continue;
                }
                const Lock lock(home->mutex);
                if (cell.home.load(std::memory_order_relaxed) != home)
                    continue;
                was = start(*home, lane_of(word), cell, state);
                return true;
            }
            const Lock lock(timer_mutex);
            const std::uint32_t now = cell.look();
            if (state_of(now) != State::delayed && state_of(now) != State::retrying)
                continue;
            timer.remove(cell);
            was = cell.change<Sync>(state);
            Sync::add(counts_[lane_of(now)].held, -1);
            Sync::add(counts_[lane_of(now)].size, -1);
            return true;
        }
    }

    // -- looking -------------------------------------------------------------------------------

    // When the oldest ready task of the lane was ready; Timer::never: there is none.
    std::int64_t oldest_ns(unsigned lane)
    {
        std::int64_t oldest = head_ns(inbox_, lane);
        for (Own *deque = deques_.load(std::memory_order_acquire); deque != nullptr; deque = deque->next)
            oldest = std::min(oldest, head_ns(*deque, lane));
        return oldest;
    }

    // Exclusive only: what it returns may be gone otherwise.
    Cell *oldest(unsigned lane)
        requires(!Sync::shared)
    {
        Cell *oldest = inbox_.lists[lane].head;
        for (Own *deque = deques_.load(std::memory_order_relaxed); deque != nullptr; deque = deque->next) {
            Cell *head = deque->lists[lane].head;
            if (head != nullptr && (oldest == nullptr || head->ready_ns < oldest->ready_ns))
                oldest = head;
        }
        return oldest;
    }

    // Every ready cell of the lane; oldest first in each deque.
    template <class Visit> void walk(unsigned lane, Visit visit)
    {
        walk_one(inbox_, lane, visit);
        for (Own *deque = deques_.load(std::memory_order_acquire); deque != nullptr; deque = deque->next)
            walk_one(*deque, lane, visit);
    }

    const std::int64_t capacity; // of each lane
    std::atomic<std::uint32_t> paused = 0;
    Timer timer;
    [[no_unique_address]] typename Sync::Mutex timer_mutex;

private:
    static constexpr std::memory_order order = Sync::shared ? std::memory_order_seq_cst : std::memory_order_relaxed;

    struct alignas(64) Counts {
        std::atomic<std::int64_t> size = 0, ready = 0, held = 0;
    };

    bool open(unsigned lane) const { return !(paused.load(std::memory_order_relaxed) >> lane & 1); }

    static std::int64_t head_ns(Own &deque, unsigned lane)
    {
        if (deque.lists[lane].count.load(std::memory_order_relaxed) == 0)
            return Timer::never;
        const Lock lock(deque.mutex);
        const Cell *head = deque.lists[lane].head;
        return head != nullptr ? head->ready_ns : Timer::never;
    }

    template <class Visit> static void walk_one(Own &deque, unsigned lane, Visit &visit)
    {
        const Lock lock(deque.mutex);
        for (Cell *cell = deque.lists[lane].head; cell != nullptr; cell = cell->next)
            visit(*cell);
    }

    // With the deque's mutex held.
    std::uint32_t start(Own &deque, unsigned lane, Cell &cell, State state)
    {
        deque.unlink(lane, cell);
        const std::uint32_t was = cell.change<Sync>(state);
        Sync::add(counts_[lane].ready, -1);
        Sync::add(counts_[lane].size, -1);
        return was;
    }

    Cell *take(unsigned lane, Picker<Sync> &picker)
    {
        Own *own = picker.own, *from = nullptr;
        std::int64_t oldest = head_ns(inbox_, lane);
        std::int64_t near = inbox_.lists[lane].count.load(std::memory_order_relaxed);
        if (oldest != Timer::never)
            from = &inbox_;
        if (own != nullptr) {
            near += own->lists[lane].count.load(std::memory_order_relaxed);
            const std::int64_t own_ns = head_ns(*own, lane);
            if (own_ns != Timer::never && own_ns <= oldest) {
                oldest = own_ns;
                from = own;
            }
        }
        if ((from == nullptr || lane == 0 || picker.picks % share == 0) && ready_in(lane) > near)
            for (Own *deque = deques_.load(std::memory_order_acquire); deque != nullptr; deque = deque->next) {
                if (deque == own)
                    continue;
                const std::int64_t theirs_ns = head_ns(*deque, lane);
                if (theirs_ns < oldest) {
                    oldest = theirs_ns;
                    from = deque;
                }
            }
        if (from == nullptr)
            return nullptr;
        const Lock lock(from->mutex);
        Cell *cell = from->lists[lane].head;
        if (cell == nullptr)
            return nullptr;
        start(*from, lane, *cell, State::running);
        picker.steals += from != own && from != &inbox_;
        return cell;
    }

    // The lane whose head is longest overdue, if it is below the highest one with work; 0: none.
    unsigned overdue()
    {
        const std::int64_t now = now_ns();
        std::int64_t longest_ns = 0;
        unsigned found = 0;
        bool above = false;
        for (unsigned lane = 1; lane < lanes; lane++) {
            const std::int64_t ready_ns = open(lane) && ready_in(lane) > 0 ? oldest_ns(lane) : Timer::never;
            if (ready_ns == Timer::never)
                continue;
            const std::int64_t overdue_ns = now - ready_ns - target_ns[lane];
            if (above && overdue_ns > longest_ns) {
                longest_ns = overdue_ns;
                found = lane;
            }
            above = true;
        }
        return found;
    }

    std::array<Counts, lanes> counts_;
    std::pmr::memory_resource &memory_;
    Own inbox_;
    std::atomic<Own *> deques_ = nullptr;
};

} // namespace catzilla
