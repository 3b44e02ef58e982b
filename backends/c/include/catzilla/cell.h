/* One task: what its submitter keeps and what the lanes hold, at once.
 *
 * The owner of the core embeds a cell in an object of its own and finds that one again from the cell.
 * The word is the state with flags; changing it (order.h: cz_word_change) decides every race.
 */
#ifndef CATZILLA_CELL_H
#define CATZILLA_CELL_H

#include <stddef.h>

#include "order.h"

enum { CZ_PENDING, CZ_DELAYED, CZ_RETRYING, CZ_RUNNING, CZ_COMPLETED, CZ_FAILED, CZ_CANCELLED, CZ_TIMED_OUT };

#define CZ_STATE 0x0fu
#define CZ_WAITED 0x10u     /* threads sleep on the word: who ends the task wakes them */
#define CZ_CALLBACKS 0x20u  /* somebody wants to be called at the end */
#define CZ_LINKED 0x40u     /* lies in its lane, which owns a reference, perhaps dead */
#define CZ_HELD 0x80u       /* counts as held in its lane: the timer has an entry for it */
#define CZ_PROMISE 0x100u   /* accepted, in no lane, and not RUNNING either: may be settled or requeued */
#define CZ_RETRIEVED 0x200u /* a failure that was looked at */
#define CZ_ONE_ARG 0x400u   /* the owner's: one argument, without a tuple around it */
#define CZ_USED 0x800u      /* the owner's */
#define CZ_LANE_SHIFT 12
#define CZ_LANE(word) (((word) >> CZ_LANE_SHIFT) & 3u)

#define CZ_SHARED 0x4000u /* in a lane of express.h: changed by compare and swap only, whatever lock is held */
#define CZ_VALUES 0x8000u /* the owner's: what it has instead of objects */

#define CZ_LANES 4
#define CZ_NO_SLOT INT32_MIN

typedef struct cz_cell {
    struct cz_cell *next; /* in a lane or an inbox */
    int64_t ready_ns;     /* when it was accepted, or becomes or became due */
    _Atomic uint32_t word;
    int32_t slot; /* that runs or ran it */
} cz_cell_t;

/* RUNNING or a promise -> final. The old word through *was; false: somebody else ended it. exclusive: see order.h. */
static inline bool cz_cell_settle(cz_cell_t *cell, uint32_t state, uint32_t *was, bool exclusive)
{
    uint32_t word = cz_word_load(&cell->word);
    do {
        *was = word;
        if ((word & CZ_STATE) != CZ_RUNNING && !(word & CZ_PROMISE))
            return false;
    } while (!cz_word_change(&cell->word, &word, (word & ~(CZ_STATE | CZ_PROMISE | CZ_WAITED)) | state, exclusive));
    *was = word;
    return true;
}

/* What the state is now: a delay or backoff that is over leaves it PENDING before the timer is looked at. */
static inline uint32_t cz_cell_state(cz_cell_t *cell, int64_t now_ns)
{
    uint32_t state = cz_word_load(&cell->word) & CZ_STATE;
    return (state == CZ_DELAYED || state == CZ_RETRYING) && cell->ready_ns <= now_ns ? CZ_PENDING : state;
}

#endif
