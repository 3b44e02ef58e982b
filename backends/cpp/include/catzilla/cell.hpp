// One task: what its submitter keeps and what a deque or the timer holds, at once.
//
// The owner of the core embeds a cell in an object of its own. A waiting cell is in exactly one place: linked
// both ways in the deque that `home` names, or at `place` in the timer's heap. So taking one out of the middle
// (a cancel, an inline wait) costs the same as taking the first, and nothing dead is ever left behind.
#pragma once

#include "catzilla/sync.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace catzilla
{

enum class State : std::uint32_t { pending, delayed, retrying, running, completed, failed, cancelled, timed_out };

inline constexpr unsigned lanes = 4; // CRITICAL, HIGH, NORMAL, LOW
inline constexpr std::int32_t no_slot = INT32_MIN;

// The word of a cell: its state, and flags.
namespace flag
{
inline constexpr std::uint32_t state = 0x0f;
inline constexpr std::uint32_t waited = 0x10;    // threads sleep on the word: who ends the task wakes them
inline constexpr std::uint32_t callbacks = 0x20; // somebody wants to be called at the end
inline constexpr std::uint32_t promise = 0x40;   // waits nowhere: to be settled, or put in its lane
inline constexpr std::uint32_t retrieved = 0x80; // a failure that was looked at
inline constexpr std::uint32_t one_arg = 0x100;  // the owner's: one argument, without a tuple around it
inline constexpr unsigned lane_shift = 12;
} // namespace flag

constexpr std::uint32_t bits(State state)
{
    return static_cast<std::uint32_t>(state);
}
constexpr State state_of(std::uint32_t word)
{
    return static_cast<State>(word & flag::state);
}
constexpr unsigned lane_of(std::uint32_t word)
{
    return word >> flag::lane_shift & 3;
}
constexpr bool is_final(std::uint32_t word)
{
    return state_of(word) >= State::completed;
}

struct Home {
}; // a deque, whatever its policy

struct Cell {
    union {
        Cell *previous = nullptr; // in a deque
        std::size_t place;        // in the timer
    };
    Cell *next = nullptr;
    std::atomic<Home *> home = nullptr; // null: in no deque
    std::int64_t ready_ns = 0;          // when it was accepted, or becomes or became due
    std::atomic<std::uint32_t> word = 0;
    std::int32_t slot = no_slot; // that runs or ran it

    // acquire: who reads a final state may read the outcome that was stored before it.
    std::uint32_t look() const { return word.load(std::memory_order_acquire); }

    // With the lock of whoever is `Exclusive`, as all that changes the word.
    void raise(std::uint32_t flags) { word.fetch_or(flags, std::memory_order_acq_rel); }

    // RUNNING or a promise -> `state`, unless somebody else was quicker. The old word through `was`.
    template <class Sync> bool leave(State state, std::uint32_t clear, std::uint32_t &was)
    {
        std::uint32_t old = look();
        do {
            was = old;
            if (state_of(old) != State::running && !(old & flag::promise))
                return false;
        } while (!Sync::change(word, old, (old & ~(flag::state | flag::promise | clear)) | bits(state)));
        return true;
    }

    // RUNNING or a promise -> final: the one step that decides who ends a task.
    template <class Sync> bool settle(State state, std::uint32_t &was) { return leave<Sync>(state, flag::waited, was); }

    // Whoever calls it holds the lock of the place where the cell waits: only flags may change meanwhile.
    template <class Sync> std::uint32_t change(State state)
    {
        std::uint32_t old = look();
        while (!Sync::change(word, old, (old & ~flag::state) | bits(state)))
            ;
        return old;
    }

    // What the state is now: a delay that is over leaves it PENDING before anybody looks at the timer.
    State state_at(std::int64_t now_ns) const
    {
        const State state = state_of(look());
        const bool held = state == State::delayed || state == State::retrying;
        return held && ready_ns <= now_ns ? State::pending : state;
    }
};

} // namespace catzilla
