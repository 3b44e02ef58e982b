#include "catzilla/timer.h"

#include <string.h>

void cz_timer_open(cz_timer_t *timer, cz_arena_t *arena)
{
    memset(timer, 0, sizeof *timer);
    timer->arena = arena;
    cz_count_publish(&timer->next_due_ns, INT64_MAX);
}

void cz_timer_close(cz_timer_t *timer)
{
    if (timer->heap != NULL)
        cz_arena_put(timer->arena, timer->heap, timer->room * sizeof *timer->heap);
    timer->heap = NULL;
    timer->length = timer->room = 0;
}

bool cz_timer_add(cz_timer_t *timer, cz_cell_t *cell, int64_t due_ns, bool *earlier)
{
    cz_entry_t *entry = cz_arena_get(timer->arena, sizeof *entry);
    if (entry == NULL)
        return false;
    entry->cell = cell;
    entry->due_ns = due_ns;
    entry->order = cz_count_add(&timer->order, 1);
    cz_list_push(&timer->inbox, entry, entry);
    *earlier = due_ns < cz_count_seen(&timer->next_due_ns);
    return true;
}

static bool before(const cz_entry_t *one, const cz_entry_t *other)
{
    return one->due_ns != other->due_ns ? one->due_ns < other->due_ns : one->order < other->order;
}

static void sift_up(cz_timer_t *timer, size_t at)
{
    cz_entry_t **heap = timer->heap, *entry = heap[at];
    for (; at > 0 && before(entry, heap[(at - 1) / 2]); at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = entry;
}

static void sift_down(cz_timer_t *timer, size_t at)
{
    cz_entry_t **heap = timer->heap, *entry = heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= timer->length)
            break;
        if (child + 1 < timer->length && before(heap[child + 1], heap[child]))
            child++;
        if (!before(heap[child], entry))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = entry;
}

static bool grow(cz_timer_t *timer)
{
    size_t room = timer->room ? 2 * timer->room : 64;
    cz_entry_t **heap = cz_arena_get(timer->arena, room * sizeof *heap);
    if (heap == NULL)
        return false;
    if (timer->heap != NULL) {
        memcpy(heap, timer->heap, timer->length * sizeof *heap);
        cz_arena_put(timer->arena, timer->heap, timer->room * sizeof *heap);
    }
    timer->heap = heap;
    timer->room = room;
    return true;
}

/* The inbox into the heap; what finds no memory there goes back and waits for the next look. */
static void collect(cz_timer_t *timer)
{
    cz_entry_t *entry = cz_list_take(&timer->inbox);
    while (entry != NULL) {
        cz_entry_t *next = entry->next;
        if (timer->length == timer->room && !grow(timer)) {
            cz_list_push(&timer->inbox, entry, entry);
        } else {
            timer->heap[timer->length] = entry;
            sift_up(timer, timer->length++);
        }
        entry = next;
    }
}

static cz_cell_t *remove_at(cz_timer_t *timer, size_t at)
{
    cz_entry_t *entry = timer->heap[at];
    cz_cell_t *cell = entry->cell;
    cz_entry_t *last = timer->heap[--timer->length];
    if (at < timer->length) {
        timer->heap[at] = last;
        sift_down(timer, at);
        sift_up(timer, at);
    }
    cz_arena_put(timer->arena, entry, sizeof *entry);
    return cell;
}

cz_cell_t *cz_timer_take(cz_timer_t *timer, int64_t now_ns)
{
    if (!cz_list_empty(&timer->inbox))
        collect(timer);
    if (timer->length == 0 || timer->heap[0]->due_ns > now_ns)
        return NULL;
    return remove_at(timer, 0);
}

cz_cell_t *cz_timer_sweep(cz_timer_t *timer, int64_t held, bool all)
{
    if (!cz_list_empty(&timer->inbox))
        collect(timer);
    if (all)
        return timer->length ? remove_at(timer, timer->length - 1) : NULL;
    if (timer->length <= 1024 || (int64_t)timer->length <= 2 * held) {
        timer->cursor = SIZE_MAX;
        return NULL;
    }
    if (timer->cursor >= timer->length)
        timer->cursor = timer->length - 1;
    for (size_t at = timer->cursor;; at--) {
        bool dead = !(cz_word_load(&timer->heap[at]->cell->word) & CZ_HELD);
        timer->cursor = at > 0 ? at - 1 : SIZE_MAX;
        if (dead)
            return remove_at(timer, at);
        if (at == 0)
            return NULL; /* what moved behind our back is found in the next round */
    }
}

int64_t cz_timer_next(cz_timer_t *timer, int64_t now_ns)
{
    int64_t next_ns = timer->length ? timer->heap[0]->due_ns : INT64_MAX;
    cz_count_publish(&timer->next_due_ns, next_ns);
    cz_fence(); /* who adds an entry reads next_due_ns after its push: it or we see the other */
    return cz_list_empty(&timer->inbox) ? next_ns : now_ns;
}

void cz_timer_walk(cz_timer_t *timer, bool (*visit)(cz_cell_t *cell, void *arg), void *arg)
{
    if (!cz_list_empty(&timer->inbox))
        collect(timer);
    for (size_t at = 0; at < timer->length; at++) {
        cz_cell_t *cell = timer->heap[at]->cell;
        if (cz_word_load(&cell->word) & CZ_HELD && !visit(cell, arg))
            return;
    }
}
